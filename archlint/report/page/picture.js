// A model at a glance: its parameters as a strip, and what a low-rank adapter is.

// in the order in which they are drawn
const ROLES = {
  text: "text",
  vision: "vision",
  audio: "audio",
  projector: "connector",
  head: "head",
  embedding: "embedding",
};

/** The whole model as one strip: a stretch for each role, filled as far as it is adapted. */
function strip(root) {
  return h(
    "figure.strip",
    bar(root, root.parameters),
    h(
      "figcaption",
      h(
        "ul.legend",
        drawn(root).map(([role, { size, adapted, saved }]) =>
          h(
            "li",
            { data: { role } },
            h("i.swatch"),
            h("b", ROLES[role] ?? role),
            ` ${magnitude(size)} · ${share(size / root.parameters)}`,
            adapted > 0 && h("span.dim", ` · ${share(adapted / size)} of it adapted`),
            saved > 0 && h("span.dim", ` · ${share(saved / size)} of it trained in full`),
            !adapted && !saved && h("span.dim", " · frozen"),
          ),
        ),
      ),
    ),
  );
}

/** The parameters of a node as a part of `whole`. */
function bar(node, whole) {
  return h(
    "span.bar",
    drawn(node).map(([role, { size, adapted, saved }]) =>
      h(
        "i",
        { data: { role }, style: { width: `${(100 * size) / whole}%` } },
        adapted > 0 && h("i", { style: { width: `${(100 * adapted) / size}%` } }),
        saved > 0 && h("i.full", { style: { width: `${(100 * saved) / size}%` } }),
      ),
    ),
  );
}

/** The roles of a node's parameters, in the order of all bars. */
function drawn({ roles }) {
  return Object.keys(ROLES).flatMap((role) => (roles.has(role) ? [[role, roles.get(role)]] : []));
}

/** What a low-rank adapter is, in the figures of this plan. */
function explanation(root, held, plan, report) {
  if (!held || held.trial.raised !== null) {
    const why = plan === "none" ? "Nothing is adapted: all weights are frozen." : "The plan places no adapters.";
    return h("p.explanation", why);
  }
  const { adapted, trainable } = held.trial;
  const total = report.model.parameters;
  const trains = trainable
    ? ` with ${magnitude(trainable)} trainable parameters, ${portion(trainable / total)} of the model`
    : "";
  const beside = alsoTrained(held.lora);
  const rest = beside.length ? `Trained as well: ${beside.join(", ")}. All else is frozen.` : "All else stays as it is.";
  const says = h("p", h("b", plural(adapted, "adapter")), `${trains}. ${rest}`);
  if (held.tuner !== "LORA") return h("div.explanation", says);
  const rank = held.lora.r ?? 8;
  const alpha = held.lora.lora_alpha ?? 8;
  const scale = held.lora.use_rslora ? ["√", h("i", "r")] : [h("i", "r")];
  const varies = [held.lora.rank_pattern, held.lora.alpha_pattern].some((pattern) => Object.keys(pattern ?? {}).length);
  return h(
    "div.explanation",
    lowRank(rank),
    h(
      "div",
      says,
      !held.lora.use_dora &&
        h(
          "p.formula",
          h("i", "h"),
          " = ",
          h("i", "W x"),
          " + ",
          h("span.frac", h("i", "α"), "/", scale),
          " ",
          h("b", "B A"),
          h("i", " x"),
        ),
      h(
        "p.dim",
        `W is frozen. B and A are what is trained: as long and as wide as W, and r = ${rank} thin`,
        held.lora.r ? "" : " (PEFT's default)",
        `; α = ${alpha}`,
        varies ? ", but where a pattern says otherwise." : ".",
        held.lora.use_dora && " DoRA also trains how long each row of W + (α/r) B A is.",
      ),
    ),
  );
}

/** What a plan trains beside its adapters, in words. */
function alsoTrained(lora) {
  const saved = [lora.modules_to_save ?? []].flat();
  const isBiased = lora.bias && lora.bias !== "none";
  return [...saved, ...(isBiased ? ["biases"] : []), ...(lora.trainable_token_indices ? ["rows of embeddings"] : [])];
}

function lowRank(rank) {
  return drawing(
    {
      viewBox: "0 0 212 104",
      class: "low-rank",
      role: "img",
      "aria-label": `A frozen matrix W, plus the product of a tall matrix B and a wide matrix A of rank ${rank}`,
    },
    [
      ["rect", { x: 1.5, y: 8.5, width: 78, height: 78, rx: 3, class: "frozen" }],
      ["text", { x: 40.5, y: 52, class: "letter" }, "W"],
      ["text", { x: 40.5, y: 100, class: "word" }, "frozen"],
      ["text", { x: 98, y: 53, class: "sign" }, "+"],
      ["rect", { x: 115.5, y: 8.5, width: 13, height: 78, rx: 3, class: "trained" }],
      ["text", { x: 122, y: 52, class: "letter on" }, "B"],
      ["rect", { x: 133.5, y: 8.5, width: 78, height: 13, rx: 3, class: "trained" }],
      ["text", { x: 172.5, y: 19.5, class: "letter on small" }, "A"],
      ["text", { x: 122, y: 100, class: "word" }, `r = ${rank}`],
      ["text", { x: 172.5, y: 38, class: "word" }, "trained"],
    ],
  );
}
