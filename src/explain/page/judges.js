"use strict";
// What the tables of steps 5 and 7 say where the leaves have been moved to: numbers and words by
// the key of their cell, from DATA and the programs that are described in page.js.
const JUDGES = (() => {
  function sayAll(names) {
    const [last, ...rest] = [...names].reverse();
    return rest.length ? `${rest.reverse().join(", ")} and ${last}` : last;
  }

  // Each derivative by four ways, and whether they agree: the same limits as in the Python.
  function agreement(leaves, values) {
    const { rows, conventions } = DATA.judges;
    const found = {};
    const simplified = SIMPLIFIED(...leaves).gradient;
    const [sympy, steady] = [SYMPY, STEADY].map((formulas) =>
      formulas ? formulas(...leaves) : rows.map(() => null),
    );
    const largest = Math.max(0, ...rows.map((row) => Math.abs(values[row[2]])).filter(isFinite));
    const [odd, notes] = [[], []];
    let compared = 0;
    rows.forEach(([name, leaf, place], i) => {
      const graph = values[place];
      const quotient = difference(leaves, leaf);
      // Where sympy's formula overflows, its stable form may not.
      const written = [sympy[i], steady[i]].filter((x) => x !== null);
      const bySympy = written.find(Number.isFinite) ?? written[0] ?? null;
      Object.assign(found, {
        [`graph-${i}`]: graph,
        [`sympy-${i}`]: bySympy,
        [`difference-${i}`]: quotient.slope,
        [`compiled-${i}`]: simplified[i],
      });
      const ways = [
        ["the backward pass", graph],
        ["sympy", bySympy],
        ["the compiled function", simplified[i]],
        ["the difference quotient", quotient.slope],
      ].filter(([, x]) => Number.isFinite(x));
      if (ways.length < 2) {
        found[`agree-${i}`] = "—";
        const only = ways.length ? `${ways[0][0]} alone has a number` : "not finite";
        notes.push(`${name}: ${only}, so there is nothing to compare.`);
        return;
      }
      compared++;
      const [[first, right], ...others] = ways;
      const scale = Math.max(Math.abs(right), largest);
      const whole = first === "the backward pass";
      const room = {
        sympy: 1e-9 * scale,
        "the compiled function": (whole ? 1e-12 : 1e-9) * scale,
        "the difference quotient": 1e-6 * Math.max(scale, 1e-3) + quotient.slack,
      };
      const far = ([way, x]) => !(Math.abs(x - right) <= room[way]);
      const wrong = others.filter(far).map(([way]) => way);
      if (whole && !Number.isFinite(simplified[i])) wrong.push("the compiled function");
      found[`agree-${i}`] = wrong.length ? "NO" : "yes";
      if (!wrong.length) {
        const said = `${name}: rule by rule it is ${shownPlainly(graph)}, the others agree.`;
        if (!whole) notes.push(said);
        return;
      }
      odd.push(name);
      const say = `${name}: ${sayAll(wrong)} say${wrong.length === 1 ? "s" : ""} otherwise`;
      const bent = conventions && quotient.kink && !wrong.includes("the compiled function");
      const why = `; at a kink there is no derivative, only a convention (${conventions})`;
      notes.push(`${say}${bent ? why : ""}.`);
    });
    found.notes = notes.join(" ");
    if (odd.length) found.conclusion = `They disagree about ${sayAll(odd)}.`;
    else if (!compared) found.conclusion = "Nothing here is finite, so there is nothing to compare.";
    else if (notes.length) found.conclusion = "Those that are finite agree.";
    else found.conclusion = `They agree${rows.length > 1 ? " on every leaf" : ""}.`;
    return found;
  }

  // A number that is not finite, as Python writes it.
  function shownPlainly(x) {
    return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
  }

  // A central difference of the forward pass, how far it may be off, and whether there is a kink.
  function difference(leaves, leaf) {
    const x = leaves[leaf];
    const h = DATA.judges.step * Math.max(1, Math.abs(x));
    if (!Number.isFinite(h) || x + h === x) return { slope: NaN, slack: Infinity, kink: false };
    const [outer, below, here, above, other] = [-2, -1, 0, 1, 2].map((by) => {
      const point = [...leaves];
      point[leaf] = x + by * h;
      return FORWARD(...point, ...leaves);
    });
    const width = x + h - (x - h);
    const [slope, wide] = [(above - below) / width, (other - outer) / (2 * width)];
    const rounding = (1e-15 * Math.max(Math.abs(above), Math.abs(below))) / h;
    const [left, right] = [(here - below) / h, (above - here) / h];
    const bend = 1e-3 * Math.max(Math.abs(left), Math.abs(right)) + 8 * rounding;
    if (Math.abs(x) > DATA.judges.far) return { slope, slack: Infinity, kink: false };
    const slack = Math.abs(slope - wide) + 4 * rounding;
    return { slope, slack, kink: Math.abs(right - left) > bend };
  }

  // Moves the leaves that an update moves, and answers where that leads to.
  function downhill(leaves, rate, gradient) {
    const point = [...leaves];
    const places = DATA.judges.rows.map((row) => row[1]);
    for (const leaf of DATA.update.leaves) point[leaf] -= rate * gradient[places.indexOf(leaf)];
    return point;
  }

  // One step downhill for each rate: the program again, at the leaves it leads to.
  function update(leaves) {
    const { value, gradient } = SIMPLIFIED(...leaves);
    const moved = DATA.judges.rows.map((row, i) => (DATA.update.leaves.includes(row[1]) ? gradient[i] : 0));
    const squared = moved.reduce((sum, slope) => sum + slope * slope, 0);
    const found = { before: value, norm: squared };
    DATA.update.rates.forEach((rate, i) => {
      const after = SIMPLIFIED(...downhill(leaves, rate, gradient)).value;
      const [predicted, actual] = [rate * squared, value - after];
      Object.assign(found, {
        [`predicted-${i}`]: predicted,
        [`actual-${i}`]: actual,
        [`new-${i}`]: after,
        [`verdict-${i}`]: verdict(predicted, actual),
      });
    });
    return found;
  }

  function verdict(predicted, actual) {
    if (!Number.isFinite(predicted) || !Number.isFinite(actual)) return "not finite";
    if (predicted === 0) return "the gradient is 0: nothing moves";
    const ratio = actual / predicted;
    if (ratio < 0) return "it rose: the step is too long";
    if (Math.abs(ratio - 1) <= 0.01) return "as predicted, to 1%";
    return `${(100 * ratio).toFixed(0)}% of the prediction`;
  }

  return { agreement, downhill, update };
})();
