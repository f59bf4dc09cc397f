"use strict";
// Shows one step at a time and keeps every number up to date. DATA describes the walk-through;
// what the compiler emitted: PROGRAM, leaves in, all numbers out; FORWARD, the expression alone;
// SIMPLIFIED, its value and derivatives as the generated code has them. SYMPY is sympy's
// derivatives, STEADY their stable form; either may be null.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);
  const OTHERS = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const given = DATA.given.map((x) => (typeof x === "string" ? OTHERS[x] : x));
  const leaves = [...given];
  // A page shows formulas or numbers; one of formulas turns to numbers when some are tried.
  let view = DATA.start;
  const BESIDE = all("header, .more");
  let steps = all(".step");
  let values = PROGRAM(...leaves);
  let at = 0;
  let printing = false;
  let known = null;
  let foundFirst = null;
  let forms = [];
  let pointed = [];
  let lit = null;
  let measuring = 0;

  // -- numbers ----------------------------------------------------------------------------------

  // What shows numbers, found once for each view.
  function look() {
    const place = (part, name) => Number(part.getAttribute(name));
    return {
      labels: all("[data-from]").map((label) => ({ label, from: place(label, "data-from") })),
      spots: all("[data-n]").map((spot) => ({
        spot,
        place: place(spot, "data-n"),
        from: place(spot, "data-at"),
        bracketed: spot.hasAttribute("data-b"),
      })),
      locals: all("[data-local]").map((part) => ({ part, place: place(part, "data-local") })),
      stale: all(".stale"),
      judged: all("[data-live]"),
      firsts: all(".first"),
      inSteps: steps.map((step) => all("[data-n]", step).map((spot) => place(spot, "data-n"))),
    };
  }

  // What has arrived at a box before its turn, with "…"; no answers where they are asked for.
  function soFar(spot) {
    if (one("predict").checked || !spot.dataset.far) return "—";
    const arrived = spot.dataset.far.split(" ").map((part) => part.split(":").map(Number));
    const now = arrived.filter(([step]) => step <= at);
    return now.length ? `${shown(values[now[now.length - 1][1]])} …` : "—";
  }

  function renew() {
    for (const { label, from } of known.labels) label.classList.toggle("later", from > at);
    if (view === "formulas") return;
    values = PROGRAM(...leaves);
    const asking = one("predict").checked;
    for (const seen of known.spots) {
      const { spot, place, from, bracketed } = seen;
      const later = from > at && !spot.dataset.far;
      const plain = !asking && (from <= at || later);
      const same = seen.plain && seen.later === later && Object.is(seen.number, values[place]);
      if (plain && same) continue;
      Object.assign(seen, { plain, later, number: values[place] });
      let text = shown(values[place]);
      if (from > at) text = soFar(spot);
      else if (asking && kept(spot, place)) text = "?";
      else if (bracketed && text.startsWith("−")) text = `(${text})`;
      const value = text === "?" ? "" : String(values[place]);
      // What a page has many of is only touched where it changes.
      if (seen.text === text && seen.value === value) continue;
      [seen.text, seen.value] = [text, value];
      spot.textContent = text;
      spot.setAttribute("data-value", value);
      spot.classList.toggle("wrong", text !== "—" && !Number.isFinite(values[place]));
    }
    for (const { part, place } of known.locals) {
      part.classList.toggle("blocked", values[place] === 0);
    }
    const moved = leaves.some((value, i) => !Object.is(value, given[i]));
    for (const note of known.stale) note.hidden = !moved;
    judge(moved);
    slope();
    map();
    markFirst(moved);
  }

  // At the given values the tables of steps 5 and 7 are what Python found; elsewhere, what is found
  // here.
  function judge(moved) {
    const found = moved && {
      ...JUDGES.agreement(leaves, values),
      ...JUDGES.update(leaves),
    };
    for (const spot of known.judged) {
      spot.dataset.given ??= spot.textContent;
      const said = moved && found[spot.dataset.live];
      spot.dataset.value = typeof said === "number" ? String(said) : "";
      spot.textContent = moved ? written(said, spot.dataset.live) : spot.dataset.given;
      const row = spot.closest("tr");
      if (spot.dataset.live.startsWith("agree-")) {
        row.classList.toggle("wrong", spot.textContent === "NO");
      }
    }
  }

  function written(said, key) {
    if (typeof said === "string") return said;
    return shown(said, /^(before|norm|(predicted|actual|new)-\d+)$/.test(key) ? 6 : DATA.judges.digits);
  }

  // The first step with a number that is not finite says so.
  function markFirst(moved) {
    for (const mark of known.firsts) mark.hidden = moved;
    foundFirst?.remove();
    if (!moved) return;
    const first = steps.find(
      (_, i) =>
        [1, 2, 3].includes(DATA.views[view].steps[i][0]) &&
        known.inSteps[i].some((place) => !Number.isFinite(values[place])),
    );
    if (!first) return;
    const text = "Here the first number that is not finite appears.";
    foundFirst = element("p", text, { className: "wrong first" });
    first.querySelector("h2").after(foundFirst);
  }

  // -- formulas and numbers ---------------------------------------------------------------------

  const map = plane(DATA.output, () => leaves, (at) => SIMPLIFIED(...at).value, 40);

  const PLACES = ["given", "figure", "steps", "table"];
  const drawn = { [view]: PLACES.map((place) => [...one(place).childNodes]) };

  function turnTo(next) {
    if (next === view) return;
    drawn[next] ??= PLACES.map((place) => {
      const source = one("numbers").content.querySelector(`[data-part="${place}"]`);
      return [...document.importNode(source, true).childNodes];
    });
    PLACES.forEach((place, i) => one(place).replaceChildren(...drawn[next][i]));
    const id = steps[at].id;
    view = next;
    steps = all(".step");
    known = look();
    list();
    show(Math.max(0, steps.findIndex((step) => step.id === id)), false);
  }

  // The list of steps, and whatever else depends on which steps there are.
  function list() {
    for (const part of all(".script")) part.hidden = false;
    document.querySelector(".switch").hidden = !DATA.views[view].questions.length;
    const trying = one("try");
    if (trying) trying.hidden = view === "numbers";
    if (trying) one("reset").hidden = view === "formulas";
    questions = DATA.views[view].questions.map((question) => ({ ...question, open: true }));
    const names = steps.map((step, i) => {
      const part = DATA.parts[DATA.views[view].steps[i][0]];
      const name = `${i + 1}. ${part}: ${step.dataset.title}`;
      return element("option", name, { value: String(i) });
    });
    one("jump").replaceChildren(...names);
    setTimeout(() => reachable(...BESIDE), 20);
  }

  // -- steps ------------------------------------------------------------------------------------

  function mark(name, ids) {
    for (const part of all(`.${name}`, one("figure"))) part.classList.remove(name);
    for (const id of ids) one(`figure-${id}`)?.classList.add(name);
  }

  function words(data) {
    return (data || "").split(" ").filter(Boolean);
  }

  function show(index, move = true) {
    at = Math.max(0, Math.min(steps.length - 1, index));
    const step = steps[at];
    const [part, line, said] = DATA.views[view].steps[at];
    // In a notebook's frame there is no address to change. A browser lays the page out for a new
    // one: first, while nothing has changed.
    if (move && location.protocol !== "about:") history.replaceState(null, "", `#${step.id}`);
    steps.forEach((other, i) => other.classList.toggle("current", i === at));
    const node = step.dataset.node;
    mark("current", [...(node ? [node] : []), ...words(step.dataset.edges)]);
    mark("turn", node && (part === 2 || part === 3) ? [node] : []);
    mark("feeds", part === 1 ? all(`.edge[id*="-${node}-"]`, one("figure")).map((e) => e.id.slice(7)) : []);
    mark("on-path", []);
    const first = step.querySelector("li[data-edges]");
    if (part === 4 && first) path(first);
    lit?.classList.remove("lit");
    lit = line ? one(`line-${line}`) : null;
    lit?.classList.add("lit");
    const note = one("line-note");
    if (note) {
      note.hidden = part < 1 || part > 3;
      note.textContent = said || "";
    }
    // A button that is out of use keeps the focus, so that keys go on to work.
    one("previous").setAttribute("aria-disabled", String(at === 0));
    one("next").setAttribute("aria-disabled", String(at === steps.length - 1));
    one("place").textContent = `step ${at + 1} of ${steps.length}`;
    one("jump").value = String(at);
    ask(step);
    renew();
    one("status").textContent =
      `Step ${at + 1} of ${steps.length}, ${DATA.parts[part]}: ${spoken(step)}`;
    // Nothing is written from here on but what scrolls: the page is laid out once.
    bring(part ? one(`figure-${node}`) : null);
    clearTimeout(measuring);
    measuring = setTimeout(() => reachable(steps[at]), 20);
  }

  // The step in a line of plain text, with the number it is about.
  function spoken(step) {
    const number = step.querySelector("h2 [data-n], .formula [data-n]:last-child");
    const told = number && step.matches("[id^=step-forward], [id^=step-backward]");
    return step.dataset.title + (told ? ` = ${number.textContent}` : "");
  }

  // Brings the box of the step into the middle of a picture that is too wide to be seen whole, and
  // its line into the middle of the code.
  function bring(box) {
    const view = one("figure").querySelector(".scroll");
    const pre = lit?.closest("pre");
    const above = lit ? lit.offsetTop - pre.offsetTop - pre.clientHeight / 2 : 0;
    let [left, top] = [0, 0];
    if (box) {
      const [here, there] = [box.getBoundingClientRect(), view.getBoundingClientRect()];
      left = view.scrollLeft + here.left + here.width / 2 - there.left - there.width / 2;
      top = view.scrollTop + here.top + here.height / 2 - there.top - there.height / 2;
    }
    if (pre) pre.scrollTop = above;
    view.scrollTo(left, top);
  }

  // What can be scrolled can be reached by keys. Of a step, only what is on the screen: asking the
  // rest would lay it out.
  function reachable(...roots) {
    const inside = roots.flatMap((root) => all(":is(.scroll, dd, td, .formula, .entry, h1, h2)", root));
    const seen = (part) => part.checkVisibility?.({ contentVisibilityAuto: true }) !== false;
    const parts = inside.filter((part) => !part.closest(".way") || seen(part));
    const wide = parts.map((part) => part.scrollWidth > part.clientWidth + 1);
    parts.forEach((part, i) => {
      if (wide[i] && part.tabIndex < 0) {
        part.tabIndex = 0;
        part.dataset.reach = "";
        if (part.matches(".scroll")) part.setAttribute("role", "group");
        if (part.matches(".scroll")) part.setAttribute("aria-label", "Table, scrollable");
      } else if (!wide[i] && "reach" in part.dataset) {
        part.removeAttribute("tabindex");
        delete part.dataset.reach;
      }
    });
  }

  function path(item) {
    mark("on-path", [...words(item.dataset.edges), ...words(item.dataset.nodes)]);
    for (const button of all(".show-path", item.parentElement)) {
      button.setAttribute("aria-pressed", String(item.contains(button)));
    }
  }

  // -- predict mode -----------------------------------------------------------------------------

  let questions = [];

  // Whether a number is kept back: it answers an open question of this step, or, in the table, any.
  function kept(spot, place) {
    if (!one("predict").checked) return false;
    const step = steps[at];
    const asked = questions.filter((question) => question.open && question.place === place);
    if (printing) return asked.length > 0;
    const now = asked.filter((question) => `step-${question.step}` === step.id);
    if (spot.closest(".more")) return asked.length > 0;
    const whole = now.some(({ kind }) => kind === "value" || kind === "total");
    if (spot.closest("h2")) return whole;
    if (spot.closest("svg")) {
      // A share may be the derivative itself, handed on: that one is given.
      const edge = spot.closest(".edge") && now.some(({ kind }) => kind === "local");
      return (whole || edge) && Number(spot.dataset.at) === at;
    }
    return step.contains(spot) && now.length > 0;
  }

  function ask(step) {
    for (const old of forms) old.remove();
    forms = [];
    // What these pictures say is asked for.
    for (const part of all("#slope, #plane")) part.hidden = one("predict").checked;
    if (!one("predict").checked) return;
    const id = step.id.slice("step-".length);
    for (const question of questions) {
      if (question.step === id && question.open) forms.push(form(question));
    }
    step.append(...forms);
  }

  function element(tag, text, properties = {}) {
    return Object.assign(document.createElement(tag), { textContent: text, ...properties });
  }

  function form(question) {
    const box = element("div", "", { className: "question" });
    const entry = element("form", "");
    const answer = element("input", "", { type: "text", autocomplete: "off" });
    answer.setAttribute("aria-label", question.prompt);
    const verdict = element("p", "", { role: "status" });
    const reveal = element("button", "Show", { type: "button" });
    const close = (text) => {
      question.open = false;
      entry.remove();
      verdict.textContent = `${text} ${question.formula} = ${shown(values[question.place])}`;
      renew();
    };
    entry.append(answer, element("button", "Check", { type: "submit" }), reveal);
    reveal.addEventListener("click", () => close("It is"));
    entry.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = assess(question, answer.value);
      if (said === "") close("Right:");
      else verdict.textContent = said;
    });
    box.append(element("p", question.prompt), entry, verdict);
    return box;
  }

  // What is wrong with an answer; "" when nothing is. A formula is right when it gives the right
  // number at the present values and at three others.
  function assess(question, typed) {
    let formula;
    try {
      formula = readFormula(typed);
    } catch (error) {
      return `That cannot be read: ${error.message}`;
    }
    const right = values[question.place];
    const near = (a, b, room) => Math.abs(a - b) <= room * Math.abs(b) + 1e-9;
    const found = formula.run(values);
    if (!near(found, right, 0.005)) {
      if (near(-found, right, 0.005)) return `Right but for the sign. Hint: ${question.hint}`;
      return `Not that. Hint: ${question.hint}`;
    }
    if (!formula.named) return "";
    for (let i = 1; i <= 3; i++) {
      const elsewhere = PROGRAM(...leaves.map((x, k) => x + 0.37 * i * Math.sin(1.7 * k + i)));
      const [a, b] = [formula.run(elsewhere), elsewhere[question.place]];
      if (Number.isFinite(a) && Number.isFinite(b) && !near(a, b, 1e-6)) {
        return `The right number here, but not in general. Hint: ${question.hint}`;
      }
    }
    return "";
  }

  // -- what the reader does ---------------------------------------------------------------------

  function go(id) {
    const index = steps.findIndex((step) => `#${step.id}` === id);
    if (index >= 0) show(index);
    return index >= 0;
  }

  function listen() {
    one("previous").addEventListener("click", () => show(at - 1));
    one("next").addEventListener("click", () => show(at + 1));
    one("jump").addEventListener("change", (event) => show(Number(event.target.value)));
    one("predict").addEventListener("change", () => {
      for (const question of questions) question.open = true;
      show(at);
    });
    addEventListener("hashchange", () => go(location.hash));
    addEventListener("resize", () => reachable(...BESIDE, steps[at]));
    for (const kind of ["toggle", "contentvisibilityautostatechange"]) {
      document.addEventListener(kind, (event) => reachable(event.target), true);
    }
    document.addEventListener("keydown", (event) => {
      const busy = event.target.closest("input, select, textarea, .scroll, pre");
      if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
      const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length - 1 };
      const to = keys[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(to);
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest('a[href^="#step-"]');
      const button = event.target.closest(".show-path");
      if (link && go(link.getAttribute("href"))) event.preventDefault();
      if (button) path(button.closest("li"));
    });
    // On paper everything is known, or with Predict nothing that is asked for.
    let before = 0;
    addEventListener("beforeprint", () => {
      printing = true;
      document.documentElement.classList.toggle("handout", one("predict").checked);
      [before, at] = [at, steps.length - 1];
      renew();
    });
    addEventListener("afterprint", () => {
      printing = false;
      document.documentElement.classList.remove("handout");
      at = before;
      renew();
    });
    const form = document.querySelector(".sliders");
    const fields = (leaf) => all(`[data-leaf="${leaf}"]`, form);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      const leaf = Number(event.target.dataset.leaf);
      const value = event.target.valueAsNumber;
      if (Number.isNaN(value)) return;
      leaves[leaf] = value;
      for (const field of fields(leaf)) if (field !== event.target) field.value = String(value);
      // The slider that is being moved stays where it is on the screen.
      const top = form.getBoundingClientRect().top;
      turnTo("numbers");
      renew();
      scrollBy(0, form.getBoundingClientRect().top - top);
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      given.forEach((value, leaf) => {
        leaves[leaf] = value;
        for (const field of fields(leaf)) field.value = String(value);
      });
      turnTo(DATA.start);
      renew();
    });
    one("try")?.addEventListener("click", () => {
      turnTo("numbers");
      one("reset").focus({ preventScroll: true });
    });
  }

  // -- playing, pointing, training --------------------------------------------------------------

  const play = player(() => {
    show(at + 1);
    return at < steps.length - 1;
  });

  // What is pointed at among the words lights up in the picture, and the other way round.
  function point(event) {
    for (const part of pointed) part.classList.remove("pointed");
    pointed = [];
    const pass = event.target.closest("[data-edge]");
    const edge = event.target.closest("svg .edge");
    const id = pass ? pass.dataset.edge : edge ? edge.id.slice("figure-".length) : "";
    if (!id) return;
    pointed = [one(`figure-${id}`), ...all(`[data-edge="${id}"]`, steps[at])].filter(Boolean);
    for (const part of pointed) part.classList.add("pointed");
  }

  // The output as one leaf moves, its tangent, and what a nudge does beside what that promises.
  function slope() {
    if (!one("slope").open) return;
    const [, leaf, place] = DATA.judges.rows[Number(one("slope-leaf").value)];
    const nudge = Number(one("nudge").value);
    const found = CURVE.draw(leaves, leaf, values[place], nudge);
    one("slope-curve").innerHTML = found.picture;
    one("slope-said").textContent = found.said;
  }

  // Steps downhill by the simplified program, the one that the generated Python is printed from.
  const course = [];

  function train(count) {
    const rate = Number(one("rate").value);
    if (!course.length) course.push(SIMPLIFIED(...leaves).value);
    for (let i = 0; i < count; i++) {
      JUDGES.downhill(leaves, rate, SIMPLIFIED(...leaves).gradient).forEach((x, leaf) => (leaves[leaf] = x));
      course.push(SIMPLIFIED(...leaves).value);
    }
    follow();
    drawCourse(course);
  }

  // The sliders stand where the leaves are.
  function follow() {
    for (const field of all("[data-leaf]", document.querySelector(".sliders"))) {
      const number = leaves[Number(field.dataset.leaf)];
      field.value = Number.isFinite(number) ? String(number) : "";
    }
    renew();
  }

  function more() {
    play.listen();
    PRACTICE.listen(one);
    one("slope").addEventListener("toggle", slope);
    for (const id of ["slope-leaf", "nudge"]) one(id).addEventListener("input", slope);
    for (const kind of ["pointerover", "pointerdown"]) document.addEventListener(kind, point);
    document.addEventListener("click", (event) => {
      if (event.target.matches(".train")) train(Number(event.target.dataset.steps));
      if (event.target.id === "start-again") one("reset").click();
    });
    document.querySelector(".sliders").addEventListener("reset", () => {
      course.length = 0;
      if (one("curve")) drawCourse(course);
    });
  }

  document.documentElement.classList.add("scripted");
  known = look();
  list();
  listen();
  more();
  if (matchMedia("(max-width: 48rem)").matches) one("sliders").removeAttribute("open");
  if (!go(location.hash)) show(0, false);
})();
