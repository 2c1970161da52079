// What a list and statistics can be filtered by, and the filters that are active as chips that remove them.
import { el } from "./dom.js";

const PAUSE_MS = 250;
const TIMES = [["", "any time"], ["1h", "last hour"], ["today", "today"], ["7d", "last 7 days"], ["30d", "last 30 days"]];
export const FIELDS = [
  ["service", "Service"], ["module", "Module", "its path"], ["tool", "Tool"], ["agent", "Agent"], ["model", "Model"],
  ["session", "Session or user"], ["name", "Span name", "a part of it"], ["slow", "Lasted at least", "2s"],
  ["where", "Has a span", "cost>0.1 failed"],
];
const TITLES = { text: "text", root: "outermost", since: "since", until: "before", trace: "trace", session: "session or user", name: "span name", slow: "at least", where: "has a span" };
const KNOWN = ["text", "failed", "since", "until", "trace", "root", ...FIELDS.map(([name]) => name)];

export const isFiltered = (query) => KNOWN.some((name) => query[name]);

export function address(path, query) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#${path}${search && "?"}${search}`;
}

export function chips(path, query) {
  const active = KNOWN.filter((name) => query[name]);
  if (!active.length) return null;
  return el("p", { class: "chips", "aria-label": "Active filters" },
    active.map((name) => {
      const value = name === "trace" ? query[name].slice(0, 8) : query[name];
      const words = name === "failed" ? ["failed only"] : [TITLES[name] || name, value];
      return el("a", { class: "chip", href: address(path, { ...query, [name]: "" }), "aria-label": `Remove the filter ${words.join(" ")}` },
        words.length > 1 && el("span", { class: "dim" }, `${words[0]} `), words.at(-1), el("span", { class: "cross", "aria-hidden": "true" }, "×"));
    }),
    active.length > 1 && el("a", { class: "clear", href: address(path, { ...query, ...Object.fromEntries(active.map((name) => [name, ""])) }) }, "remove all"));
}

function fill(select, value) {
  if (![...select.options].some((each) => each.value === value)) select.append(el("option", { value }, `since ${value}`));
  select.value = value;
}

const times = (on = {}) => el("select", { name: "since", "aria-label": "Started", on }, TIMES.map(([value, text]) => el("option", { value }, text)));

export function timeSelect(value, apply) {
  const select = times({ change: () => apply(select.value) });
  fill(select, value);
  return select;
}

// A form whose inputs are parts of the query of the address, by name. A change is in the address when no other has
// followed for a moment.
export function filterForm(path, query, inputs, ...children) {
  let waiting = 0;  // what was typed is not in the address yet
  let isLeft = false;
  const stop = () => {
    clearTimeout(waiting);
    waiting = 0;
  };
  const valueOf = (input) => (input.type === "checkbox" ? (input.checked ? "1" : "") : input.value.trim());
  const apply = () => {
    stop();
    location.hash = address(path, { ...query(), ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, valueOf(input)])) }).slice(1);
  };
  const changed = () => {
    stop();
    if (!isLeft) waiting = setTimeout(apply, PAUSE_MS);
  };
  inputs.since = times();
  for (const input of Object.values(inputs)) for (const event of ["input", "change"]) input.addEventListener(event, changed);
  const form = el("form", { class: "filters", role: "search", on: { submit: (event) => { event.preventDefault(); apply(); } } }, children);
  form.querySelector("input").after(inputs.since);
  form.leave = () => {  // what was just typed does not lead back from another view; an input changes when it is removed, too
    isLeft = true;
    stop();
  };
  form.fill = () => {
    for (const [name, input] of Object.entries(inputs)) {
      const value = query()[name] || "";
      if (input.type === "checkbox") input.checked = value === "1";
      else if (input === inputs.since) fill(input, value);
      else if (valueOf(input) !== value && !(waiting && document.activeElement === input)) input.value = value;
    }
  };
  form.fill();
  return form;
}
