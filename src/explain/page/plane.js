"use strict";
// A picture of an output over two leaves: blue where it is above the middle, orange below, strong
// where it is far from it, so that a boundary is where the colours meet.
const REACH = 2;

// Draws it when it is open, and again by what is answered: `numbers` gives the leaves, `output` is
// the number of this name at given leaves, `cells` says how finely.
function plane(name, numbers, output, cells) {
  const [box, canvas, said, ...chosen] = ["plane", "plane-map", "plane-said", "plane-x", "plane-y"].map((id) =>
    document.getElementById(id),
  );
  let [timer, took] = [0, 0];
  const draw = () => {
    if (!box.open) return;
    const start = performance.now();
    const leaves = [...numbers()];
    const [a, b] = chosen.map((part) => Number(part.value));
    const middle = [leaves[a], leaves[b]];
    const at = (x, y) => {
      [leaves[a], leaves[b]] = [x, y];
      return output(leaves);
    };
    const [across, up] = chosen.map((part, i) => {
      const [from, to] = [-REACH, REACH].map((by) => shown(middle[i] + by, 3));
      return `${part.selectedOptions[0].textContent} from ${from} to ${to}`;
    });
    said.textContent = `${across} across, ${up} up. ${name} goes ${drawPlane(canvas, at, middle, REACH, cells)}.`;
    took = performance.now() - start;
  };
  // Once all else is shown: a slider does not wait for it. What takes long waits for the slider.
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(draw, took > 20 ? 200 : 20);
  };
  box?.addEventListener("toggle", later);
  for (const part of chosen) part?.addEventListener("input", later);
  return box ? later : () => {};
}

function drawPlane(canvas, at, [x, y], reach, cells) {
  const side = canvas.width;
  const edge = (i) => Math.round((side * i) / cells);
  const across = (i) => x - reach + (2 * reach * (i + 0.5)) / cells;
  const up = (j) => y + reach - (2 * reach * (j + 0.5)) / cells;
  const rows = Array.from({ length: cells }, (_, j) => Array.from({ length: cells }, (_, i) => at(across(i), up(j))));
  const known = rows.flat().filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  // Numbers of both signs are told apart at 0, probabilities at a half.
  const between = (x) => low < x && x < high;
  const middle = between(0) ? 0 : between(0.5) && low >= 0 && high <= 1 ? 0.5 : (low + high) / 2;
  const far = Math.max(high - middle, middle - low) || 1;
  const style = getComputedStyle(document.documentElement);
  const [blue, orange, ink] = ["--forward", "--backward", "--ink"].map((name) => style.getPropertyValue(name));
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, side, side);
  rows.forEach((row, j) => row.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    pen.globalAlpha = Math.min(1, Math.abs(value - middle) / far);
    pen.fillStyle = value < middle ? orange : blue;
    const [left, top] = [edge(i), edge(j)];
    pen.fillRect(left, top, edge(i + 1) - left, edge(j + 1) - top);
  }));
  pen.globalAlpha = 1;
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(side / 2, side / 2, 5, 0, 7);
  pen.stroke();
  return known.length ? `from ${shown(low, 3)} to ${shown(high, 3)}; blue is above ${shown(middle, 3)}, orange below` : "nowhere finite";
}
