// The module tree: folded paths put back into a tree, in which layers that are alike stay one node.

const INDEXED = Symbol("indexed");
const MOST_NAMES = 24; // siblings that are shown one by one
const MOST_INDICES = 100_000; // more than any model has layers or experts

/**
 * The tree of a report's census. A node stands for modules at one place of all layers that are alike; its
 * own part is `own`; its totals (`sites`, `parameters`, `adapted`, `saved`, and those by role) include what is below it.
 * `has` says whether a module has adapters, and `saves` whether all of it is trained.
 */
function moduleTree(modules, has, saves = () => false) {
  const adapts = { adapted: has, saved: saves };
  const rows = modules.map((module) => ({
    segments: module.pattern === "" ? [] : segments(module.pattern),
    module,
    portion: 1,
  }));
  return grown({ name: "", path: "", indices: 0 }, rows, adapts);
}

function grown(identity, rows, adapts) {
  const here = rows.filter((row) => row.segments.length === 0);
  const node = { ...identity, own: totals(here, adapts), children: [] };
  const below = new Map(); // by name; what has an index, together
  for (const row of rows) {
    if (row.segments.length === 0) continue;
    for (const [name, step] of steps(row)) {
      if (!below.has(name)) below.set(name, []);
      below.get(name).push(step);
    }
  }
  for (const [name, inside] of below) {
    if (name === INDEXED) {
      node.children.push(...layers(node, inside, adapts));
    } else {
      node.children.push(grown({ name, path: joined(node.path, name), indices: 0 }, inside, adapts));
    }
  }
  return summed(node);
}

function joined(path, name) {
  return path ? `${path}.${name}` : name;
}

/** A row, one level down: below each name that its first segment stands for, or with its indices. */
function* steps({ segments: [first, ...rest], module, portion }) {
  if (first.indices) {
    yield [INDEXED, { segments: rest, module, portion, indices: first.indices }];
  } else if (first.names.length > MOST_NAMES) {
    yield [first.text, { segments: rest, module, portion }];
  } else {
    for (const name of first.names) yield [name, { segments: rest, module, portion: portion / first.names.length }];
  }
}

/** Nodes for what has indices: one for all those below which everything is the same. */
function layers(parent, rows, adapts) {
  const holders = new Map(); // each index, and the rows that have it
  rows.forEach((row, n) => row.indices.forEach((index) => holders.set(index, [...(holders.get(index) ?? []), n])));
  const alike = new Map();
  for (const [index, held] of [...holders].sort(([a], [b]) => a - b)) {
    const key = held.join(" ");
    if (!alike.has(key)) alike.set(key, { indices: [], held });
    alike.get(key).indices.push(index);
  }
  const made = [...alike.values()].map(({ indices, held }) => {
    const inside = held.map((n) => ({
      ...rows[n],
      portion: rows[n].portion * (indices.length / rows[n].indices.length),
    }));
    return layer(parent, indices, inside, adapts);
  });
  return merged(parent, made, adapts);
}

function layer(parent, indices, inside, adapts) {
  const name = written(indices);
  return {
    ...grown({ name, path: joined(parent.path, name), indices: indices.length }, inside, adapts),
    numbers: indices,
    rows: inside,
  };
}

