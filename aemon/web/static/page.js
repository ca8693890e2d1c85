// What every page does: times in the reader's zone, pauses while nobody looks, the reader's name.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const full = new Intl.DateTimeFormat("sv-SE", {
    dateStyle: "short", timeStyle: "medium",
  });

  function localise(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const moment = new Date(time.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        time.textContent = full.format(moment);
        time.dataset.local = "";
      }
    }
  }

  const shown = document.getElementById("zone");
  if (shown) {
    shown.textContent = `Times are in ${zone}; hover for UTC`;
  }
  localise(document);
  document.addEventListener("htmx:after:swap", () => localise(document));

  // A page in the background, or one whose form is in use, is not replaced.
  document.addEventListener("htmx:config:request", (event) => {
    const live = document.getElementById("live");
    const busy = live && live.contains(document.activeElement) &&
      document.activeElement.matches("input, select, textarea");
    const chosen = String(window.getSelection() || "") !== "";
    if (document.hidden || busy || chosen) {
      event.preventDefault();
    }
  });

  // The name of who gives feedback, remembered in this browser.
  const KEY = "aemon-name";
  for (const field of document.querySelectorAll("input[name=name]")) {
    try {
      field.value = field.value || localStorage.getItem(KEY) || "";
      field.form.addEventListener("submit", () => localStorage.setItem(KEY, field.value));
    } catch {
      // A browser without storage asks again each time.
    }
  }
})();
