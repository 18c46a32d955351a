// All models: totals, and a table that is a heat map of models and rule families, to be sorted, filtered and searched.

const NO_FILTER = { q: "", status: "", severity: "", family: "", code: "", origin: "", sort: "severity", order: "" };

/** A column that can be sorted by: what a model has there, and whether the highest is first. */
const COLUMNS = new Map([
  ["name", { title: "model", of: (model) => model.name.toLowerCase(), first: "up" }],
  ["type", { title: "type", of: (model) => model.report.model?.model_type ?? "", first: "up" }],
  ["parameters", { title: "parameters", of: (model) => model.report.model?.parameters ?? -1, first: "down" }],
  ["severity", { title: "status", of: gravity, first: "down" }],
  ["coverage", { title: "recipe covers", of: (model) => model.coverage ?? -1, first: "down" }],
  ...SEVERITIES.map((severity) => [
    severity,
    { title: `${severity}s`, of: (model) => model.counts[severity], first: "down" },
  ]),
  ...data.families.map(({ prefix }) => [prefix, { title: prefix, of: (model) => heat(model, prefix), first: "down" }]),
]);

/** How bad it is: by errors, then by what was not checked, then by warnings. */
function gravity({ counts, report }) {
  return counts.error * 1e8 + (report.status === "unchecked" ? 1e7 : 0) + counts.warning * 1e4 + counts.info;
}

function heat(model, prefix) {
  const found = model.families.get(prefix);
  return found ? (LOOKS.length - LOOKS.indexOf(found.worst)) * 1e6 + found.count : 0;
}

/** The page, its state in the address, and what it takes to put it into another state. */
function overview() {
  let state = { ...NO_FILTER };
  const rows = new Map(models.map((model) => [model, tableRow(model)]));
  const body = h("div.rows", { role: "rowgroup" });
  const shownCount = h("span.shown", { role: "status" });
  const empty = h(
    "p.note.empty",
    { hidden: true },
    "No model fits. ",
    h("button.quiet", { type: "button", onclick: () => set(NO_FILTER) }, "Clear the filters"),
  );
  const controls = toolbar((change) => set({ ...state, ...change }));
  const heads = new Map([...COLUMNS].map(([name, column]) => [name, columnHead(name, column, () => sortBy(name))]));
  const tiles = totalsOf((change) => set({ ...state, status: "", severity: "", ...change }));
  const element = h(
    "div.overview",
    h("h1", { tabindex: -1 }, plural(models.length, "model"), historyNote()),
    tiles.element,
    common((code) => set({ ...state, code: state.code === code ? "" : code })),
    h("div.toolbar", controls.element, shownCount),
    h(
      "div.table",
      { role: "table", "aria-label": "Models", "aria-rowcount": models.length + 1 },
      h("div.header", { role: "rowgroup" }, h("div.row", { role: "row" }, [...heads.values()])),
      body,
    ),
    empty,
  );
  element.style.setProperty("--families", data.families.length);
  body.addEventListener("keydown", walk);

  function sortBy(name) {
    const { first } = COLUMNS.get(name);
    const turned = first === "down" ? "up" : "down";
    const order = state.sort === name && (state.order || first) === first ? turned : "";
    set({ ...state, sort: name, order });
  }

  function set(next) {
    state = { ...NO_FILTER, ...next };
    draw();
    remember(hashOf(state));
  }

  let sorted = "";
  function draw() {
    const { sort, order } = state;
    const column = COLUMNS.get(sort) ?? COLUMNS.get(NO_FILTER.sort);
    const direction = (order || column.first) === "down" ? -1 : 1;
    if (sorted !== `${sort} ${direction}`) {
      sorted = `${sort} ${direction}`;
      const compared = models.map((model) => [column.of(model), model]);
      compared.sort(([a, first], [b, second]) => direction * compare(a, b) || compare(first.name, second.name));
      body.append(...compared.map(([, model]) => rows.get(model)));
      heads.forEach((head, name) =>
        head.setAttribute("aria-sort", name !== sort ? "none" : direction > 0 ? "ascending" : "descending"),
      );
    }
    const fits = filter(state);
    let shown = 0;
    for (const [model, row] of rows) {
      const isShown = fits(model);
      shown += isShown;
      if (row.hidden === isShown) row.hidden = !isShown;
    }
    shownCount.textContent = shown === models.length ? "" : `${exactly(shown)} of ${exactly(models.length)}`;
    empty.hidden = shown > 0;
    controls.show(state);
    tiles.show(state);
    element
      .querySelectorAll(".common button")
      .forEach((button) => button.setAttribute("aria-pressed", String(button.value === state.code)));
  }

  function show(parameters) {
    state = { ...NO_FILTER };
    for (const name of Object.keys(NO_FILTER)) if (parameters[name]) state[name] = parameters[name];
    draw();
  }

  const focusRow = (key) =>
    [...rows]
      .find(([model, row]) => model.key === key && !row.hidden)?.[1]
      .querySelector("a")
      .focus({ preventScroll: true });
  return { element, show, focusRow, focusSearch: controls.focus, hash: () => hashOf(state) };
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function historyNote() {
  const more = entries.length - models.length;
  return more > 0 && h("span.dim", ` ${plural(entries.length, "report")}, the newest of each is shown`);
}

function hashOf(state) {
  const set = Object.entries(state).filter(([name, value]) => value !== NO_FILTER[name]);
  const query = new URLSearchParams(set.map(([name, value]) => [name, addressable(value)])).toString();
  return query ? `#/?${query}` : "#/";
}

/** Whether a model fits: one finding of it has all of severity, family and code. */
function filter({ q, status, severity, family, code, origin }) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (finding) =>
    (!severity || looks(finding) === severity) &&
    (!family || familyOf(finding.code) === family) &&
    (!code || finding.code === code);
  return (model) =>
    (!status || model.report.status === status) &&
    (!origin || (model.report.model?.origin ?? "none") === origin) &&
    words.every((word) => model.words.includes(word)) &&
    (!(severity || family || code) || model.report.findings.some(fits));
}
