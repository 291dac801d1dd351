// A webhook's form: of all formats' options, and of all notes that a format has no equivalent of an
// event, only those of the chosen format. Without this all are there, each under its format's name.
"use strict";

(() => {
  const format = document.querySelector("select[name=format]");
  if (!format) return;

  const show = () => {
    document.querySelectorAll(".wh-options").forEach((options) => {
      options.hidden = !options.classList.contains(`wh-options-${format.value}`);
    });
    document.querySelectorAll("[data-wh-without]").forEach((note) => {
      note.hidden = note.dataset.whWithout !== format.value;
    });
  };

  format.addEventListener("change", show);
  // Themes put another widget in the place of the select; what it tells jQuery's listeners of, no
  // other hears, and only those of its own jQuery.
  for (const jQuery of [window.jQuery, window.django?.jQuery]) jQuery?.(format).on("change", show);
  // A browser that goes back puts the choice back, and does not say so.
  window.addEventListener("pageshow", show);
  show();
})();
