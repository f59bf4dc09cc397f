"use strict";
// Where boxes go. A unit is a node or a group, by a text such as "n3" or "g0". A group that is open
// holds the layout of what is inside it; ranks run from left to right, or down, by the longest path
// back from what reads a unit.
const LAYOUT = (() => {
  const [BOX, LEAF, TALL, GAP, STRIDE, FALL, HEAD, ROOM] = [184, 128, 56, 12, 64, 40, 26, 14];

  // For each node the groups it is inside, the outermost first.
  const chains = DATA.inside.map((group) => {
    const chain = [];
    for (let g = group; g >= 0; g = DATA.groups[g].parent) chain.unshift(g);
    return chain;
  });

  // What stands for a node within a container, whose depth is given.
  const unitIn = (node, depth) =>
    chains[node].length > depth ? `g${chains[node][depth]}` : `n${node}`;

  function size(unit, inner) {
    if (inner) return [inner.width + 2 * ROOM, inner.height + HEAD + 2 * ROOM];
    if (unit[0] === "g") return [BOX, TALL];
    return DATA.kinds[Number(unit.slice(1))] < 0 ? [LEAF, TALL] : [BOX, TALL];
  }

  // The units of a container with their places, relative to it.
  function inside(nodes, depth, open, down) {
    const members = new Map();
    for (const node of nodes) {
      const unit = unitIn(node, depth);
      if (!members.has(unit)) members.set(unit, []);
      members.get(unit).push(node);
    }
    const last = new Map([...members].map(([unit, list]) => [unit, list[list.length - 1]]));
    const sources = new Map([...members.keys()].map((unit) => [unit, new Set()]));
    for (const [unit, list] of members) {
      for (const node of list) {
        for (const operand of DATA.operands[node]) {
          const source = unitIn(operand, depth);
          if (members.has(source) && source !== unit) sources.get(unit).add(source);
        }
      }
    }
    // What is read comes first; groups may read each other, as layers of a recurrent network do.
    const [order, position, entered] = [[], new Map(), new Set()];
    const enter = (unit) => {
      if (entered.has(unit)) return;
      entered.add(unit);
      for (const source of sources.get(unit)) enter(source);
      position.set(unit, order.length);
      order.push(unit);
    };
    [...members.keys()].sort((a, b) => last.get(a) - last.get(b)).forEach(enter);
    const readers = new Map(order.map((unit) => [unit, []]));
    for (const unit of order) {
      for (const source of sources.get(unit)) {
        if (position.get(source) < position.get(unit)) readers.get(source).push(unit);
      }
    }
    const rank = new Map();
    for (const unit of [...order].reverse()) {
      rank.set(unit, Math.min(0, ...readers.get(unit).map((reader) => rank.get(reader) - 1)));
    }
    const first = Math.min(...rank.values());
    const rows = [];
    for (const unit of order) {
      const group = Number(unit.slice(1));
      const opened = unit[0] === "g" && open.has(group);
      const inner = opened ? inside(members.get(unit), depth + 1, open, down) : null;
      const [width, height] = size(unit, inner);
      const [along, across] = down ? [height, width] : [width, height];
      const row = (rows[rank.get(unit) - first] ??= { along: 0, across: -GAP, units: [] });
      row.along = Math.max(row.along, along);
      row.across += across + GAP;
      row.units.push({ unit, width, height, along, across, inner });
    }
    const widest = Math.max(...rows.map((row) => row.across));
    const placed = [];
    let from = 0;
    for (const row of rows) {
      let beside = (widest - row.across) / 2;
      for (const item of row.units) {
        const middle = from + (row.along - item.along) / 2;
        placed.push({ ...item, ...(down ? { x: beside, y: middle } : { x: middle, y: beside }) });
        beside += item.across + GAP;
      }
      from += row.along + (down ? FALL : STRIDE);
    }
    const length = from - (down ? FALL : STRIDE);
    const [width, height] = down ? [widest, length] : [length, widest];
    return { width, height, units: placed, order };
  }

  // All visible units with absolute places, open groups before what is in them, and their order.
  function flat(inner, x, y, boxes, order) {
    const known = new Map(inner.units.map((item) => [item.unit, item]));
    for (const unit of inner.order) {
      const item = known.get(unit);
      const box = { ...item, x: x + item.x, y: y + item.y, open: Boolean(item.inner) };
      boxes.set(unit, box);
      if (item.inner) flat(item.inner, box.x + ROOM, box.y + HEAD + ROOM, boxes, order);
      else order.push(unit);
    }
  }

  function all(open, down) {
    const nodes = DATA.kinds.flatMap((kind, node) => (kind === -2 ? [] : [node]));
    const inner = inside(nodes, 0, open, down);
    const [boxes, order] = [new Map(), []];
    flat(inner, ROOM, ROOM, boxes, order);
    return { boxes, order, down, width: inner.width + 2 * ROOM, height: inner.height + 2 * ROOM };
  }

  // The outermost unit that stands for a node while some groups are open.
  function standing(node, open) {
    const closed = chains[node].find((group) => !open.has(group));
    return closed === undefined ? `n${node}` : `g${closed}`;
  }

  return { all, standing, chains, HEAD };
})();
