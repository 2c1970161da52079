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
  const typed = new Set();  // the names of the inputs whose changes are not in the address yet
  const last = {};  // the values of the address, as the inputs had them last
  let waiting = 0;
  let isLeft = false;
  const valueOf = (input) => (input.type === "checkbox" ? (input.checked ? "1" : "") : input.value.trim());
  const apply = () => {
    clearTimeout(waiting);
    const changes = Object.fromEntries([...typed].map((name) => [name, valueOf(inputs[name])]));
    typed.clear();
    Object.assign(last, changes);
    location.hash = address(path, { ...query(), ...changes }).slice(1);
  };
  inputs.since = times();
  for (const [name, input] of Object.entries(inputs)) for (const event of ["input", "change"]) input.addEventListener(event, () => {
    clearTimeout(waiting);
    typed.add(name);
    if (!isLeft) waiting = setTimeout(apply, PAUSE_MS);
  });
  const form = el("form", { class: "filters", role: "search", on: { submit: (event) => { event.preventDefault(); apply(); } } }, children);
  form.querySelector("input").after(inputs.since);
  form.leave = () => {  // what was just typed does not lead back from another view; an input changes when it is removed, too
    isLeft = true;
    clearTimeout(waiting);
  };
  form.fill = () => {
    for (const [name, input] of Object.entries(inputs)) {
      const value = query()[name] || "";
      if (typed.has(name) && value === last[name]) continue;  // another part of the address has changed while it was typed
      typed.delete(name);
      last[name] = value;
      if (input.type === "checkbox") input.checked = value === "1";
      else if (input === inputs.since) fill(input, value);
      else if (valueOf(input) !== value) input.value = value;
    }
  };
  form.fill();
  return form;
}