/** Nodes of different rows that look the same, as one. */
function merged(parent, made, adapts) {
  const groups = new Map();
  for (const node of made) {
    const key = likeness(node, node.indices);
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  return [...groups.values()].map((same) => {
    if (same.length === 1) return same[0];
    const indices = same.flatMap((node) => node.numbers).sort((a, b) => a - b);
    return layer(
      parent,
      indices,
      same.flatMap((node) => node.rows),
      adapts,
    );
  });
}

/** What a node looks like but for its name: the same for layers that are alike. */
function likeness({ own, children }, copies) {
  const each = [own.sites, own.parameters, own.adapted, own.saved].map((count) => Math.round((1e6 * count) / copies));
  return `${own.class} ${each}(${children.map((child) => `${child.name} ${likeness(child, copies)}`).sort()})`;
}

function totals(rows, adapts) {
  const sum = { sites: 0, parameters: 0, adapted: 0, saved: 0, roles: new Map(), class: "", kind: "", role: "" };
  for (const { module, portion } of rows) {
    const sites = module.count * portion;
    const size = module.parameters * portion;
    const [isAdapted, isSaved] = [adapts.adapted(module), adapts.saved(module)];
    sum.sites += sites;
    sum.parameters += size;
    sum.adapted += isAdapted ? sites : 0;
    sum.saved += isSaved ? sites : 0;
    if (size) add(sum.roles, module.role, { size, adapted: isAdapted ? size : 0, saved: isSaved ? size : 0 });
    if (!sum.class || size) Object.assign(sum, { class: module.class, kind: module.kind, role: module.role });
  }
  return sum;
}

function add(roles, role, { size, adapted, saved }) {
  const known = roles.get(role) ?? { size: 0, adapted: 0, saved: 0 };
  roles.set(role, { size: known.size + size, adapted: known.adapted + adapted, saved: known.saved + saved });
}

function summed(node) {
  const { sites, parameters, adapted, saved } = node.own;
  const all = { sites, parameters, adapted, saved };
  const roles = new Map(node.own.roles);
  for (const child of node.children) {
    for (const name of Object.keys(all)) all[name] += child[name];
    for (const [role, part] of child.roles) add(roles, role, part);
  }
  return { ...node, ...all, roles, role: heaviest(roles) ?? node.own.role };
}

function heaviest(roles) {
  return [...roles].sort(([, a], [, b]) => b.size - a.size)[0]?.[0];
}

/** A folded path, cut at its dots: each segment with the names, or the indices, that it stands for. */
function segments(pattern) {
  const cut = [[]];
  for (const [kind, text] of tokens(pattern)) {
    if (kind === "dot") cut.push([]);
    else cut.at(-1).push([kind, text]);
  }
  return cut.map(segment);
}

function segment(parts) {
  const choices = parts.map(([kind, text]) => (kind === "group" ? alternatives(text) : [text]));
  const names = choices.reduce((made, next) => made.flatMap((start) => next.map((end) => start + end)), [""]);
  const text = parts.map(([kind, inside]) => (kind === "group" ? `{${inside}}` : inside)).join("");
  const indices = names.every((name) => /^(0|[1-9][0-9]*)$/.test(name)) ? names.map(Number) : null;
  return { names, indices, text };
}

/** Dots between segments, plain stretches, and what is inside braces, as it stands there. */
function* tokens(pattern) {
  let plain = "";
  for (let place = 0; place < pattern.length; place += 1) {
    const character = pattern[place];
    if (character === "\\") {
      place += 1;
      plain += pattern[place] ?? "";
    } else if (character === "{") {
      const end = closing(pattern, place);
      if (plain) yield ["plain", plain];
      plain = "";
      yield ["group", pattern.slice(place + 1, end)];
      place = end;
    } else if (character === ".") {
      if (plain) yield ["plain", plain];
      plain = "";
      yield ["dot", "."];
    } else {
      plain += character;
    }
  }
  if (plain) yield ["plain", plain];
}

function closing(pattern, start) {
  for (let place = start + 1; place < pattern.length; place += 1) {
    if (pattern[place] === "\\") place += 1;
    else if (pattern[place] === "}") return place;
  }
  return pattern.length;
}

function alternatives(inside) {
  return `${inside},`.match(/((?:\\[^]|[^\\,])*),/g).flatMap((part) => {
    const text = part.slice(0, -1);
    const range = text.match(/^([0-9]+)\.\.([0-9]+)$/);
    const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, MOST_INDICES];
    if (to - from >= MOST_INDICES) return [text.replace(/\\([^])/g, "$1")];
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => String(from + n));
  });
}

/** Indices as a folded path has them: `{0..41}`. */
function written(indices) {
  const ranges = [];
  for (const index of indices) {
    const last = ranges.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  const texts = ranges.flatMap(([from, to]) => {
    if (to - from > 1) return [`${from}..${to}`];
    return from === to ? [String(from)] : [String(from), String(to)];
  });
  return indices.length === 1 ? texts[0] : `{${texts.join(",")}}`;
}
