// What the buttons above a form do, they do to what is stored: whoever has written something into
// the form that is not saved is asked first. <form id="wh-post" data-wh-unsaved="… Go on?">
"use strict";

(() => {
  const question = document.getElementById("wh-post")?.dataset.whUnsaved;
  const form = document.getElementById("webhook_form");
  if (!question || !form) return;

  const written = () => JSON.stringify([...new FormData(form)]);
  let stored = written();
  // Scripts of other fields may have put something there meanwhile.
  window.addEventListener("load", () => { stored = written(); });
  const unsaved = () => form.querySelector(".errornote, .errorlist") || written() !== stored;

  document.addEventListener("click", (event) => {
    const leaves = event.target.closest("[form=wh-post], .object-tools a");
    if (leaves && unsaved() && !window.confirm(question)) event.preventDefault();
  });
})();
