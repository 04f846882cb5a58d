// Elements of the page. Texts from files are only ever set as text.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "line", "path", "circle", "rect", "text", "polyline"]);

// An element with attributes and children; a text is a child too.
function element(tag, attributes = {}, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Do something when the browser has nothing better to do.
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 20));

function byId(id) {
  return document.getElementById(id);
}

// A number as people read it: whole where it is large, else so many digits.
function readable(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e7 || (size && size < 1e-4)) return value.toExponential(digits - 2);
  return value.toLocaleString(
    "en-US",
    size >= 1000
      ? { maximumFractionDigits: 0 }
      : { minimumSignificantDigits: size ? digits : 1, maximumSignificantDigits: digits },
  );
}

// A number that somebody gave, as it was given.
function given(value) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function percent(share, digits = 1) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  return `${(100 * share).toFixed(digits).replace(/^-(0\.?0*)$/, "$1")} %`;
}
