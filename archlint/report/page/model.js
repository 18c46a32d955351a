// The page of one model.

const STANDINGS = { recipe: "Recipe", untried: "Recipe, not run", nearest: "Nearest to a recipe" };
const ORIGINS = {
  hub: "from the hub",
  cache: "from the hub's cache",
  local: "local files",
  snapshot: "bundled snapshot",
  type: "transformers' default configuration",
  object: "a live module",
};

/** The address of a model's page. */
function address(model, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return `#/model/${encodeURIComponent(model.key)}${query ? `?${query}` : ""}`;
}

/** The page of `model`; `options` are those of its address: which report, and whose plan the tree shows. */
function modelPage(model, options, keep) {
  const last = model.history.length - 1;
  const at = /^\d+$/.test(options.at ?? "") ? Math.min(Number(options.at), last) : last;
  const entry = model.history[at];
  const { report } = entry;
  const plan =
    options.tree && plansOf(report).some(([name]) => name === options.tree)
      ? options.tree
      : report.plan && !report.recipe
        ? "plan"
        : "recipe";
  const choose = (chosen) => {
    const next = modulesSection(entry, chosen, choose);
    modules.replaceWith(next);
    modules = next;
    next.querySelector("[aria-pressed=true]").focus();
    keep({ ...options, tree: chosen });
  };
  let modules = report.model && modulesSection(entry, plan, choose);
  return h(
    "article.model",
    head(model, entry),
    at < last &&
      h("p.older", `This is a report of ${moment(entry.created)}. `, h("a", { href: address(model) }, "The newest")),
    report.notes.length > 0 &&
      h(
        "ul.notes",
        report.notes.map((note) => h("li", note)),
      ),
    h(
      "div.columns",
      h(
        "div.main",
        uncheckedSection(report),
        findingsSection(entry),
        suppressedSection(entry),
        report.model && triedSection(entry),
      ),
      h("div.side", report.model && recipeSection(entry), trainersSection(entry), factsSection(entry)),
    ),
    modules,
    model.history.length > 1 && trendSection(model, at),
  );
}

/** Go to a section of the page: the address says which model is shown, and cannot say it. */
function jump(id) {
  const heading = document.getElementById(id);
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "start" });
}

function head(model, { report }) {
  const jumps = [
    ["findings", "Findings", report.findings.length],
    ["recipe", "Recipe", report.model],
    ["tried", "What was tried", report.plan || report.stock.length],
    ["trainers", "Trainers", report.trainers?.length],
    ["modules", "Modules", report.model],
    ["trend", "Over time", model.history.length > 1],
  ].filter(([, , isThere]) => isThere);
  const facts = report.model;
  const layers = Object.entries(facts?.layers ?? {}).map(([role, count]) => plural(count, `${role} layer`));
  const numbers = facts ? [`${magnitude(facts.parameters)} parameters`, ...layers, `scope ${report.scope}`] : [];
  return h(
    "header.head",
    h("h1", { tabindex: -1 }, model.name),
    facts && facts.id !== report.source && h("p.id", "→ ", h("code", facts.id)),
    facts &&
      h(
        "p.facts",
        h("code", facts.class),
        numbers.map((fact) => h("span", fact)),
      ),
    verdict(report),
    jumps.length > 1 &&
      h(
        "nav.jump",
        { "aria-label": "On this page" },
        jumps.map(([id, text]) => h("button", { type: "button", onclick: () => jump(id) }, text)),
      ),
  );
}

/** How it stands, in one line. */
function verdict(report) {
  const counts = tally(report);
  const worst = SEVERITIES.find((severity) => counts[severity] && severity !== "info");
  const state = worst ?? (report.status === "unchecked" ? "unchecked" : "clean");
  const says = {
    error: "Training raises",
    warning: "Training runs, but not on what was meant",
    unchecked: report.model ? "Not everything could be checked" : "Could not be checked",
    clean: "Nothing breaks",
  }[state];
  return h(
    `p.verdict.${state}`,
    icon(state),
    h("b", says),
    h(
      "span.counts",
      SEVERITIES.filter((severity) => counts[severity]).map((severity) =>
        h("span", plural(counts[severity], severity)),
      ),
      report.status === "unchecked" && h("span.open", `${report.unchecked.length} not checked`),
    ),
  );
}

