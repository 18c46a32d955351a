// The table's heads and rows.

function columnHead(name, { title }, sort) {
  const family = data.families.find(({ prefix }) => prefix === name);
  const content = family
    ? [h("b", `${family.prefix.replace(/^ARC/, "")}xx`), h("span", family.name)]
    : [h("span", title)];
  return h(
    `div.column.${family ? "family" : name}`,
    { role: "columnheader", "aria-sort": "none", title: family ? family.title || `${family.prefix}…` : null },
    h("button", { type: "button", onclick: sort, "aria-label": family ? familyLabel(family) : null }, content),
  );
}

function tableRow(model) {
  const { report, counts } = model;
  const facts = report.model;
  const row = h(
    "div.row",
    { role: "row" },
    h(
      "div.name",
      { role: "rowheader" },
      h("a", { href: address(model) }, model.name),
      facts && h("span.class", facts.class),
    ),
    h("div.type", { role: "cell" }, facts?.model_type ?? "–"),
    h("div.parameters", { role: "cell" }, facts ? magnitude(facts.parameters) : "–"),
    h("div.severity", { role: "cell" }, statusMark(report)),
    coverageCell(model),
    SEVERITIES.map((severity) =>
      h(
        `div.number.${counts[severity] ? severity : "none"}`,
        { role: "cell" },
        facts ? String(counts[severity]) : "–",
        delta(model, severity),
      ),
    ),
    data.families.map((family) => heatCell(model, family)),
  );
  row.addEventListener("click", (event) => {
    if (!event.target.closest("a, button") && !String(getSelection())) location.hash = address(model);
  });
  return row;
}

/** How many more, or fewer, than in the report before; nothing where nobody knows. */
function delta({ history: reports, report }, severity) {
  if (reports.length < 2 || severity === "info") return null;
  const [before, now] = [counted(reports.at(-2).report, severity), counted(report, severity)];
  if (before === null || now === null) return null;
  const difference = now - before;
  if (!difference || (difference < 0 && report.unchecked.length)) return null;
  return h("sup", { title: "since the report before" }, difference > 0 ? `+${difference}` : `−${-difference}`);
}

function coverageCell({ coverage, standing, report }) {
  if (coverage === null) return h("div.coverage", { role: "cell" }, h("span.dim", report.model ? "no recipe" : "–"));
  const sound = standing === "recipe";
  return h(
    "div.coverage",
    { role: "cell", title: sound ? "a recipe that was run" : (STANDINGS[standing] ?? "") },
    h(`span.meter${sound ? "" : ".unsound"}`, h("i", { style: { width: `${coverage * 100}%` } })),
    h("span", share(coverage), !sound && "*"),
  );
}

/** The worst of a family, by colour, shape and number. */
function heatCell(model, { prefix, name }) {
  const label = data.families.length ? `${prefix}xx ${name}` : prefix;
  const found = model.families.get(prefix);
  if (!found) {
    const { model: known, status } = model.report;
    const [kind, says] = !known
      ? ["unknown", "not checked"]
      : status === "unchecked"
        ? ["partly", "nothing was found, and not all was checked"]
        : ["none", "nothing"];
    return h(
      `div.heat.${kind}`,
      {
        role: "cell",
        "aria-label": `${label}: ${says}`,
        title: kind === "partly" && says,
        data: { family: prefix.replace(/^ARC/, "") },
      },
      known ? "·" : "?",
    );
  }
  const codes = found.findings.map((finding) => `${looks(finding)} ${finding.code} ${finding.name}`).join("; ");
  return h(
    `div.heat.${found.worst}`,
    {
      role: "cell",
      "aria-label": `${label}: ${found.worst === "unchecked" ? "not checked" : plural(found.count, found.worst)}`,
      title: codes,
      data: { family: prefix.replace(/^ARC/, "") },
    },
    icon(found.worst),
    String(found.count),
  );
}

/** Arrows go from one row's link to the next. */
function walk(event) {
  const row = event.target.closest(".row");
  const steps = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" };
  if (!row || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
  let next = row;
  if (event.key in steps)
    do next = next[steps[event.key]];
    while (next?.hidden);
  else
    next = [...row.parentElement.children].filter((candidate) => !candidate.hidden).at(event.key === "Home" ? 0 : -1);
  event.preventDefault();
  next?.querySelector("a").focus();
}
