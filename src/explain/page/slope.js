"use strict";
// A picture of a slope: FORWARD along one leaf around where it is, the tangent there, and a nudge.
const CURVE = (() => {
  const [WIDTH, HEIGHT, EDGE, POINTS] = [320, 180, 8, 80];

  const at = (leaves, leaf, x) => {
    const point = [...leaves];
    point[leaf] = x;
    return FORWARD(...point, ...leaves);
  };

  function draw(leaves, leaf, slope, nudge) {
    const middle = leaves[leaf];
    const reach = 1.5;
    const here = at(leaves, leaf, middle);
    const xs = Array.from({ length: POINTS + 1 }, (_, i) => middle + reach * ((2 * i) / POINTS - 1));
    const ys = xs.map((x) => at(leaves, leaf, x));
    const known = [...ys.filter(Number.isFinite), here].filter(Number.isFinite);
    if (!known.length || !Number.isFinite(middle)) return { picture: "", said: "Nothing is finite here." };
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const room = high - low || 1;
    const across = (x) => EDGE + ((WIDTH - 2 * EDGE) * (x - middle + reach)) / (2 * reach);
    const up = (y) => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (y - low)) / room;
    const spot = (x, y) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`;
    const runs = [[]];
    xs.forEach((x, i) => (Number.isFinite(ys[i]) ? runs[runs.length - 1].push(spot(x, ys[i])) : runs.push([])));
    const curves = runs.map((run) => `<polyline class="curve" points="${run.join(" ")}"/>`);
    const tangent = [-reach, reach].map((by) => spot(middle + by, here + slope * by)).join(" ");
    const [moved, promised] = [at(leaves, leaf, middle + nudge), here + slope * nudge];
    const ends = Number.isFinite(moved) && Number.isFinite(promised)
      ? `<line class="gap" x1="${across(middle + nudge)}" x2="${across(middle + nudge)}" y1="${up(promised)}" y2="${up(moved)}"/>` +
        `<circle cx="${across(middle + nudge)}" cy="${up(moved)}" r="4" class="moved"/>`
      : "";
    const start = Number.isFinite(here) ? `<circle cx="${across(middle)}" cy="${up(here)}" r="4"/>` : "";
    const straight = Number.isFinite(slope) && Number.isFinite(here) ? `<polyline class="tangent" points="${tangent}"/>` : "";
    const said =
      `Nudged by ${shown(nudge, 3)}, the slope ${shown(slope, 4)} promises a change of ` +
      `${shown(slope * nudge, 4)}; it is ${shown(moved - here, 4)}.`;
    return { picture: curves.join("") + straight + ends + start, said };
  }

  return { draw };
})();
