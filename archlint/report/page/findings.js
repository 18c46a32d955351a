// The findings of a report, and what to do about them.

const EVIDENCE = {
  static: "read from the structure",
  injected: "PEFT was run",
  forwarded: "the adapted model was run",
};

function uncheckedSection(report) {
  if (!report.unchecked.length) return null;
  return h(
    "section.unchecked-box",
    { "aria-labelledby": "unchecked-title" },
    h("h2", { id: "unchecked-title" }, icon("unchecked"), "Not checked"),
    h("p", "What could not be checked is not clean: nothing is known of it."),
    h(
      "dl",
      report.unchecked.map(({ what, why }) => [h("dt", what), h("dd", why)]),
    ),
  );
}

function findingsSection(entry) {
  const { report, texts } = entry;
  if (!report.model && !report.findings.length) return null;
  const numbered = report.findings.map((finding, n) => ({ finding, toPaste: texts.remedies[n] }));
  return h(
    "section.findings",
    { "aria-labelledby": "findings" },
    h("h2", { id: "findings" }, "Findings"),
    !report.findings.length &&
      h("p.note", report.status === "unchecked" ? "Nothing was found in what could be checked." : "Nothing was found."),
    LOOKS.map((look) => numbered.filter(({ finding }) => looks(finding) === look).map(card)),
  );
}

function card({ finding, toPaste }) {
  const sites = finding.sites.reduce((sum, fold) => sum + fold.count, 0);
  const known = data.rules[finding.code];
  return h(
    `details.finding.${looks(finding)}`,
    { open: looks(finding) !== "info", data: { code: finding.code } },
    h(
      "summary",
      icon(looks(finding), looks(finding)),
      h(
        "div",
        h("span.rule", h("b", finding.code), ` ${finding.name}`),
        h(
          "span.dim",
          sites > 0 && ` · ${plural(sites, "site")}`,
          ` · ${EVIDENCE[finding.evidence] ?? finding.evidence}`,
        ),
        h("p.message", finding.message),
      ),
    ),
    h(
      "div.body",
      finding.why && h("p.why", finding.why),
      finding.plan_line &&
        h(
          "p",
          h("span.tag", "plan"),
          h("code", `${finding.plan_line.file}:${finding.plan_line.line}`),
          ` ${finding.plan_line.key}`,
        ),
      (finding.sites.length > 0 || finding.location) && places(finding),
      finding.proof?.length > 0 && [
        h("h3", "Proof"),
        h("pre.proof", { tabindex: 0, role: "group", "aria-label": "Proof" }, finding.proof.join("\n")),
      ],
      finding.remedies.length > 0 && [
        h("h3", "What to do"),
        h(
          "ul.remedies",
          finding.remedies.map((remedy, n) => remedyItem(remedy, toPaste[n])),
        ),
      ],
      h("p.more.dim", known && `${known.summary} `, h("code", `archlint explain ${finding.code}`), " tells more"),
    ),
  );
}

function places({ sites, location }) {
  const digits = String(Math.max(0, ...sites.map((fold) => fold.count))).length;
  return [
    h("h3", "Where"),
    h(
      "ul.sites",
      { style: { "--digits": `${digits + 1}ch` } },
      sites.map((fold) =>
        h(
          "li",
          { data: { role: fold.role } },
          h("span.times", `${fold.count}×`),
          h("i.swatch", { title: ROLES[fold.role] ?? fold.role }),
          h("code", breakable(fold.pattern || "(the model)")),
          h("span.class", fold.class),
        ),
      ),
    ),
    location && h("p.dim", sites.length ? "defined in " : "at ", h("code", breakable(`${location.file}:${location.line}`))),
  ];
}

/** What comments in the model's own code suppress. */
function suppressedSection({ texts }) {
  if (!texts.suppressed.length) return null;
  return h(
    "section.suppressed",
    { "aria-labelledby": "suppressed" },
    h("h2", { id: "suppressed" }, "Suppressed"),
    h("p.dim", "Comments in the model's own code say that these are meant; they count for nothing."),
    h(
      "ul",
      texts.suppressed.map((text) => h("li", text)),
    ),
  );
}

/** A path that may be broken behind its dots and slashes. */
function breakable(path) {
  return path.split(/(?<=[./,])/).flatMap((part) => [part, h("wbr")]);
}

function remedyItem(remedy, toPaste) {
  return h(
    "li",
    h(
      "span.badges",
      h(`span.badge.${remedy.safety}`, remedy.safety),
      h(`span.badge.${remedy.proven ? "proven" : "unproven"}`, remedy.proven ? "proven" : "not proven"),
    ),
    h("span.words", remedy.text),
    toPaste && source(toPaste, "what mends it"),
  );
}
