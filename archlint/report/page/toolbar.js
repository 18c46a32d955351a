// What narrows the table down: totals, the most common findings, search and filters.

const MOST_COMMON = 8;

/** Tiles with the totals, each of which shows only what it counts. */
function totalsOf(choose) {
  const of = (fits) => models.filter(fits).length;
  const tiles = [
    ["", "", "all", null, models.length],
    ["", "error", "with errors", "error", of((model) => model.counts.error)],
    ["", "warning", "with warnings", "warning", of((model) => model.counts.warning)],
    ["clean", "", "clean", "clean", of((model) => model.report.status === "clean")],
    ["unchecked", "", "not all checked", "unchecked", of((model) => model.report.status === "unchecked")],
  ].map(([status, severity, title, mark, number]) => ({
    status,
    severity,
    button: h(
      `button.tile.${mark ?? "all"}`,
      { type: "button", onclick: () => choose({ status, severity }) },
      h("b", mark && icon(mark), exactly(number)),
      h("span", title),
    ),
  }));
  return {
    element: h(
      "div.tiles",
      { role: "group", "aria-label": "Totals" },
      tiles.map(({ button }) => button),
    ),
    show: (state) =>
      tiles.forEach(({ status, severity, button }) =>
        button.setAttribute("aria-pressed", String(state.status === status && state.severity === severity)),
      ),
  };
}

/** What is found in most models, with how many. */
function common(choose) {
  const found = new Map();
  for (const { report } of models) {
    for (const code of new Set(
      report.findings.filter((finding) => ["error", "warning"].includes(looks(finding))).map((finding) => finding.code),
    )) {
      found.set(code, (found.get(code) ?? 0) + 1);
    }
  }
  const most = [...found].sort(([, a], [, b]) => b - a).slice(0, MOST_COMMON);
  if (!most.length) return null;
  const top = most[0][1];
  const name = (code) =>
    data.rules[code]?.name ??
    models.flatMap(({ report }) => report.findings).find((finding) => finding.code === code).name;
  return h(
    "section.common",
    { "aria-label": "Most common errors and warnings" },
    h("h2", "Most common errors and warnings"),
    h(
      "div",
      most.map(([code, number]) =>
        h(
          "button",
          {
            type: "button",
            value: code,
            title: data.rules[code]?.summary,
            onclick: () => choose(code),
            style: { "--part": number / top },
          },
          h("b", code),
          h("span", name(code)),
          h("i", exactly(number)),
        ),
      ),
    ),
  );
}

/** Search and filters. */
function toolbar(change) {
  const search = h("input", {
    type: "search",
    placeholder: "Search models, classes, findings",
    "aria-label": "Search",
    "aria-keyshortcuts": "/",
    oninput: () => change({ q: search.value }),
    onkeydown: (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      event.preventDefault();
      if (search.value) change({ q: "" });
      else search.blur();
    },
  });
  const codes = [...new Set(models.flatMap((model) => [...model.codes]))].sort();
  const origins = [...new Set(models.map(({ report }) => report.model?.origin ?? "none"))].sort();
  const selects = {
    status: select("status", [["", "any status"], ...Object.entries(STATUSES)], change),
    severity: select("severity", [["", "any severity"], ...SEVERITIES.map((severity) => [severity, severity])], change),
    family: select(
      "family",
      [["", "any family"], ...data.families.map((family) => [family.prefix, familyLabel(family)])],
      change,
    ),
    code: select(
      "code",
      [["", "any code"], ...codes.map((code) => [code, `${code} ${data.rules[code]?.name ?? ""}`])],
      change,
    ),
    origin: select(
      "origin",
      [
        ["", "any origin"],
        ...origins.map((origin) => [origin, ORIGINS[origin] ?? (origin === "none" ? "not found" : origin)]),
      ],
      change,
    ),
    sort: select(
      "sort",
      [...COLUMNS].map(([name, { title }]) => [name, `by ${title}`]),
      change,
    ),
  };
  const filters = h("details.filters", h("summary", "Filters"), h("div", Object.values(selects)));
  const hasRoom = matchMedia("(min-width: 40.01rem)"); // as in the style, which then has no summary to open them by
  const unfold = () => (filters.open = hasRoom.matches);
  hasRoom.addEventListener("change", unfold);
  unfold();
  return {
    element: h(
      "div.controls",
      { role: "search" },
      h("label.search", icon("search"), search, h("kbd", { "aria-hidden": "true" }, "/")),
      filters,
    ),
    focus: () => search.focus(),
    show: (state) => {
      if (search.value !== state.q) search.value = state.q;
      for (const [name, { firstChild: field }] of Object.entries(selects)) {
        field.value = state[name];
        field.classList.toggle("set", name !== "sort" && state[name] !== "");
      }
    },
  };
}

function select(name, options, change) {
  const field = h(
    "select",
    { "aria-label": name, onchange: () => change({ [name]: field.value, ...(name === "sort" ? { order: "" } : {}) }) },
    options.map(([value, text]) => h("option", { value }, text)),
  );
  return h(`span.select.${name}`, field);
}

function familyLabel({ prefix, name }) {
  return `${prefix}xx ${name}`;
}
