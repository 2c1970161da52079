// Elements from plain data. A text becomes a text node and nothing else: no string is ever read as HTML.
import { visible } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "value" || name === "checked") element[name] = value;
    else if (name === "href" && !String(value).startsWith("#")) throw new Error("a link leads to this page only");
    else element.setAttribute(name, value === true ? "" : name === "title" ? visible(String(value)) : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
}

export const el = (tag, properties = {}, ...children) => filled(document.createElement(tag), properties, children);

export const svg = (tag, properties = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), properties, children);

// The element that takes the place of the one with the focus takes the focus, too.
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) && document.activeElement;
  const fragment = document.createDocumentFragment();
  append(fragment, children);
  element.replaceChildren(fragment);
  if (focused && focused !== element) inPlaceOf(focused, element)?.focus({ preventScroll: true });
}

const identity = (element) => element.dataset.key || element.getAttribute("aria-label") || element.getAttribute("href") || element.textContent;

const inPlaceOf = (former, element) => [...element.querySelectorAll(former.tagName)].find((each) => identity(each) === identity(former));

// A table that has no room shows each row as a card: its cells below each other, with their titles. The width of the
// line below the table is observed, which does not depend on the height of the table.
const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const place = target.parentElement;
    place.classList.remove("cards");
    place.classList.toggle("cards", place.scrollWidth > place.clientWidth);
  }
});

// A title is a text, which begins with a space above figures, or a head of its own. A column without any content is not
// shown, except below a head with `data-kept`.
export function table(titles, rows, properties = {}) {
  const heads = titles.map((title) => title instanceof Element ? title : el("th", { scope: "col", role: "columnheader", class: title.startsWith(" ") ? "right" : null }, title.trim()));
  const columns = heads.map((head, column) => [head, ...rows.map((row) => row.cells[column])]);
  for (const [head, ...cells] of columns) {
    const isEmpty = !head.hasAttribute("data-kept") && cells.every((cell) => !cell.textContent && !cell.querySelector("input"));
    for (const cell of cells) filled(cell, { role: "cell", "data-title": head.textContent }, []);
    for (const cell of [head, ...cells]) cell.classList.toggle("void", isEmpty && rows.length > 0);
  }
  for (const row of rows) row.setAttribute("role", "row");
  const line = el("div", {});
  fitting.observe(line);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": properties.label || "table" },
    el("table", { class: properties.class, role: "table" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), el("tbody", { role: "rowgroup" }, rows)), line);
}

export const copyButton = (text) =>
  el("button", { class: "quiet", type: "button", title: "Copy", on: {
    click: async (event) => {
      event.stopPropagation();
      const button = event.currentTarget;
      button.textContent = await navigator.clipboard.writeText(text()).then(() => "copied", () => "not copied");
      setTimeout(() => { button.textContent = "copy"; }, 1200);
    },
  } }, "copy");
