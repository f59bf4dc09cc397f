"use strict";
// A large expression: computed here by the programs of its operations, drawn as groups that open,
// and worded one step at a time. DATA has the expression as columns, operands first.
(() => {
  const one = (id) => document.getElementById(id);
  const count = DATA.names.length;
  const { names, operands, kinds, groups, root } = DATA;
  const OTHERS = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const given = DATA.given.map((x) => (typeof x === "string" ? OTHERS[x] : x));
  const leaves = [...given];
  const [values, slopes] = [new Float64Array(count), new Float64Array(count)];
  const [locals, shares] = [new Array(count), new Array(count)];
  for (const group of groups) group.leaves = group.arrays.flatMap(([, list]) => list);
  // What a typed answer may name: nodes, and their derivatives with a d in front.
  DATA.names = Object.fromEntries(names.flatMap((name, i) => [[`d${name}`, count + i], [name, i]]));
  const row = new Map(DATA.ids.map((id, i) => [id, i]));
  const readers = Array.from({ length: count }, () => []);
  operands.forEach((list, node) => {
    list.forEach((operand, position) => readers[operand].push([node, position]));
  });
  const open = new Set();
  let picture = null;
  let steps = [];
  let [nodes, edges, weighed] = [[], [], []];
  let at = 0;
  let zoom = 1;
  let whole = true;
  // Whether the reader has chosen how much is seen.
  let held = false;

  // -- computing --------------------------------------------------------------------------------

  function forward(into, from = leaves) {
    for (let node = 0; node < count; node++) {
      if (kinds[node] < 0) {
        into[node] = from[node];
        continue;
      }
      const found = KINDS[kinds[node]][0](...operands[node].map((operand) => into[operand]));
      into[node] = found[0];
      if (into === values) locals[node] = found;
    }
    return into[root];
  }

  const passes = (node, position) =>
    DATA.wanted[operands[node][position]] === 1 && DATA.words[kinds[node]].passes[position];

  function compute() {
    forward(values);
    slopes.fill(0);
    slopes[root] = 1;
    for (let node = count - 1; node >= 0; node--) {
      if (kinds[node] < 0 || !DATA.wanted[node]) continue;
      const numbers = operands[node].map((operand) => values[operand]);
      shares[node] = KINDS[kinds[node]][1](slopes[node], ...numbers);
      operands[node].forEach((operand, position) => {
        if (passes(node, position)) slopes[operand] += shares[node][position];
      });
    }
  }

  // -- words ------------------------------------------------------------------------------------

  const safe = (text) =>
    text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  // Names in plain words with their numbers below the line, as formulas have them.
  const lowered = (text) =>
    text.replace(/(?<![\w.'"`])(\p{L}+)(_?)(\d+(?:_\d+)*)(?![\w'"`(]|\.\d)/gu, (name, stem, line, digits) =>
      line && Object.hasOwn(DATA.names, stem + digits) ? name : stem + digits.replace(/_/g, ",").replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]));
  const math = (...parts) => `<math>${parts.join("")}</math>`;
  const sign = (text) => `<mo>${text}</mo>`;
  // By itself an operator has no space around it in every browser.
  const EQUALS = '<math><mo lspace="0.28em" rspace="0.28em">=</mo></math>';

  // A name as maths: numbers after it are subscripts.
  function named(name) {
    if (/^-?[\d.]/.test(name)) return `<mn>${safe(name.replace("-", "−"))}</mn>`;
    const [, stem, digits] = /^(.*?)((?:\d+(?:_\d+)*)?)$/s.exec(name);
    const short = stem.replace(/_+$/, "");
    if (short !== stem && Object.hasOwn(DATA.names, short + digits)) return `<mi>${safe(name)}</mi>`;
    const base = `<mi>${safe(short || stem)}</mi>`;
    return digits ? `<msub>${base}<mn>${digits.replace(/_/g, ",")}</mn></msub>` : base;
  }

  function digits(x, bracketed = false) {
    const text = shown(x);
    const bad = Number.isFinite(x) ? "" : ' class="wrong"';
    return `<mn${bad}>${bracketed && text.startsWith("−") ? `(${text})` : text}</mn>`;
  }

  const derivative = (node) =>
    `<mfrac><mrow><mi>∂</mi>${named(names[root])}</mrow><mrow><mi>∂</mi>${named(names[node])}</mrow></mfrac>`;

  // A formula of an operation with names, or numbers, in its places.
  function filled(form, node) {
    const parts = [...operands[node], node];
    return form
      .replace(/<i data-o="(\d+)"><\/i>/g, (_, i) => named(names[parts[i]]))
      .replace(/<i data-x="(\d+)"( data-b)?><\/i>/g, (_, i, b) => digits(values[parts[i]], Boolean(b)));
  }

  // Sides with "=" between them, without those that say what the one before says.
  const chain = (...sides) =>
    sides.filter((side, i) => side !== sides[i + 1]).join(EQUALS);

  const link = (node) =>
    `<a href="#step-${kinds[node] < 0 ? "backward" : "forward"}-n${DATA.ids[node]}">${math(named(names[node]))}</a>`;
  const back = (node) =>
    node === root ? '<a href="#step-seed">the seed</a>' : `<a href="#step-backward-n${DATA.ids[node]}">${math(named(names[node]))}</a>`;
  const para = (html, kind = "") => `<p${kind && ` class="${kind}"`}>${html}</p>`;
  const list = (items) => (items.length ? `<ul class="said">${items.map((i) => `<li>${i}</li>`).join("")}</ul>` : "");

  function several(items, most = 12) {
    const more = items.length - most;
    const some = more > 1 ? items.slice(0, most) : items;
    return some.join("") + (more > 1 ? para(`… and ${more.toLocaleString("en")} more, alike.`, "dim") : "");
  }

  // How many paths lead from the output to each node.
  let ways = null;
  function waysTo(node) {
    if (!ways) {
      ways = new Float64Array(count);
      ways[root] = 1;
      for (let reader = count - 1; reader >= 0; reader--) {
        if (kinds[reader] < 0 || !DATA.wanted[reader]) continue;
        operands[reader].forEach((operand, i) => passes(reader, i) && (ways[operand] += ways[reader]));
      }
    }
    return ways[node];
  }

  function pathsTo(node) {
    const number = waysTo(node);
    const much = number < 1e6 ? number.toLocaleString("en") : `about ${shown(number, 2)}`;
    return number === 1 ? "One path leads to it" : `${much} paths lead to it; what they multiply to is added`;
  }

  // -- predicting -------------------------------------------------------------------------------

  const answered = new Set();
  const asks = (key) => one("predict").checked && !answered.has(key);

  // A question that is not answered yet, in the place of the number that it asks for.
  const question = (key, prompt) =>
    `<form class="question" data-key="${key}"><p>${prompt}</p><input type="text" autocomplete="off" aria-label="Your answer">` +
    ' <button type="submit">Check</button> <button type="button" class="reveal">Show</button><p role="status"></p></form>';

  function answer(form) {
    const [kind, node, position] = form.dataset.key.split("-");
    const right = kind === "forward" ? values[node] : shares[node][position];
    const said = form.querySelector("[role=status]");
    let found;
    try {
      found = readFormula(form.querySelector("input").value).run([...values, ...slopes]);
    } catch (error) {
      said.textContent = `That cannot be read: ${error.message}`;
      return;
    }
    const near = (a, b) => Math.abs(a - b) <= 0.005 * Math.abs(b) + 1e-9;
    const hint = kind === "forward" ? "put the numbers in" : `upstream × local; ${DATA.words[kinds[node]].sentence}`;
    if (near(found, right)) reveal(form);
    else said.textContent = `${near(-found, right) ? "Right but for the sign" : "Not that"}. Hint: ${hint}`;
  }

  function reveal(form) {
    answered.add(form.dataset.key);
    renew();
    one("heading").focus({ preventScroll: true });
  }

  function forwardNode(node) {
    const words = DATA.words[kinds[node]];
    const to = readers[node].filter(([reader]) => reader !== node).map(([reader]) => link(reader));
    const unique = [...new Set(to)];
    const used = unique.length > 6 ? `${unique.slice(0, 6).join(", ")} and ${unique.length - 6} more` : unique.join(", ");
    const key = `forward-${node}`;
    const sides = [math(named(names[node])), filled(words.formula, node)];
    const told = asks(key)
      ? question(key, `${chain(...sides, filled(words.numbers, node))} ${EQUALS} ?`)
      : para(chain(...sides, filled(words.numbers, node), math(digits(values[node]))), "formula");
    return (
      told +
      para(`Operands: ${[...new Set(operands[node])].map(link).join(", ")}. ` + (used ? `Used by ${used}.` : "It is the output."))
    );
  }

  function backwardNode(node) {
    const arrived = readers[node].filter(([reader, position]) => DATA.wanted[reader] && passes(reader, position));
    const from = arrived.map(([reader, position]) => math(digits(shares[reader][position], true)) + ` through ${back(reader)}`);
    const leaf = kinds[node] < 0;
    let text =
      node === root
        ? para('What arrives here is <a href="#step-seed">the seed</a>, 1.')
        : from.length === 1
          ? para(`Its cotangent arrived through ${back(arrived[0][0])}.`)
          : from.length
            ? para(`${from.length} shares arrived, and are added:`) + list(from.slice(0, 12)) +
              (from.length > 12 ? para(`… and ${from.length - 12} more.`, "dim") : "")
            : para("Nothing can reach it, so its derivative is 0.");
    if (leaf) return text + para(`It is a leaf: this is its derivative. ${pathsTo(node)}.`);
    const words = DATA.words[kinds[node]];
    text += para(`${math(named(names[node]), sign("="))}${filled(words.formula, node)}: ${safe(words.sentence)}.`);
    const parts = operands[node].flatMap((operand, position) => {
      if (!passes(node, position)) return [];
      const local = locals[node][1 + position];
      const dead = local === 0 ? " blocked" : "";
      const key = `backward-${node}-${position}`;
      if (asks(key)) {
        const asked = question(key, `What does ${math(named(names[node]))} pass to ${math(named(names[operand]))}?`);
        return [
          `<div class="pass"><h3>To ${back(operand)}</h3><dl>` +
            `<div><dt>local derivative</dt><dd>${chain(filled(words.local[position], node), filled(words.localNumbers[position], node))}</dd></div></dl>${asked}</div>`,
        ];
      }
      return [
        `<div class="pass${dead}"><h3>To ${back(operand)}</h3><dl>` +
          `<div><dt>local derivative</dt><dd>${chain(filled(words.local[position], node), filled(words.localNumbers[position], node), math(digits(local)))}</dd></div>` +
          `<div><dt>upstream × local</dt><dd>${math(digits(slopes[node], true), sign("×"), digits(local, true), sign("="), digits(shares[node][position]))}</dd></div>` +
          '</dl><p class="dead">The local derivative is 0: nothing passes.</p></div>',
      ];
    });
    return text + parts.join("");
  }

  // Many numbers at a glance: blue is positive, orange negative, strong is large.
  function heat(nodes, from, what) {
    const numbers = nodes.map((node) => from[node]);
    const largest = Math.max(...numbers.map(Math.abs).filter(Number.isFinite), 0) || 1;
    const places = nodes.map((node) => /_(\d+)_(\d+)$/.exec(names[node]));
    const grid = places.every(Boolean) && new Set(places.map((p) => p[2])).size;
    const columns = grid && grid < nodes.length ? grid : Math.min(nodes.length, 64);
    const cell = Math.max(4, Math.min(16, Math.floor(560 / columns)));
    const cells = numbers.map((x, i) => {
      const strength = Number.isFinite(x) ? Math.abs(x) / largest : 1;
      const colour = Number.isNaN(x) ? "#888888" : x < 0 ? "#d55e00" : "#0072b2";
      const [left, top] = [cell * (i % columns), cell * Math.floor(i / columns)];
      return `<rect x="${left}" y="${top}" width="${cell - 1}" height="${cell - 1}" fill="${colour}" fill-opacity="${(0.06 + 0.94 * strength).toFixed(2)}"><title>${safe(names[nodes[i]])}: ${shown(x)}</title></rect>`;
    });
    const height = cell * Math.ceil(nodes.length / columns);
    const low = Math.min(...numbers);
    const high = Math.max(...numbers);
    const range = nodes.length === 1 ? shown(numbers[0]) : `${shown(low)} to ${shown(high)}`;
    const size = `viewBox="0 0 ${cell * columns} ${height}" width="${cell * columns}" height="${height}"`;
    const label = `${what}: ${nodes.length} numbers, ${range}`;
    const drawn = nodes.length > 1 ? `<svg class="heat" ${size} role="img" aria-label="${safe(label)}">${cells.join("")}</svg>` : "";
    return para(`${what}: ${range}`) + drawn;
  }

  function groupWords(g, isBackward) {
    const group = groups[g];
    const said = group.said.length ? group.said[isBackward ? 1 : 0] : [];
    const ends = group.ends.filter((node) => !isBackward || DATA.wanted[node]);
    let text = para(safe(group.counts) + ".") + list(said);
    if (isBackward) {
      if (ends.length) text += heat(ends, slopes, `∂${safe(names[root])} by what it hands on`);
      for (const [stem, list] of group.arrays) {
        const asked = list.filter((node) => DATA.wanted[node]);
        if (asked.length) text += heat(asked, slopes, `∂${safe(names[root])} by ${safe(lowered(stem))}`);
      }
    } else {
      text += heat(ends, values, "What it hands on");
      for (const [stem, list] of group.arrays) text += heat(list, values, safe(lowered(stem)));
    }
    return `${text}<p><button type="button" class="look" data-unit="g${g}">Look inside</button></p>`;
  }

  function update() {
    const rates = DATA.update.rates.map((rate, i) => `<option${i === DATA.update.rates.length - 1 ? " selected" : ""}>${rate}</option>`);
    const button = (n, text) => `<button type="button" class="train" data-steps="${n}">${text}</button> `;
    return (
      para(safe(DATA.update.sentence)) +
      `<div class="training"><p><label>learning rate <select id="rate">${rates.join("")}</select></label> ` +
      button(1, "1 step") + button(50, "50 steps") +
      '<button type="button" id="again">Back to the start</button></p><p class="note" id="trained" role="status"></p>' +
      '<svg id="curve" viewBox="0 0 300 90" width="300" height="90" role="img" aria-label="The output after each step"><polyline points=""/></svg></div>'
    );
  }

  // What is computed outside all groups, such as a loss; index notation where that is much.
  function apart() {
    const nodes = kinds.flatMap((kind, node) => (kind >= 0 && DATA.inside[node] < 0 ? [node] : []));
    if (nodes.length > 6) return list(DATA.loss.slice(0, 8));
    return list(nodes.map((node) => chain(math(named(names[node])), filled(DATA.words[kinds[node]].formula, node))));
  }

  const unitNode = (unit) => (unit[0] === "n" ? Number(unit.slice(1)) : -1);

  // A step's title and its words, both HTML.
  function worded({ kind, unit }) {
    const node = unit ? unitNode(unit) : -1;
    const group = unit && node < 0 ? Number(unit.slice(1)) : -1;
    const title = group >= 0 ? safe(lowered(groups[group].title)) : "";
    if (kind === "question") {
      const tried = DATA.tried ? para("No values were given: the leaves start at random numbers.") : "";
      return ["The question", para(safe(lowered(DATA.question))) + tried + para(safe(DATA.why)) + apart() +
        para("Next goes from box to box. A box with a double frame opens where it stands, and its inside becomes steps too.", "dim")];
    }
    if (kind === "forward") {
      return group >= 0 ? [`${title}, forward`, groupWords(group, false)] : [asks(`forward-${node}`) ? math(named(names[node])) : math(named(names[node]), sign("="), digits(values[node])), forwardNode(node)];
    }
    if (kind === "seed") return [math(derivative(root), sign("="), "<mn>1</mn>"), para(`${math(named(names[root]))} changes exactly as much as itself: the backward pass starts from 1.`)];
    if (kind === "backward") {
      return group >= 0 ? [`${title}, backward`, groupWords(group, true)] : [math(derivative(node), sign("="), digits(slopes[node])), backwardNode(node)];
    }
    if (kind === "stable") return ["The stable form", DATA.stable];
    if (kind === "check") {
      return ["Is it right?", para(`Each of the ${DATA.asked.length.toLocaleString("en")} derivatives beside a difference quotient (f(x + h) − f(x − h))/2h, which knows no calculus. sympy judges the same in Python: <code>w.judge()</code>.`) +
        '<p><button type="button" id="judge">Compare them all</button></p><p><progress id="progress" max="1" value="0" hidden aria-label="Compared"></progress></p><p id="verdict" role="status"></p>'];
    }
    return ["Steps downhill", update()];
  }

  const PARTS = { question: "The question", forward: "Forward", seed: "The seed", backward: "Backward", stable: "Backward", check: "Agreement", update: "The update" };

  // -- steps ------------------------------------------------------------------------------------

  const wanted = (unit) => {
    const node = unitNode(unit);
    if (node >= 0) return Boolean(DATA.wanted[node]);
    const group = groups[Number(unit.slice(1))];
    return [...group.ends, ...group.leaves].some((end) => DATA.wanted[end]);
  };
  const computed = (unit) => {
    const node = unitNode(unit);
    if (node >= 0) return kinds[node] >= 0;
    const group = groups[Number(unit.slice(1))];
    return group.ends.some((end) => kinds[end] >= 0);
  };

  function arrange() {
    [picture, zoom, whole] = chosen();
    const { order } = picture;
    const ahead = order.filter(computed).map((unit) => ({ kind: "forward", unit }));
    const behind = [...order].reverse().filter(wanted).map((unit) => ({ kind: "backward", unit }));
    steps = [{ kind: "question" }, ...ahead, { kind: "seed", unit: LAYOUT.standing(root, open) }, ...behind];
    if (DATA.stable) steps.push({ kind: "stable" });
    steps.push({ kind: "check" }, { kind: "update" });
    drawGraph();
  }

  const idOf = ({ kind, unit }) => {
    const node = unit && kind !== "seed" ? unitNode(unit) : -1;
    return `step-${kind}${unit && kind !== "seed" ? `-${node >= 0 ? `n${DATA.ids[node]}` : unit}` : ""}`;
  };

  function show(index, move = true) {
    at = Math.max(0, Math.min(steps.length - 1, index));
    const step = steps[at];
    renew();
    one("previous").setAttribute("aria-disabled", String(at === 0));
    one("next").setAttribute("aria-disabled", String(at === steps.length - 1));
    one("place").textContent = `step ${at + 1} of ${steps.length}`;
    one("status").textContent = `Step ${at + 1} of ${steps.length}, ${PARTS[step.kind]}: ${one("heading").textContent}`;
    sliders(step);
    light(step);
    if (!whole) center();
    if (move && location.protocol !== "about:") history.replaceState(null, "", `#${idOf(step)}`);
  }

  // The words and the picture of the step, at the numbers as they are now.
  function renew() {
    const [title, words] = worded(steps[at]);
    one("step").innerHTML = `<p class="part" id="part">${PARTS[steps[at].kind]}</p><h2 id="heading" aria-labelledby="part heading" tabindex="-1">${title}</h2>${words}`;
    markGraph();
    if (steps[at].kind === "update") drawCourse(course);
  }

  // Marks the line of code that computes the number of a step.
  function light(step) {
    document.querySelector(".line.lit")?.classList.remove("lit");
    const [line, said] = DATA.lines[idOf(step).slice("step-".length)] ?? [];
    one("line-note").hidden = !said;
    one("line-note").textContent = said ?? "";
    if (!line) return;
    const lit = one(`line-${line}`);
    lit.classList.add("lit");
    const pre = lit.closest("pre");
    pre.scrollTop = lit.offsetTop - pre.offsetTop - pre.clientHeight / 2;
  }

  // Opens what a node is inside of, and goes to its step.
  function goTo(kind, node) {
    if (kind === "forward" && kinds[node] < 0) kind = "backward";
    const closed = LAYOUT.chains[node].filter((group) => !open.has(group));
    closed.forEach((group) => open.add(group));
    if (closed.length) arrange();
    const unit = `n${node}`;
    let index = steps.findIndex((step) => step.kind === kind && step.unit === unit);
    if (index < 0) index = steps.findIndex((step) => step.unit === unit);
    show(Math.max(index, 0));
  }

  function go(hash) {
    const found = /^#step-(\w+?)(?:-([ng])(\d+))?$/.exec(hash);
    if (!found) return false;
    const [, kind, letter, number] = found;
    if (letter === "n" && row.has(Number(number))) goTo(kind, row.get(Number(number)));
    else {
      const index = steps.findIndex((step) => `#${idOf(step)}` === hash);
      if (index < 0) return false;
      show(index);
    }
    return true;
  }

  // Opens or closes a group, and stays where the reader was.
  function toggle(g) {
    const here = steps[at];
    const inside = groups.map((_, i) => i).filter((i) => within(i, g));
    if (open.has(g)) for (const i of [g, ...inside]) open.delete(i);
    else open.add(g);
    arrange();
    let index = steps.findIndex((step) => step.kind === here.kind && step.unit === here.unit);
    const units = new Set(picture.order.filter((unit) => {
      const node = unitNode(unit);
      return node >= 0 ? LAYOUT.chains[node].includes(g) : within(Number(unit.slice(1)), g);
    }));
    if (index < 0 && open.has(g)) index = steps.findIndex((step) => step.kind === here.kind && units.has(step.unit));
    if (index < 0) index = steps.findIndex((step) => step.kind === here.kind && step.unit === `g${g}`);
    show(index < 0 ? Math.min(at, steps.length - 1) : index);
  }

  function within(inner, outer) {
    for (let g = groups[inner].parent; g >= 0; g = groups[g].parent) if (g === outer) return true;
    return false;
  }

  // -- the picture ------------------------------------------------------------------------------

  const text = (x, y, kind, content) => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${kind}">${safe(lowered(content))}</text>`;
  const cut = (content, length) => (content.length > length ? `${content.slice(0, length - 1)}…` : content);

  function drawGraph() {
    const { boxes, width, height } = picture;
    const counts = new Map();
    const weights = new Map();
    for (let node = 0; node < count; node++) {
      if (kinds[node] < 0) continue;
      const to = LAYOUT.standing(node, open);
      for (const operand of operands[node]) {
        if (kinds[operand] === -2) continue;
        const from = LAYOUT.standing(operand, open);
        if (from === to) continue;
        const key = `${from} ${to}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
        const weight = weightOf(node, operand);
        if (weight !== undefined && LAYOUT.standing(weight, open) === to) {
          weights.set(key, (weights.get(key) ?? new Set()).add(weight));
        }
      }
    }
    const frames = [];
    const drawn = [];
    for (const [unit, box] of boxes) (box.open ? frames : drawn).push(boxed(unit, box));
    const lines = [...counts].map(([key, number]) => edge(...key.split(" "), number, weights.get(key)));
    const svg = one("graph");
    svg.setAttribute("viewBox", `0 0 ${width.toFixed(0)} ${height.toFixed(0)}`);
    svg.innerHTML =
      '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path d="M0 1L10 5L0 9z" class="tip"/></marker>' +
      '<marker id="back" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11" orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path d="M0 1L10 5L0 9z" class="back-tip"/></marker></defs>' +
      frames.join("") + lines.join("") + drawn.join("");
    look();
    scale();
  }

  // The parameter that multiplies an operand, where something does.
  function weightOf(node, operand) {
    if (DATA.words[kinds[node]].text !== "{0}*{1}") return undefined;
    const [a, b] = operands[node];
    const other = operand === a ? b : a;
    return kinds[other] === -1 && DATA.inside[other] >= 0 ? other : undefined;
  }

  function boxed(unit, box) {
    const frame = `<rect x="${box.x.toFixed(1)}" y="${box.y.toFixed(1)}" width="${box.width}" height="${box.height}" rx="4"/>`;
    const node = unitNode(unit);
    const middle = box.x + box.width / 2;
    if (node >= 0) {
      const lines =
        text(middle, box.y + 17, "name", cut(lowered(nodeTitle(node)), 25)) +
        text(box.x + 8, box.y + 33, "what value", "value") +
        text(box.x + box.width - 8, box.y + 33, "number value", "—") +
        (DATA.wanted[node] ? text(box.x + 8, box.y + 50, "what derived", names[node].length + names[root].length < 12 ? `∂${names[root]}/∂${names[node]}` : "derivative") + text(box.x + box.width - 8, box.y + 50, "number derived", "—") : "");
      return `<g class="node" id="figure-${unit}" data-unit="${unit}" role="button" tabindex="0" data-name="${safe(names[node])}">${frame}${lines}</g>`;
    }
    const group = groups[Number(unit.slice(1))];
    const label = `data-name="${safe(group.title)}" aria-expanded="${box.open}"`;
    if (box.open) {
      return `<g class="group open" id="figure-${unit}" data-unit="${unit}" role="button" tabindex="0" ${label}>${frame}${text(box.x + 10, box.y + 18, "title", `− ${cut(group.title, 60)}`)}</g>`;
    }
    const inner = `<rect class="inner" x="${(box.x + 3).toFixed(1)}" y="${(box.y + 3).toFixed(1)}" width="${box.width - 6}" height="${box.height - 6}" rx="3"/>`;
    const counts = group.counts.split(", ");
    return (
      `<g class="node group" id="figure-${unit}" data-unit="${unit}" role="button" tabindex="0" ${label}>${frame}${inner}` +
      text(middle, box.y + 18, "name", cut(`+ ${group.title}`, 24)) +
      text(middle, box.y + 33, "counts", cut(counts.slice(0, 2).join(", "), 28)) +
      text(middle, box.y + 48, "counts span", "") + "</g>"
    );
  }

  // The name, and what it is computed by where that is short.
  function nodeTitle(node) {
    if (kinds[node] < 0) return names[node];
    const { text, prose } = DATA.words[kinds[node]];
    const formula = text.replace(/\{(\d+)\}/g, (_, i) => names[operands[node][i] ?? node]);
    const whole = `${names[node]} = ${formula}`;
    return lowered(whole).length <= 25 ? whole : `${names[node]}: ${prose}`;
  }

  function edge(from, to, number, weights) {
    const [a, b] = [picture.boxes.get(from), picture.boxes.get(to)];
    const { down } = picture;
    const [x1, y1] = down ? [a.x + a.width / 2, a.y + a.height] : [a.x + a.width, a.y + a.height / 2];
    const [x2, y2] = down ? [b.x + b.width / 2, b.y] : [b.x, b.y + b.height / 2];
    const bend = Math.max(down ? 16 : 24, Math.abs(down ? y2 - y1 : x2 - x1) / 2);
    const [right, below] = down ? [0, bend] : [bend, 0];
    const curve = [[x1, y1], [x1 + right, y1 + below], [x2 - right, y2 - below], [x2, y2]];
    const [start, ...rest] = curve.map((point) => point.map((x) => x.toFixed(1)).join(" "));
    const d = `M${start}C${rest.join(" ")}`;
    const many = number > 1 && picture.boxes.size < 60 ? text((x1 + x2) / 2, (y1 + y2) / 2 - 4, "local", number.toLocaleString("en")) : "";
    const weight = weights?.size === 1 ? ` data-weight="${[...weights][0]}"` : "";
    return `<g class="edge${weight && " weight"}" data-from="${from}" data-to="${to}"${weight}><path d="${d}" class="line" marker-end="url(#arrow)"/><path d="${d}" class="back" marker-start="url(#back)"/>${many}</g>`;
  }

  // What shows something in the picture, found once for each picture.
  function look() {
    const svg = one("graph");
    const places = {};
    ["forward", "backward", "seed"].forEach((kind) => {
      places[kind] = new Map(steps.flatMap((step, i) => (step.kind === kind ? [[step.unit, i]] : [])));
    });
    const known = (name) => ({
      ahead: computed(name) ? places.forward.get(name) : 0,
      behind: Math.min(places.backward.get(name) ?? steps.length - 1, places.seed.get(name) ?? Infinity),
    });
    nodes = [...svg.querySelectorAll(".node")].map((part) => ({
      part,
      name: part.dataset.unit,
      ...known(part.dataset.unit),
      value: part.querySelector(".number.value, .span"),
      slope: part.querySelector(".number.derived"),
      now: {},
    }));
    edges = [...svg.querySelectorAll(".edge")];
    weighed = edges.filter((part) => part.dataset.weight).map((part) => ({ part, node: Number(part.dataset.weight) }));
  }

  // Only what changes is touched: a browser places all words of a picture anew otherwise.
  function put(entry, part, now) {
    if (!entry[part] || Object.is(entry.now[part], now)) return;
    entry.now[part] = now;
    entry[part].textContent = typeof now === "number" ? shown(now) : now;
  }

  // What is known at this step, and what it is about.
  function markGraph() {
    const { kind, unit } = steps[at];
    for (const entry of nodes) {
      const { part, name, ahead, behind } = entry;
      const node = unitNode(name);
      if (node >= 0) {
        const asked = kind === "forward" && name === unit && asks(`forward-${node}`);
        put(entry, "value", asked ? "?" : at >= ahead ? values[node] : "—");
        put(entry, "slope", at >= behind ? slopes[node] : "—");
      } else {
        const { ends } = groups[Number(name.slice(1))];
        put(entry, "value", at >= behind ? `∂ ${range(ends, slopes)}` : at >= ahead ? range(ends, values) : "—");
      }
      part.classList.toggle("current", name === unit);
      part.classList.toggle("turn", name === unit && kind !== "forward");
    }
    weigh();
    map();
    for (const part of edges) {
      part.classList.toggle("feeds", kind === "forward" && part.dataset.to === unit);
      part.classList.toggle("current", kind === "backward" && part.dataset.to === unit);
    }
  }

  // Edges between neurons, by what they are multiplied by.
  function weigh() {
    const largest = Math.max(...weighed.map(({ node }) => Math.abs(values[node])).filter(Number.isFinite), 0) || 1;
    for (const entry of weighed) {
      const wide = (0.4 + (4.6 * Math.abs(values[entry.node])) / largest).toFixed(1);
      if (entry.wide !== wide) entry.part.style.setProperty("--wide", (entry.wide = wide));
      entry.part.classList.toggle("below", values[entry.node] < 0);
    }
  }

  function range(nodes, from) {
    const numbers = nodes.map((node) => from[node]);
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)].map((x) => shown(x, 3));
    return low === high ? low : `${low} … ${high}`;
  }

  const SMALLEST = 0.6;

  // How large the whole of a picture can be shown.
  function largest({ width, height }) {
    const view = one("graph").closest(".scroll");
    return Math.min(view.clientWidth / width, Math.max(320, innerHeight * 0.7) / height, 1.2);
  }

  // From left to right, or down where that is seen larger; whole where it can be read so, else the
  // surroundings of the step.
  function chosen() {
    const [across, down] = [false, true].map((way) => LAYOUT.all(open, way));
    const best = largest(down) > 1.2 * largest(across) ? down : across;
    const all = largest(best);
    return [best, all < SMALLEST ? 0.85 : all, all >= SMALLEST];
  }

  function scale() {
    const svg = one("graph");
    svg.setAttribute("width", Math.ceil(picture.width * zoom));
    svg.setAttribute("height", Math.ceil(picture.height * zoom));
  }

  // Brings a box into the middle, or where it is too large its beginning to the edge; without one
  // the beginning of the picture.
  function center(unit = steps[at].unit) {
    const view = one("graph").closest(".scroll");
    const { down, width, height } = picture;
    const first = down ? { x: 0, y: 0, width, height: 0 } : { x: 0, y: 0, width: 0, height };
    const box = picture.boxes.get(unit) ?? first;
    const from = (start, size, room) => start - Math.max(unit && box.open ? 8 : -Infinity, (room - size) / 2);
    view.scrollTo(
      from(zoom * box.x, zoom * box.width, view.clientWidth),
      from(zoom * box.y, zoom * box.height, view.clientHeight),
    );
  }

  function zoomBy(factor) {
    zoom = Math.max(0.05, Math.min(3, zoom * factor));
    [whole, held] = [false, true];
    scale();
    center();
  }

  // -- sliders ----------------------------------------------------------------------------------

  const MOST = 8;

  // Sliders for the leaves that the step is about; for the first that were asked for where it is
  // about none.
  function sliders({ unit }) {
    const node = unit ? unitNode(unit) : -1;
    let about = [];
    if (node >= 0) about = kinds[node] === -1 ? [node] : operands[node].filter((operand) => kinds[operand] === -1);
    else if (unit) about = groups[Number(unit.slice(1))].leaves;
    about = [...new Set(about)];
    if (!about.length) about = DATA.data.length ? DATA.data : kinds.flatMap((kind, i) => (kind === -1 ? [i] : []));
    const some = about.slice(0, MOST);
    const rows = some.map((leaf) => {
      const value = leaves[leaf];
      const middle = Math.abs(given[leaf]) < 1e300 ? given[leaf] : 0;
      const reach = Math.max(2, 2 * Math.abs(middle));
      const name = safe(names[leaf]);
      return (
        `<div class="leaf"><label for="slider-${leaf}">${safe(lowered(names[leaf]))}</label><input type="range" id="slider-${leaf}" data-leaf="${leaf}" min="${middle - reach}" max="${middle + reach}" step="any" value="${value}">` +
        `<input type="number" data-leaf="${leaf}" step="any" value="${value}" aria-label="${name} as a number"></div>`
      );
    });
    const more = about.length > MOST ? para(`${(about.length - MOST).toLocaleString("en")} more: find one by its name.`, "note") : "";
    one("sliders").innerHTML = `<p><strong>Move the leaves</strong> <button type="button" id="reset">Back to the given values</button></p>${rows.join("")}${more}`;
  }

  function moved(event) {
    const leaf = Number(event.target.dataset.leaf);
    const value = event.target.valueAsNumber;
    if (Number.isNaN(value)) return;
    leaves[leaf] = value;
    for (const field of one("sliders").querySelectorAll(`[data-leaf="${leaf}"]`)) {
      if (field !== event.target) field.value = String(value);
    }
    const top = one("sliders").getBoundingClientRect().top;
    compute();
    renew();
    scrollBy(0, one("sliders").getBoundingClientRect().top - top);
  }

  function restore() {
    given.forEach((value, leaf) => (leaves[leaf] = value));
    course.length = 0;
    compute();
    sliders(steps[at]);
    renew();
  }

  // -- judging and training ---------------------------------------------------------------------

  const quotient = (() => {
    const other = new Float64Array(count);
    return (leaf) => {
      const x = leaves[leaf];
      const h = DATA.difference.step * Math.max(1, Math.abs(x));
      const [outer, below, above, beyond] = [-2, -1, 1, 2].map((by) => {
        leaves[leaf] = x + by * h;
        return forward(other);
      });
      leaves[leaf] = x;
      const width = x + h - (x - h);
      const slope = (above - below) / width;
      const rounding = (1e-15 * Math.max(Math.abs(above), Math.abs(below))) / h;
      return [slope, Math.abs(slope - (beyond - outer) / (2 * width)) + 4 * rounding];
    };
  })();

  // Compares in short runs, so that the page goes on to answer.
  function judge() {
    const [bar, verdict] = [one("progress"), one("verdict")];
    const largest = Math.max(...DATA.asked.map((leaf) => Math.abs(slopes[leaf])).filter(Number.isFinite), 1e-3);
    const wrong = [];
    let [done, skipped] = [0, 0];
    bar.hidden = false;
    one("judge").disabled = true;
    const run = () => {
      if (!bar.isConnected) return;
      const end = performance.now() + 40;
      while (done < DATA.asked.length && performance.now() < end) {
        const leaf = DATA.asked[done++];
        const [slope, slack] = quotient(leaf);
        if (!Number.isFinite(slope) || !Number.isFinite(slopes[leaf])) skipped++;
        else if (!(Math.abs(slope - slopes[leaf]) <= 1e-6 * largest + slack)) wrong.push(names[leaf]);
      }
      bar.value = done / DATA.asked.length;
      verdict.textContent = `${done.toLocaleString("en")} of ${DATA.asked.length.toLocaleString("en")} compared`;
      if (done < DATA.asked.length) return setTimeout(run);
      const compared = done - skipped;
      verdict.textContent = wrong.length
        ? `They differ for ${wrong.slice(0, 6).join(", ")}${wrong.length > 6 ? ` and ${wrong.length - 6} more` : ""}.`
        : `All ${compared.toLocaleString("en")} agree.${skipped ? ` ${skipped} are not finite, so there is nothing to compare.` : ""}`;
      one("judge").disabled = false;
    };
    run();
  }

  // What a network gives, or else the output, over two of what it is given.
  const handed = groups.filter((group) => group.parent < 0 && /^layer/.test(group.title)).pop()?.ends ?? [];
  const shownThere = handed.length === 1 ? handed[0] : root;
  const map = plane(
    lowered(names[shownThere]),
    () => leaves,
    (at) => {
      const all = new Float64Array(count);
      forward(all, at);
      return all[shownThere];
    },
    Math.max(8, Math.min(40, Math.floor(Math.sqrt(500000 / count)))),
  );

  const course = [];

  function train(number) {
    const rate = Number(one("rate").value);
    if (!course.length) course.push(values[root]);
    for (let i = 0; i < number; i++) {
      for (const leaf of DATA.update.leaves) leaves[leaf] -= rate * slopes[leaf];
      compute();
      course.push(values[root]);
    }
    const chosen = one("rate").value;
    sliders(steps[at]);
    renew();
    one("rate").value = chosen;
  }

  // -- finding ----------------------------------------------------------------------------------

  let active = -1;

  function find() {
    const typed = one("search").value.trim().toLowerCase();
    const found = [];
    if (typed) {
      const places = [0, 1, 2].map(() => []);
      const sort = (name, entry) => {
        const where = name.toLowerCase().indexOf(typed);
        if (where >= 0) places[name.length === typed.length ? 0 : where ? 2 : 1].push(entry);
      };
      groups.forEach((group, g) => sort(group.title, { label: group.title, unit: `g${g}` }));
      names.forEach((name, i) => kinds[i] !== -2 && sort(name, { label: nodeTitle(i), unit: `n${i}` }));
      found.push(...places.flat().slice(0, 12));
    }
    active = found.length ? 0 : -1;
    one("found").innerHTML = found.map(({ label, unit }, i) => `<li role="option" id="found-${i}" data-unit="${unit}" aria-selected="${i === 0}">${safe(label)}</li>`).join("");
    if (typed && !found.length) one("found").innerHTML = '<li role="option" aria-selected="false" aria-disabled="true">nothing has that name</li>';
    opened(Boolean(typed));
  }

  function opened(on) {
    one("found").hidden = !on;
    one("search").setAttribute("aria-expanded", String(on));
    if (on && active >= 0) one("search").setAttribute("aria-activedescendant", `found-${active}`);
    else one("search").removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    if (!option?.dataset.unit) return;
    opened(false);
    const unit = option.dataset.unit;
    const node = unitNode(unit);
    if (node >= 0) goTo(steps[at].kind === "backward" ? "backward" : "forward", node);
    else {
      for (let g = groups[Number(unit.slice(1))].parent; g >= 0; g = groups[g].parent) open.add(g);
      open.delete(Number(unit.slice(1)));
      arrange();
      show(Math.max(0, steps.findIndex((step) => step.unit === unit)));
    }
    [whole, held] = [false, true];
    if (zoom < SMALLEST) zoom = 0.85;
    scale();
    center();
  }

  function pick(by) {
    const options = [...one("found").querySelectorAll("[data-unit]")];
    if (!options.length) return;
    active = (active + by + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    options[active].scrollIntoView({ block: "nearest" });
    opened(true);
  }

  // -- listening --------------------------------------------------------------------------------

  // A box is pressed: a group opens or closes, a node is gone to.
  function press(unit) {
    const node = unitNode(unit);
    if (node < 0) {
      toggle(Number(unit.slice(1)));
      if (!whole) center(unit);
      one(`figure-${unit}`)?.focus({ preventScroll: true });
    } else goTo(steps[at].kind === "backward" ? "backward" : "forward", node);
  }

  function listen() {
    const play = player(() => {
      show(at + 1);
      return at < steps.length - 1;
    });
    play.listen();
    one("previous").addEventListener("click", () => show(at - 1));
    one("next").addEventListener("click", () => show(at + 1));
    one("whole").addEventListener("click", () => {
      [whole, held] = [true, false];
      zoom = largest(picture);
      scale();
    });
    one("here").addEventListener("click", () => {
      [whole, held] = [false, true];
      zoom = Math.max(zoom, 0.85);
      scale();
      center();
    });
    one("in").addEventListener("click", () => zoomBy(1.25));
    one("out").addEventListener("click", () => zoomBy(0.8));
    one("close").addEventListener("click", () => {
      open.clear();
      arrange();
      show(at);
    });
    addEventListener("hashchange", () => go(location.hash));
    addEventListener("resize", () => {
      if (held) return;
      arrange();
      markGraph();
      if (!whole) center();
    });
    document.addEventListener("keydown", (event) => {
      const box = event.target.closest?.("#graph [data-unit]");
      if (box && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        press(box.dataset.unit);
        return;
      }
      const busy = event.target.closest("input, select, textarea, .scroll, pre");
      if ((busy && !box) || event.ctrlKey || event.metaKey || event.altKey) return;
      const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length - 1 };
      if (keys[event.key] === undefined) return;
      event.preventDefault();
      show(keys[event.key]);
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest('a[href^="#step-"]');
      const box = event.target.closest("#graph [data-unit], .look");
      if (link && go(link.getAttribute("href"))) event.preventDefault();
      if (box) press(box.dataset.unit);
      if (event.target.matches(".train")) train(Number(event.target.dataset.steps));
      if (event.target.matches("#again, #reset")) restore();
      if (event.target.id === "judge") judge();
      if (event.target.matches(".reveal")) reveal(event.target.form);
      if (!event.target.closest(".finder")) opened(false);
    });
    one("predict").addEventListener("change", () => {
      answered.clear();
      if (one("plane")) one("plane").hidden = one("predict").checked;
      show(at);
    });
    one("step").addEventListener("submit", (event) => {
      event.preventDefault();
      answer(event.target);
    });
    one("sliders").addEventListener("input", moved);
    one("sliders").addEventListener("submit", (event) => event.preventDefault());
    one("search").addEventListener("input", find);
    one("search").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") pick(1);
      else if (event.key === "ArrowUp") pick(-1);
      else if (event.key === "Enter") choose(one("found").querySelectorAll("[data-unit]")[active]);
      else if (event.key === "Escape") opened(false);
      else return;
      event.preventDefault();
    });
    one("found").addEventListener("pointerdown", (event) => {
      event.preventDefault();
      choose(event.target.closest("[data-unit]"));
    });
  }

  document.documentElement.classList.add("scripted");
  for (const part of document.querySelectorAll(".script")) part.hidden = false;
  one("all").open = false;
  addEventListener("beforeprint", () => (one("all").open = true));
  compute();
  arrange();
  listen();
  if (!go(location.hash)) show(0, false);
})();
