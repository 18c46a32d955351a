// Numbers and names in words, as the other formats have them.

const UNITS = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];
const NOT_PRINTED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** Text with every character that does not print spelled out: none can reverse or hide what stands beside it. */
function visible(text) {
  return String(text).replace(NOT_PRINTED, (character) => {
    if (character === "\n" || character === "\t") return character;
    const code = character.codePointAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

/** On a single line: a line break is spelled out too. */
function oneLine(text) {
  return visible(text).replace(/\n/g, "\\n").replace(/\t/g, "\\t");
}

/** Parameters in three digits: `5.10 B`. */
function magnitude(count) {
  const unit = UNITS.find(([size]) => count >= size);
  if (!unit) return String(count);
  const value = count / unit[0];
  return `${value.toFixed(Math.max(0, 3 - String(Math.floor(value)).length))} ${unit[1]}`;
}

/** A share of one in per cent; only what is all of it says 100 %, and only nothing says 0 %. */
function share(part) {
  if (part === 0 || part === 1) return `${part * 100} %`;
  return `${Math.min(Math.max(part * 100, 0.1), 99.9).toFixed(1)} %`;
}

/** A share in two digits, however small: `0.029 %`. */
function portion(part) {
  return `${Number((part * 100).toPrecision(2))} %`;
}

function exactly(count) {
  return count.toLocaleString("en");
}

function plural(count, noun) {
  return `${exactly(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** The day of a date and time of ISO 8601; the text itself where it is none. */
function day(created) {
  return created ? created.slice(0, 10) : "undated";
}

function moment(created) {
  return created ? created.replace("T", " ").replace(/(:\d\d)(\.\d+)?Z$/, "$1 UTC") : "undated";
}
