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

  // -- numbers ----------------------------------------------------------------------------------

  const OTHERS = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const given = DATA ? DATA.given.map((x) => (typeof x === "string" ? OTHERS[x] : x)) : [];
  const leaves = [...given];
  let moving = 0;

  function choose(leaf) {
    moving = leaf;
    const middle = Math.abs(given[leaf]) < 1e300 ? given[leaf] : 0;
    const reach = Math.max(2, 2 * Math.abs(middle));
    one("moving").textContent = DATA.names[leaf];
    Object.assign(one("slider"), { min: middle - reach, max: middle + reach });
    for (const field of [one("slider"), one("exact")]) field.value = String(leaves[leaf]);
    for (const button of document.querySelectorAll("[data-leaf]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.leaf) === leaf));
    }
  }

  function renew() {
    const values = COMPUTE(...leaves);
    for (const button of document.querySelectorAll("[data-leaf]")) {
      button.textContent = shown(leaves[button.dataset.leaf]);
    }
    for (const number of document.querySelectorAll("mn[data-n]")) {
      const x = values[number.dataset.n];
      number.textContent = shown(x);
      number.classList.toggle("wrong", !Number.isFinite(x));
    }
    for (const range of document.querySelectorAll("[data-live]")) {
      const [first, count] = range.dataset.live.split("-").map(Number);
      const some = values.slice(first, first + count);
      range.textContent = `from ${shown(Math.min(...some))} to ${shown(Math.max(...some))}`;
    }
    for (const figure of document.querySelectorAll("figure:has(.heat)")) heat(figure, values);
    const moved = leaves.some((x, i) => !Object.is(x, given[i]));
    for (const note of document.querySelectorAll(".stale")) note.hidden = !moved;
  }

  function heat(figure, values) {
    const cells = [...figure.querySelectorAll("rect")];
    const numbers = cells.map((cell) => values[cell.dataset.n]);
    const largest = Math.max(...numbers.map(Math.abs).filter(Number.isFinite), 0) || 1;
    cells.forEach((cell, i) => {
      const strength = Number.isFinite(numbers[i]) ? Math.abs(numbers[i]) / largest : 1;
      cell.setAttribute("fill", numbers[i] < 0 ? "#d55e00" : "#0072b2");
      cell.setAttribute("fill-opacity", (0.06 + 0.94 * strength).toFixed(2));
    });
    figure.querySelector(".largest").textContent = shown(largest);
  }

  const course = [];

  function train(count) {
    const rate = Number(one("rate").value);
    if (!course.length) course.push(COMPUTE(...leaves)[DATA.output]);
    for (let i = 0; i < count; i++) {
      const values = COMPUTE(...leaves);
      for (const [leaf, slope] of DATA.slopes) leaves[leaf] -= rate * values[slope];
      course.push(COMPUTE(...leaves)[DATA.output]);
    }
    choose(moving);
    renew();
    drawCourse(course);
  }

  function restore() {
    given.forEach((x, i) => (leaves[i] = x));
    course.length = 0;
    choose(moving);
    renew();
    drawCourse(course);
  }

  function listen() {
    choose(0);
    for (const button of document.querySelectorAll(".train")) {
      button.addEventListener("click", () => train(Number(button.dataset.steps)));
    }
    one("sliders").addEventListener("click", (event) => {
      if (event.target.dataset.leaf) choose(Number(event.target.dataset.leaf));
    });
    one("sliders").addEventListener("submit", (event) => event.preventDefault());
    one("sliders").addEventListener("input", ({ target }) => {
      if (Number.isNaN(target.valueAsNumber)) return;
      leaves[moving] = target.valueAsNumber;
      const other = target.id === "slider" ? "exact" : "slider";
      one(other).value = String(leaves[moving]);
      renew();
    });
    for (const id of ["reset", "start-again"]) one(id).addEventListener("click", restore);
  }

  if (DATA) listen();
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
