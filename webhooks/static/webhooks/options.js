// A webhook's form: of all formats' options, and of all notes that a format has no equivalent of an
// event, only those of the chosen format; of the authentication's fields, those that it needs.
// Without this all are there.
"use strict";

(() => {
  const needs = {
    auth_username: ["basic"],
    auth_header_name: ["header"],
    auth_secret: ["basic", "bearer", "header"],
  };

  const showOptions = (format) => {
    document.querySelectorAll(".wh-options").forEach((options) => {
      options.hidden = !options.classList.contains(`wh-options-${format}`);
    });
    document.querySelectorAll("[data-wh-without]").forEach((note) => {
      note.hidden = note.dataset.whWithout !== format;
    });
  };

  const showCredentials = (kind) => {
    for (const [name, kinds] of Object.entries(needs)) {
      const row = document.querySelector(`.field-${name}`);
      // An error that is not seen cannot be mended.
      if (row) row.hidden = !kinds.includes(kind) && !row.querySelector(".errorlist");
    }
  };

  const follow = (select, show) => {
    if (!select) return;
    const heed = () => { show(select.value); };
    select.addEventListener("change", heed);
    // Themes put another widget in the place of the select; what it tells jQuery's listeners of, no
    // other hears, and only those of its own jQuery.
    for (const jQuery of [window.jQuery, window.django?.jQuery]) jQuery?.(select).on("change", heed);
    // A browser that goes back puts the choice back, and does not say so.
    window.addEventListener("pageshow", heed);
    heed();
  };

  follow(document.querySelector("select[name=format]"), showOptions);
  follow(document.querySelector("select[name=auth_type]"), showCredentials);
})();
