// Elements. Whatever a report says goes through `h` and becomes text: there is no way here to write markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: `h("a.name", {href: "#/"}, "text", child)`. Children that are null or false are left out.
 * `on…` is a listener, `style` an object of properties, `data` an object of data attributes.
 */
function h(what, ...given) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  const first = given[0];
  const isPlain = first && typeof first === "object" && !(first instanceof Node) && !Array.isArray(first);
  if (isPlain) given.shift();
  for (const [name, value] of Object.entries(isPlain ? first : {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) element.style.setProperty(key, set);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : oneLine(value));
  }
  element.append(...nodes(given));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).flatMap((child) => {
    if (child === null || child === undefined || child === false || child === "") return [];
    return [child instanceof Node ? child : document.createTextNode(visible(child))];
  });
}

/** A drawing of the page's sprite. */
function icon(name, label = null) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

/** A drawing from a list of shapes: `["rect", {x: 1, …}, "text"]`. */
function drawing(attributes, shapes) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  for (const [tag, given, text] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(given)) shape.setAttribute(name, value);
    if (text !== undefined) shape.textContent = visible(text);
    svg.append(shape);
  }
  return svg;
}

/** Say something to those who listen to the page. */
function announce(text) {
  document.getElementById("announcer").textContent = visible(text);
}

/** A button that copies `text`, or, where that may not be done, selects `shown`, for the keyboard to copy it. */
function copyButton(text, what, shown) {
  const word = h("span", "Copy");
  const button = h("button.copy", { type: "button", "aria-label": `Copy ${what}` }, icon("copy"), word);
  button.addEventListener("click", async () => {
    const done = await copied(text);
    if (!done) getSelection().selectAllChildren(shown);
    word.textContent = done ? "Copied" : "Press Ctrl+C";
    announce(done ? `Copied ${what}` : `${what} could not be copied, and is selected`);
    setTimeout(() => {
      word.textContent = "Copy";
    }, 1600);
  });
  return button;
}

/** Whether `text` is on the clipboard now: by the old way where a page from a file may not use the new one. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea.clip", { readonly: true, "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

/** Source to paste, with a button that copies it; a line that has no room goes on below its own beginning. */
function source(text, what) {
  const lines = text
    .split("\n")
    .map((line) => h("span", { style: { "--indent": line.match(/^ */)[0].length } }, line || " "));
  const shown = h("pre", { tabindex: 0, role: "group", "aria-label": what }, h("code", lines));
  return h("div.source", shown, copyButton(text, what, shown));
}
