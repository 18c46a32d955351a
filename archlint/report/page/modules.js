// The picture of a model: its module tree, coloured by role, with what a plan adapts filled in.

/** The section about the modules of an entry's model; `plan` is `recipe`, `plan` or `none`. */
function modulesSection(entry, plan, choose) {
  const { report, texts } = entry;
  const section = h("section.modules", { "aria-labelledby": "modules" }, h("h2", { id: "modules" }, "Modules"));
  if (!report.modules?.length) {
    section.append(
      h("p.note", "The report holds no modules: it was made by an older archlint, or the model was not built."),
    );
    return section;
  }
  const held = { recipe: report.recipe, plan: report.plan, none: null }[plan];
  const adapts = { recipe: (module) => module.recipe, plan: (module) => module.plan === true, none: () => false }[plan];
  const saves = {
    recipe: (module) => module.recipe_saves === true,
    plan: (module) => module.plan_saves === true,
    none: () => false,
  }[plan];
  const root = moduleTree(report.modules, adapts, saves);
  const view = treeView(root, report, held?.tuner ?? "LORA");
  section.append(
    h("div.picture", strip(root), explanation(root, held, plan, report)),
    h(
      "div.tools",
      choices("Adapters of", plan, plansOf(report), choose),
      h(
        "span.key",
        ...[marker("all"), "adapted"],
        ...(root.saved > 0 ? [marker("full"), "trained in full"] : []),
        ...[marker("some"), "some below", marker("no"), "frozen"],
      ),
      h("label.check", view.showEmpty, "also without parameters"),
      h("button.quiet", { type: "button", onclick: () => view.openAll(true) }, "Expand all"),
      h("button.quiet", { type: "button", onclick: () => view.openAll(false) }, "Collapse"),
    ),
    h(
      "div.tree-head",
      { "aria-hidden": "true" },
      h("span", "module"),
      h("span", "share of the model"),
      h("span", "parameters"),
    ),
    view.element,
  );
  if (texts.recipe === null && plan === "recipe")
    section.append(h("p.note", "No recipe was found, so nothing is filled in."));
  return section;
}

function plansOf(report) {
  return [["recipe", "the recipe"], ...(report.plan ? [["plan", "your plan"]] : []), ["none", "none"]];
}

/** Buttons of which one is pressed. */
function choices(label, current, options, choose) {
  const buttons = options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === current), onclick: () => choose(value) }, text),
  );
  return h(
    "div.choice",
    h("span", { "aria-hidden": "true" }, label),
    h("div.choices", { role: "group", "aria-label": label }, buttons),
  );
}
