// Keeps a part of a page up to date: <div id="…" data-wh-live="seconds">, as the server draws it.
// It stops when the server leaves the attribute out, and rests while nobody looks. Where it cannot
// go on, <p data-wh-stopped="Stopped at {time} …"> says so.
"use strict";

(() => {
  // Makes one element say what another says. What says so already is not touched, so that what is
  // focused, scrolled, opened or being read out stays as it is.
  const follow = (shown, fresh) => {
    const kept = (name) => name === "open" && shown.nodeName === "DETAILS";
    for (const { name } of [...shown.attributes]) {
      if (!fresh.hasAttribute(name) && !kept(name)) shown.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (shown.getAttribute(name) !== value && !kept(name)) shown.setAttribute(name, value);
    }
    const before = [...shown.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((wanted, place) => {
      const found = before[place];
      if (!found) shown.append(document.adoptNode(wanted));
      else if (found.nodeName !== wanted.nodeName || found.id !== wanted.id) {
        found.replaceWith(document.adoptNode(wanted));
      } else if (found.nodeType === Node.ELEMENT_NODE) follow(found, wanted);
      else if (found.data !== wanted.data) found.data = wanted.data;
    });
    before.slice(after.length).forEach((node) => { node.remove(); });
  };

  let upToDate = new Date();
  const say = (stopped) => {
    const note = document.querySelector("[data-wh-stopped]");
    if (!note) return;
    const time = upToDate.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    const text = stopped ? note.dataset.whStopped.replace("{time}", time) : "";
    if (note.textContent !== text) note.textContent = text;
  };

  const refresh = async (shown) => {
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) throw new Error("no such page now");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    follow(shown, page.getElementById(shown.id));
    upToDate = new Date();
  };

  const keep = (shown) => {
    const seconds = Number(shown.dataset.whLive);
    if (!seconds) return;
    setTimeout(async () => {
      if (!document.hidden) {
        try {
          await refresh(shown);
          say(false);
        } catch {
          say(true);
        }
      }
      keep(shown);
    }, seconds * 1000);
  };

  document.querySelectorAll("[data-wh-live]").forEach(keep);
})();
