// A model over time: what its reports found, with which versions, and what came and went between them.

const MEASURES = [
  ["error", "errors", (entry) => counted(entry.report, "error"), (count) => String(count ?? "–")],
  ["warning", "warnings", (entry) => counted(entry.report, "warning"), (count) => String(count ?? "–")],
  ["coverage", "recipe covers", (entry) => covered(entry.report), (part) => (part === null ? "–" : share(part))],
];
const VERSIONED = ["transformers", "peft", "trl", "torch"];

/** How many findings of a severity there are; null where nothing was checked. */
function counted(report, severity) {
  return report.model ? tally(report)[severity] : null;
}

function trendSection(model, at) {
  const { history } = model;
  return h(
    "section.trend",
    { "aria-labelledby": "trend" },
    h("h2", { id: "trend" }, "Over time ", h("span.dim", plural(history.length, "report"))),
    h(
      "div.charts",
      MEASURES.map(([name, title, of, words]) => chart(name, title, history.map(of), words, history)),
    ),
    h(
      "ol.history",
      [...history.keys()].reverse().map((n) => step(model, n, at)),
    ),
  );
}

/** One measure: a line over all reports, the first and the last of which are told in words. */
function chart(name, title, values, words, history) {
  const known = values.filter((value) => value !== null);
  const top = name === "coverage" ? 1 : Math.max(1, ...known);
  const x = (n) => (values.length > 1 ? (100 * n) / (values.length - 1) : 50);
  const y = (value) => 36 - (32 * value) / top;
  const points = values.flatMap((value, n) => (value === null ? [] : [`${x(n)},${y(value)}`])).join(" ");
  const spoken = values.map((value, n) => `${day(history[n].created)}: ${words(value)}`).join("; ");
  return h(
    `figure.chart.chart-${name}`,
    h("figcaption", title, h("b", words(values.at(-1)))),
    h(
      "div.plot",
      { role: "img", "aria-label": `${title}: ${spoken}` },
      drawing({ viewBox: "0 0 100 40", preserveAspectRatio: "none" }, [
        ["line", { x1: 0, x2: 100, y1: 36, y2: 36, class: "base" }],
        ["polyline", { points, class: "course" }],
      ]),
      values.map(
        (value, n) =>
          value !== null &&
          h("i", {
            style: { left: `${x(n)}%`, top: `${y(value) / 0.4}%` },
            title: `${day(history[n].created)}: ${words(value)}`,
          }),
      ),
    ),
    h("div.ends", h("span", day(history[0].created)), h("span", day(history.at(-1).created))),
  );
}

/** A report of the history: when, with which versions, what was found, and what is different from the one before. */
function step(model, n, at) {
  const { history } = model;
  const entry = history[n];
  const before = history[n - 1];
  const counts = tally(entry.report);
  const link = n === history.length - 1 ? address(model) : address(model, { at: n });
  return h(
    "li",
    { "aria-current": n === at ? "true" : null },
    h(
      "div.when",
      h("a", { href: link }, moment(entry.created)),
      h(
        "span.versions",
        VERSIONED.filter((name) => entry.environment[name]).map((name) => version(name, entry, before)),
      ),
    ),
    h(
      "div.found",
      statusMark(entry.report),
      entry.report.model && SEVERITIES.map((severity) => count(severity, counts[severity])),
      entry.report.model && h("span.dim", `recipe ${covered(entry.report) === null ? "none" : share(covered(entry.report))}`),
    ),
    before && difference(before.report, entry.report),
  );
}

function version(name, entry, before) {
  const isNew = before && before.environment[name] !== entry.environment[name];
  return h(
    isNew ? "b" : "span",
    { title: isNew ? `${before.environment[name] ?? "none"} before` : null },
    `${name} ${entry.environment[name]}`,
  );
}

function difference(before, after) {
  const { came, went, lost, suppressed, changed } = changes(before, after);
  if (![came, went, lost, suppressed, changed].some(({ length }) => length))
    return after.model && h("p.dim.same", "the same findings as before");
  const plain = (kind, word, findings) =>
    findings.map((finding) =>
      h(
        `li.${kind}`,
        h("b", `${word} `),
        icon(finding.severity, finding.severity),
        ` ${finding.code} ${finding.name}: ${finding.message}`,
      ),
    );
  return h(
    "ul.changes",
    plain("came", "+ new", came),
    changed.map(({ finding, was }) =>
      h(
        "li.changed",
        h("b", "~ now "),
        icon(finding.severity, finding.severity),
        ` ${finding.severity}, was ${was}: ${finding.code} ${finding.name}`,
      ),
    ),
    plain("went", "− gone", went),
    plain("suppressed", "− suppressed", suppressed),
    plain("lost", "? not known", lost),
  );
}
