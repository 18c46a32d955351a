// The module tree on the page, to be opened, closed and walked.

const CAN_BE_TIED = ["head", "embedding", "linear"];
const OPEN_ROWS = 30; // rows that are open at first

function marker(state) {
  return h(`i.marker.${state}`, { "aria-hidden": "true" });
}

/** The tree as WAI-ARIA has it: arrows walk, open and close; one row is in the order of Tab. */
function treeView(root, report, tuner) {
  const element = h("ul.tree", { role: "tree", "aria-label": "Modules" });
  const isOpen = opened(root);
  const showEmpty = h("input", { type: "checkbox", onchange: () => draw() });
  let current = root;

  function shown(node) {
    return showEmpty.checked
      ? node.children
      : node.children.filter((child) => child.parameters > 0 || child.adapted > 0 || child.saved > 0 || child.own.kind === "head");
  }

  function draw(focus = false) {
    element.replaceChildren(row(root, 1));
    const items = [...element.querySelectorAll("[role=treeitem]")];
    const item = items.find((candidate) => candidate.node === current) ?? items[0];
    item.tabIndex = 0;
    if (focus) item.focus();
  }

  function row(node, level) {
    const children = shown(node);
    const open = isOpen.has(node);
    const item = h(
      "li",
      {
        role: "treeitem",
        tabindex: -1,
        "aria-level": level,
        "aria-expanded": children.length ? String(open) : null,
        "aria-label": described(node),
        data: { role: node.role || "text" },
      },
      line(node, children.length > 0, level),
      open &&
        children.length > 0 &&
        h(
          "ul",
          { role: "group" },
          children.map((child) => row(child, level + 1)),
        ),
    );
    item.node = node;
    return item;
  }

  function line(node, hasChildren, level) {
    return h(
      "div.node",
      { style: { "--level": level - 1 }, onclick: () => toggle(node) },
      h("span.label", hasChildren ? icon("caret") : h("span.icon"), marker(state(node)), label(node)),
      bar(node, root.parameters),
      h("span.size", { title: `${exactly(Math.round(node.parameters))} parameters` }, size(node)),
    );
  }

  function toggle(node, open = !isOpen.has(node)) {
    current = node;
    if (open && shown(node).length) isOpen.add(node);
    else isOpen.delete(node);
    draw(true);
  }

  function openAll(open) {
    isOpen.clear();
    if (open) each(root, (node) => isOpen.add(node));
    else isOpen.add(root);
    draw();
  }

  element.addEventListener("keydown", (event) => {
    const items = [...element.querySelectorAll("[role=treeitem]")];
    const place = items.indexOf(document.activeElement);
    if (place < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const { node } = items[place];
    const has = shown(node).length > 0;
    const go = (to) => {
      if (!items[to]) return;
      items.forEach((item) => (item.tabIndex = -1));
      current = items[to].node;
      items[to].tabIndex = 0;
      items[to].focus();
    };
    const keys = {
      ArrowDown: () => go(place + 1),
      ArrowUp: () => go(place - 1),
      Home: () => go(0),
      End: () => go(items.length - 1),
      ArrowRight: () => has && (isOpen.has(node) ? go(place + 1) : toggle(node, true)),
      ArrowLeft: () =>
        has && isOpen.has(node)
          ? toggle(node, false)
          : go(items.indexOf(items[place].parentElement.closest("[role=treeitem]"))),
      Enter: () => has && toggle(node),
      " ": () => has && toggle(node),
      "*": () => {
        const above = items[place].parentElement.closest("[role=treeitem]");
        (above ? shown(above.node) : [root]).forEach((sibling) => shown(sibling).length && isOpen.add(sibling));
        current = node;
        draw(true);
      },
    };
    const act =
      keys[event.key] ?? (/^[\p{L}\p{N}_]$/u.test(event.key) ? () => go(named(items, place, event.key)) : null);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function label(node) {
    const { own } = node;
    const isAdapted = own.adapted > 0;
    return [
      h("span.name", node === root ? own.class || report.model.class : node.name),
      node.indices > 1 && h("span.copies", `×${node.indices}`),
      isAdapted &&
        (tuner === "LORA"
          ? h("span.adapter", { title: "holds a low-rank adapter: B and A" }, h("i"), h("i"))
          : h("span.adapter", { title: `holds an adapter: ${tuner}` }, h("i"))),
      node !== root && own.class && h("span.class", own.class),
      !isAdapted && node.adapted > 0 && h("span.within", plural(Math.round(node.adapted), "adapter")),
    ];
  }

  draw();
  return { element, showEmpty, openAll };
}

/** The next row, after the one at `place`, whose name starts with a letter. */
function named(items, place, letter) {
  const order = [...items.slice(place + 1), ...items.slice(0, place + 1)];
  const found = order.find((item) => item.node.name.toLowerCase().startsWith(letter.toLowerCase()));
  return items.indexOf(found);
}

function each(node, act) {
  act(node);
  node.children.forEach((child) => each(child, act));
}

/** The nodes that are open at first: the heaviest, as long as there is room for what is in them. */
function opened(root) {
  const open = new Set();
  const waiting = [root];
  let rows = 1;
  while (waiting.length) {
    waiting.sort((a, b) => b.parameters - a.parameters);
    const node = waiting.shift();
    const children = node.children.filter((child) => child.parameters > 0);
    if (!children.length) continue;
    rows += children.length;
    if (rows > OPEN_ROWS && open.size > 2) break;
    open.add(node);
    waiting.push(...children);
  }
  return open;
}

function state(node) {
  if (node.own.adapted > 0) return "all";
  if (node.own.saved > 0) return "full";
  return node.adapted > 0 || node.saved > 0 ? "some" : "no";
}

function size(node) {
  if (node.parameters > 0) return magnitude(Math.round(node.parameters));
  return CAN_BE_TIED.includes(node.own.kind) ? "tied" : "0";
}

/** A row in words. */
function described(node) {
  const { own } = node;
  const adapted = {
    all: "adapted",
    full: "trained in full",
    some: node.adapted > 0 ? `${plural(Math.round(node.adapted), "adapter")} below` : "some below trained in full",
    no: "frozen",
  }[state(node)];
  const copies = node.indices > 1 ? [`${node.indices} alike`] : [];
  return [
    node.name || own.class || "model",
    ...copies,
    own.class,
    ROLES[node.role] ?? node.role,
    adapted,
    `${size(node)} parameters`,
  ]
    .filter(Boolean)
    .join(", ");
}
