// What is embedded in the page, put together by model.

const SEVERITIES = ["error", "warning", "info"];
const LOOKS = ["error", "unchecked", "warning", "info"]; // the worst first
const STATUSES = { findings: "findings", clean: "clean", unchecked: "could not check all" };
const data = JSON.parse(document.getElementById("data").textContent);

/** Each report with what surrounds it, in the order given. */
const entries = data.runs.flatMap(({ document: held, texts }) =>
  held.reports.map((report, n) => ({
    report,
    texts: texts[n],
    created: held.created ?? null,
    archlint: held.archlint,
    environment: held.environment,
  })),
);

/** One model for each source, scope and sort of plan: its reports, the newest last. */
const models = collected();
const byKey = new Map(models.map((model) => [model.key, model]));

function collected() {
  const asked = new Map(); // of each source: the scopes, and whose plans
  for (const { report } of entries) {
    if (!asked.has(report.source)) asked.set(report.source, { scopes: new Set(), plans: new Set() });
    asked.get(report.source).scopes.add(report.scope);
    if (whose(report)) asked.get(report.source).plans.add(whose(report));
  }
  const groups = new Map();
  for (const entry of entries) {
    const { source: name, scope } = entry.report;
    const { scopes, plans } = asked.get(name);
    const told = [...(scopes.size > 1 ? [scope] : []), ...(plans.size > 1 ? [whose(entry.report) ?? "stock plans"] : [])];
    const key = told.length ? `${name} (${told.join(", ")})` : name;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(entry);
  }
  return [...groups].map(([key, history]) => record(addressable(key), key, dated(history)));
}

/** What a report judges: the plan that was given, or those that people use unasked; null where none was tried. */
function whose({ plan, stock }) {
  return plan ? "own plan" : stock.length ? "stock plans" : null;
}

/** The oldest first, where all say when they were made. */
function dated(history) {
  if (!history.every(({ created }) => created)) return history;
  return history.sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0));
}

/** A name that an address can hold: half of a pair of surrogates stands in none. */
function addressable(name) {
  return name.replace(/\p{Cs}/gu, "\uFFFD");
}

function record(key, name, history) {
  const { report } = history.at(-1);
  const model = report.model;
  return {
    key,
    name,
    history,
    report,
    counts: tally(report),
    families: families(report),
    codes: new Set(report.findings.map((finding) => finding.code)),
    coverage: covered(report),
    standing: history.at(-1).texts.recipe?.standing ?? null,
    words: [
      name,
      ...(model ? [model.id, model.class, model.model_type] : []),
      ...report.findings.flatMap((finding) => [finding.code, finding.name, finding.message]),
    ]
      .join("\n")
      .toLowerCase(),
  };
}

/** How many findings there are of each severity; that something was not checked is none. */
function tally(report) {
  const counts = { error: 0, warning: 0, info: 0 };
  for (const finding of report.findings) if (!finding.unchecked) counts[finding.severity] += 1;
  return counts;
}

/** The share of what is to be trained that the recipe adapts; null where there is none that can be injected. */
function covered({ recipe }) {
  return recipe && recipe.trial.raised === null ? recipe.trial.coverage : null;
}

/** What a finding is shown as: its severity, or that something was not checked. */
function looks(finding) {
  return finding.unchecked ? "unchecked" : finding.severity;
}

/** The findings of each family: the worst that they look like, how many of that, and all of them. */
function families(report) {
  const found = new Map();
  for (const finding of report.findings) {
    const prefix = familyOf(finding.code);
    if (!found.has(prefix)) found.set(prefix, []);
    found.get(prefix).push(finding);
  }
  return new Map(
    [...found].map(([prefix, findings]) => {
      const worst = LOOKS.find((look) => findings.some((finding) => looks(finding) === look));
      return [prefix, { worst, count: findings.filter((finding) => looks(finding) === worst).length, findings }];
    }),
  );
}

function familyOf(code) {
  return code.match(/^[A-Za-z]*[0-9]?/)[0];
}

/**
 * What came, went, was suppressed and changed its severity from one report to the next, by code and fingerprint.
 * What is not found any more where something could not be checked is lost: nobody knows whether it went.
 */
function changes(before, after) {
  const identity = (finding) => `${finding.code} ${finding.fingerprint}`;
  const identified = (findings) => new Map(findings.map((finding) => [identity(finding), finding]));
  const [old, now] = [before, after].map(({ findings }) => identified(findings.filter(({ unchecked }) => !unchecked)));
  const meant = identified(after.suppressed ?? []);
  const missing = [...old].filter(([key]) => !now.has(key));
  const gone = missing.filter(([key]) => !meant.has(key)).map(([, finding]) => finding);
  const isBlind = after.unchecked.length > 0;
  return {
    came: [...now].filter(([key]) => !old.has(key)).map(([, finding]) => finding),
    went: isBlind ? [] : gone,
    lost: isBlind ? gone : [],
    suppressed: missing.filter(([key]) => meant.has(key)).map(([, finding]) => finding),
    changed: [...now]
      .filter(([key, finding]) => old.has(key) && old.get(key).severity !== finding.severity)
      .map(([key, finding]) => ({ finding, was: old.get(key).severity })),
  };
}
