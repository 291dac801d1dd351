// Lists: a narrow screen shows each row as a block, with the columns' names before the values
// (lists.css). A long filter of which nothing is chosen is folded.
"use strict";

(() => {
  const names = [...document.querySelectorAll("#result_list thead th")].map((head) => (
    head.querySelector(".text")?.textContent.trim() ?? ""
  ));
  document.querySelectorAll("#result_list tbody tr").forEach((row) => {
    [...row.cells].forEach((cell, place) => { cell.dataset.whLabel = names[place] ?? ""; });
  });

  const all = document.getElementById("action-toggle");
  if (all?.ariaLabel) all.closest("th").dataset.whLabel = all.ariaLabel;

  const MOST_CHOICES = 7;
  // After the admin's own script, which opens and closes them as they were on another page.
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("#changelist-filter details[data-filter-title]").forEach((filter) => {
      const choices = [...filter.querySelectorAll("li")];
      const chosen = choices.slice(1).some((choice) => choice.classList.contains("selected"));
      if (chosen) filter.open = true;
      else if (choices.length > MOST_CHOICES) filter.open = false;
    });
  });
})();
