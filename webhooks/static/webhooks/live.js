// Keeps a part of a page up to date: <div id="…" data-wh-live="seconds">, as the server draws it.
// It stops when the server leaves the attribute out, and rests while nobody looks.
"use strict";

(() => {
  const refresh = async (shown) => {
    if (document.hidden || shown.contains(document.activeElement)) return shown;
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) return shown;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(shown.id);
    if (!fresh) return shown;
    document.adoptNode(fresh);
    shown.replaceWith(fresh);
    return fresh;
  };

  const follow = (part) => {
    const seconds = Number(part.dataset.whLive);
    if (!seconds) return;
    setTimeout(async () => {
      let next = part;
      try {
        next = await refresh(part);
      } catch {
        // The server is away: try again next time.
      }
      follow(next);
    }, seconds * 1000);
  };

  document.querySelectorAll("[data-wh-live]").forEach(follow);
})();
