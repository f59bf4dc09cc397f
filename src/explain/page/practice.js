"use strict";
// Fresh expressions to differentiate. OPERATIONS are programs and formulas that the compiler
// emitted; an expression is a list of nodes, operands before what they are operands of.
const PRACTICE = (() => {
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const near = (a, b) => Math.abs(a - b) <= 0.005 * Math.max(Math.abs(b), 1e-6);

  function node(kind, operands, nodes) {
    const found = kind.run[0](...operands.map((operand) => nodes[operand].value));
    return { kind, operands, value: found[0], local: found.slice(1) };
  }

  // Leaves with small whole numbers, and operations each of which reads the one before it.
  function attempt(level) {
    const names = level === 1 ? ["a", "b"] : ["a", "b", "c"].slice(0, 2 + (level > 2));
    const nodes = names.map((name) => ({ name, operands: [], value: pick([-3, -2, -1, 1, 2, 3]) }));
    const kinds = OPERATIONS.filter((kind) => kind.level <= level);
    const length = level + 1 + Math.floor(Math.random() * 2);
    for (let i = 0; i < length; i++) {
      const kind = pick(kinds);
      const last = i ? nodes.length - 1 : Math.floor(Math.random() * names.length);
      const other = () => Math.floor(Math.random() * nodes.length);
      const operands = kind.passes.length > 1 ? pick([[last, other()], [other(), last]]) : [last];
      nodes.push({ ...node(kind, operands, nodes), name: i === length - 1 ? "L" : `v${i + 1}` });
    }
    const back = backward(nodes);
    const count = (leaf) => nodes.filter((n) => n.operands.includes(leaf)).length;
    const used = names.map((_, leaf) => leaf).filter((leaf) => back.slopes[leaf] !== 0);
    const often = used.filter((leaf) => count(leaf) > 1);
    const asked = pick(level === 1 ? used : often);
    const tame = nodes.every(({ value }) => Math.abs(value) < 200 && Number.isFinite(value));
    const shown = level < 3 || nodes.some(({ kind }) => kind?.level === 3);
    return asked === undefined || !tame || !shown || Math.abs(back.slopes[asked]) > 2000
      ? null
      : { nodes, asked, answer: back.slopes[asked], ...back };
  }

  function fresh(level) {
    for (;;) {
      const found = attempt(level);
      if (found) return found;
    }
  }

  // The derivatives, and the shares that each node passes on.
  function backward(nodes) {
    const slopes = nodes.map(() => 0);
    slopes[nodes.length - 1] = 1;
    const shares = nodes.map(() => []);
    for (let i = nodes.length - 1; i >= 0; i--) {
      const { kind, operands } = nodes[i];
      if (!kind) continue;
      shares[i] = kind.run[1](slopes[i], ...operands.map((operand) => nodes[operand].value));
      operands.forEach((operand, position) => (slopes[operand] += shares[i][position]));
    }
    return { slopes, shares };
  }

  const text = ({ nodes }, i) =>
    nodes[i].kind.text.replace(/\{(\d)\}/g, (_, place) => nodes[nodes[i].operands[place]].name);

  // -- as it is shown ---------------------------------------------------------------------------

  const named = (name) =>
    /\d/.test(name) ? `<msub><mi>${name[0]}</mi><mn>${name.slice(1)}</mn></msub>` : `<mi>${name}</mi>`;
  const number = (x, bracketed) => {
    const digits = shown(x);
    return `<mn>${bracketed && digits.startsWith("−") ? `(${digits})` : digits}</mn>`;
  };
  const math = (...parts) => `<math>${parts.join("")}</math>`;
  const equals = "<mo>=</mo>";
  const slope = (name) =>
    `<mfrac><mrow><mi>∂</mi><mi>L</mi></mrow><mrow><mi>∂</mi>${named(name)}</mrow></mfrac>`;

  function filled(form, { nodes }, i) {
    const parts = [...nodes[i].operands.map((operand) => nodes[operand]), nodes[i]];
    return form
      .replace(/<i data-o="(\d+)"><\/i>/g, (_, place) => named(parts[place].name))
      .replace(/<i data-x="(\d+)"( data-b)?><\/i>/g, (_, place, b) => number(parts[place].value, Boolean(b)));
  }

  function exercise(found) {
    const { nodes } = found;
    const leaves = nodes.filter(({ kind }) => !kind);
    const given = leaves.map(({ name, value }) => math(named(name), equals, number(value))).join(", ");
    const lines = nodes.flatMap(({ kind, name }, i) =>
      kind ? [`<li>${math(named(name), equals)}${filled(kind.formula, found, i)}</li>`] : [],
    );
    return `<p>at ${given}</p><ol>${lines.join("")}</ol>`;
  }

  function solution(found) {
    const { nodes, slopes, shares } = found;
    const ahead = nodes.flatMap(({ kind, name, value }, i) =>
      kind ? [`<li>${math(named(name), equals)}${filled(kind.numbers, found, i)}${math(equals, number(value))}</li>`] : [],
    );
    const behind = [];
    for (let i = nodes.length - 1; i >= 0; i--) {
      const arrived = nodes.flatMap(({ operands }, reader) =>
        operands.flatMap((operand, position) =>
          operand === i
            ? [`${number(slopes[reader], true)}<mo>×</mo>${number(nodes[reader].local[position], true)}`]
            : [],
        ),
      );
      if (!arrived.length && i < nodes.length - 1) continue;
      const sum = arrived.length ? `${arrived.join("<mo>+</mo>")}${equals}` : "";
      behind.push(`<li>${math(slope(nodes[i].name), equals, sum, number(slopes[i]))}</li>`);
    }
    return `<h3>Forward</h3><ol>${ahead.join("")}</ol><h3>Backward: upstream × local, added</h3><ol>${behind.join("")}</ol>`;
  }

  function listen(one) {
    let found = null;
    let [right, asked, open] = [0, 0, false];

    function next() {
      found = fresh(Number(one("level").value));
      asked++;
      open = true;
      one("exercise").innerHTML = exercise(found);
      one("asked").innerHTML = `${math(slope(found.nodes[found.asked].name))} is `;
      one("answer").hidden = false;
      one("typed").value = "";
      one("judged").textContent = one("solution").textContent = "";
    }

    function check() {
      const typed = one("typed").value.trim();
      let value = NaN;
      try {
        value = readFormula(typed).run([]);
      } catch {
        one("judged").textContent = "A number, or one to be worked out, such as 2*3 + 1.";
        return;
      }
      const fits = near(value, found.answer);
      if (open && fits) right++;
      open = open && !fits;
      one("judged").textContent = fits
        ? `Right: ${shown(found.answer)}. ${right} of ${asked} without looking.`
        : `Not ${typed}. Which shares arrive at ${found.nodes[found.asked].name}? Add them all.`;
      one("judged").className = fits ? "right" : "wrong";
    }

    one("fresh").addEventListener("click", next);
    one("level").addEventListener("change", next);
    one("practice").addEventListener("toggle", () => found || next());
    one("answer").addEventListener("submit", (event) => {
      event.preventDefault();
      check();
    });
    one("solve").addEventListener("click", () => {
      open = false;
      one("solution").innerHTML = solution(found);
    });
  }

  return { fresh, text, listen };
})();