/** The mark of a report's status: a shape and a word. */
function statusMark(report) {
  const counts = tally(report);
  const worst = counts.error ? "error" : counts.warning ? "warning" : null;
  if (report.status === "unchecked") {
    return h(
      "span.status.unchecked",
      icon("unchecked"),
      report.model ? "not all checked" : "could not check",
      worst && icon(worst, `and ${worst}s`),
    );
  }
  return h(`span.status.${worst ?? "clean"}`, icon(worst ?? "clean"), report.status);
}

function count(severity, number) {
  return h(
    `span.count.${number ? severity : "none"}`,
    { title: plural(number, severity) },
    icon(severity, plural(number, severity)),
    String(number),
  );
}

function recipeSection({ report, texts }) {
  const said = texts.recipe;
  return h(
    "section.card.recipe",
    { "aria-labelledby": "recipe" },
    h("h2", { id: "recipe" }, said ? (STANDINGS[said.standing] ?? said.standing) : "Recipe"),
    said
      ? h(`p.outcome.${said.standing}`, icon(said.standing === "recipe" ? "clean" : "warning"), h("span", said.outcome))
      : h("p.note", `None was found for the scope ${report.scope}.`),
    said && source(said.source, "the recipe"),
    report.recipe?.left_out?.length > 0 && [
      h("h3", "Left out, and why"),
      h(
        "ul.left-out",
        report.recipe.left_out.map(({ reason, sites }) =>
          h(
            "li",
            reason,
            h(
              "code",
              sites.map((fold) => h("span", `${fold.count}× `, breakable(fold.pattern))),
            ),
          ),
        ),
      ),
    ],
  );
}

function triedSection({ report, texts }) {
  const tried = [
    ...(report.plan ? [{ name: "your plan", said: texts.plan, plan: report.plan }] : []),
    ...report.stock.map((plan, n) => ({ name: plan.name, said: texts.stock[n], plan })),
  ];
  if (!tried.length) return null;
  return h(
    "section.tried",
    { "aria-labelledby": "tried" },
    h("h2", { id: "tried" }, "What was tried"),
    h(
      "ul",
      tried.map(({ name, said, plan }) =>
        h(
          "li",
          icon(trialState(plan.trial), trialState(plan.trial)),
          h(
            "div",
            h("p", h("b", name), plan.tuner !== "LORA" && h("span.tag", plan.tuner)),
            h("code", said.arguments || "PEFT's own choice of targets"),
            h("p.outcome", said.outcome),
          ),
        ),
      ),
    ),
  );
}

function trialState({ raised, forward, dead, saved_dead: savedDead = [], muted = {} }) {
  if (raised !== null || forward === "crashed") return "error";
  if (forward === "unavailable") return "unchecked";
  return dead.length || savedDead.length || Object.keys(muted).length ? "warning" : "clean";
}

function trainersSection({ report, texts }) {
  const states = { runs: "clean", differs: "warning", raises: "error" };
  if (!texts.trainers.length && !texts.trained) return null;
  return h(
    "section.card.trainers",
    { "aria-labelledby": "trainers" },
    h("h2", { id: "trainers" }, "Trainers"),
    h(
      "ul",
      report.trainers.map(({ status }, n) =>
        h(
          "li",
          icon(states[status] ?? "unchecked", status),
          h("div", h("b", texts.trainers[n].label), h("p", texts.trainers[n].says)),
        ),
      ),
      texts.trained &&
        h(
          "li",
          icon(report.trial_train?.raised ? "error" : "clean"),
          h("div", h("b", "real steps"), h("p", texts.trained)),
        ),
    ),
  );
}

function factsSection(entry) {
  const { report, environment, archlint, created } = entry;
  const model = report.model;
  const facts = [
    ["checked", created ? moment(created) : null],
    ["archlint", archlint],
    ...Object.entries(environment),
    ["origin", model && (ORIGINS[model.origin] ?? model.origin)],
    ["revision", model?.revision],
    ["model type", model?.model_type],
    ["modules", model && exactly(model.modules)],
    ["family", model?.family?.join(", ")],
  ].filter(([, value]) => value);
  return h(
    "section.card.about",
    { "aria-labelledby": "about" },
    h("h2", { id: "about" }, "About this report"),
    h(
      "dl",
      facts.map(([name, value]) => [h("dt", name), h("dd", breakable(String(value)))]),
    ),
  );
}
