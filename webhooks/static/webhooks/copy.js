// Buttons that copy: <button data-wh-copy="id of what is copied" data-wh-copied="Copied" hidden>.
"use strict";

(() => {
  const copy = async (source) => {
    const text = "value" in source ? source.value : source.textContent;
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    // Without HTTPS browsers have no clipboard for pages, but the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "wh-offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  };

  const prepare = (button) => {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.whCopy);
      try {
        await copy(source);
        button.textContent = button.dataset.whCopied;
        setTimeout(() => { button.textContent = label; }, 2000);
      } catch {
        // Marked, it is one keystroke away.
        window.getSelection().selectAllChildren(source);
        if ("select" in source) source.select();
      }
    });
  };

  document.querySelectorAll("button[data-wh-copy]").forEach(prepare);
})();
