"use strict";
// Shows one statement at a time, and marks it in the program.
(() => {
  const one = (id) => document.getElementById(id);
  const steps = [...document.querySelectorAll(".step")];
  let at = 0;

  function show(index, move = true) {
    at = Math.max(0, Math.min(steps.length - 1, index));
    steps.forEach((step, i) => step.classList.toggle("current", i === at));
    for (const link of document.querySelectorAll(".program a")) {
      const here = link.getAttribute("href") === `#${steps[at].id}`;
      link.parentElement.classList.toggle("current", here);
      if (here) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    }
    one("previous").setAttribute("aria-disabled", String(at === 0));
    one("next").setAttribute("aria-disabled", String(at === steps.length - 1));
    one("place").textContent = `step ${at + 1} of ${steps.length}`;
    const part = steps[at].querySelector(".part").textContent;
    one("status").textContent = `Step ${at + 1} of ${steps.length}, ${part}`;
    if (move && location.protocol !== "about:") history.replaceState(null, "", `#${steps[at].id}`);
  }

  function go(hash) {
    const index = steps.findIndex((step) => `#${step.id}` === hash);
    if (index >= 0) show(index);
    return index >= 0;
  }

  document.documentElement.classList.add("scripted");
  for (const part of document.querySelectorAll(".script")) part.hidden = false;
  one("previous").addEventListener("click", () => show(at - 1));
  one("next").addEventListener("click", () => show(at + 1));
  addEventListener("hashchange", () => go(location.hash));
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#step-"]');
    if (link && go(link.getAttribute("href"))) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, .scroll");
    if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length - 1 };
    if (keys[event.key] === undefined) return;
    event.preventDefault();
    show(keys[event.key]);
  });
  player(() => {
    show(at + 1);
    return at < steps.length - 1;
  }).listen();
  if (!go(location.hash)) show(0, false);
})();
