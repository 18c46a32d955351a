// What is shown where: the address tells, and the keys.

const main = document.getElementById("main");
const crumb = document.getElementById("crumb");
const hasOverview = models.length > 1;
const table = hasOverview ? overview() : null;
let page = null; // the address of what is shown, without its options
const unwritten = { hash: null, timer: 0 }; // the state that is to be in the address
let left = 0; // how far the overview was scrolled

/** What an address asks for: a model's key, or none, and options. */
function asked() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const options = Object.fromEntries(new URLSearchParams(query));
  if (!path.startsWith("model/")) return { key: null, options };
  try {
    return { key: decodeURIComponent(path.slice("model/".length)), options };
  } catch {
    return { key: path, options };
  }
}

/** Put the state into the address, soon, without a step in the browser's history. */
function remember(hash) {
  unwritten.hash = hash;
  clearTimeout(unwritten.timer);
  unwritten.timer = setTimeout(flush, 120);
}

/** Do so now: what is left behind is to be found again as it was. */
function flush() {
  clearTimeout(unwritten.timer);
  if (unwritten.hash !== null) history.replaceState(null, "", unwritten.hash);
  unwritten.hash = null;
}

function show() {
  clearTimeout(unwritten.timer);
  unwritten.hash = null;
  const { key, options } = asked();
  const before = page;
  if (page === "" && hasOverview) left = scrollY;
  if (!models.length) {
    page = "";
    main.replaceChildren(
      h(
        "div.nothing",
        h("h1", { tabindex: -1 }, "No reports"),
        h(
          "p",
          "The page was made of files that hold no report. ",
          h("code", "archlint SOURCE… --format html"),
          " makes one of models.",
        ),
      ),
    );
  } else if (key === null && hasOverview) {
    page = "";
    table.show(options);
    main.replaceChildren(table.element);
    document.title = "archlint";
    crumb.replaceChildren();
    scrollTo(0, left);
  } else {
    const model = key === null ? models[0] : byKey.get(key);
    page = key ?? models[0].key;
    main.replaceChildren(model ? modelPage(model, options, (set) => remember(address(model, set))) : missing(key));
    document.title = `${visible(model ? model.name : key)} · archlint`;
    crumb.replaceChildren(...(hasOverview ? [h("a", { href: table.hash() }, icon("back"), "All models")] : []));
    scrollTo(0, 0);
  }
  if (before !== null) main.querySelector("h1").focus({ preventScroll: true });
  if (before && page === "") table.focusRow(before);
}

function missing(key) {
  return h(
    "div.nothing",
    h("h1", { tabindex: -1 }, "Not in this page"),
    h("p", "There is no report of ", h("code", key), " here."),
    h("p", h("a", { href: "#/" }, "What there is")),
  );
}

addEventListener("hashchange", show);
addEventListener("click", flush, true);
addEventListener("keydown", (event) => ["Enter", "Escape"].includes(event.key) && flush(), true);
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "/" && !isTyping && hasOverview) {
    event.preventDefault();
    if (page !== "") {
      location.hash = table.hash();
      addEventListener("hashchange", table.focusSearch, { once: true });
    } else {
      table.focusSearch();
    }
  } else if (event.key === "Escape" && !isTyping && hasOverview && page !== "") {
    location.hash = table.hash();
  }
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is what tells where one is
  main.focus();
});

const toggle = document.getElementById("theme-toggle");
const THEMES = { auto: "light", light: "dark", dark: "auto" };

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function labelTheme() {
  toggle.lastElementChild.textContent = theme();
  toggle.setAttribute("aria-label", `Theme: ${theme()}`);
}

toggle.addEventListener("click", () => {
  const next = THEMES[theme()];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("archlint-theme");
    else localStorage.setItem("archlint-theme", next);
  } catch {
    // storage may be forbidden; the theme is then not kept
  }
  labelTheme();
});

document
  .getElementById("foot")
  .append(
    h("span", `archlint ${data.archlint} · ${plural(entries.length, "report")}`),
    ...(hasOverview
      ? [h("span.keys", h("kbd", "/"), " search ", h("kbd", "↑"), h("kbd", "↓"), " rows ", h("kbd", "Esc"), " back")]
      : []),
  );
labelTheme();
toggle.hidden = false;
show();
