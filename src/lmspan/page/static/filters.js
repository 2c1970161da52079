// What a list and statistics can be filtered by, and the filters that are active as chips that remove them.
import { el } from "./dom.js";

export const TIMES = [["", "any time"], ["1h", "last hour"], ["today", "today"], ["7d", "last 7 days"], ["30d", "last 30 days"]];
export const FIELDS = [
  ["service", "Service"], ["module", "Module", "its path"], ["tool", "Tool"], ["agent", "Agent"], ["model", "Model"],
  ["session", "Session or user"], ["name", "Span name", "a part of it"], ["slow", "Lasted at least", "2s"],
];
const TITLES = { text: "text", root: "outermost", since: "since", until: "before", trace: "trace", session: "session or user", name: "span name", slow: "at least" };
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

export const timeSelect = (value, apply) => {
  const select = el("select", { name: "since", "aria-label": "Started", on: { change: () => apply(select.value) } },
    [...TIMES, ...(TIMES.some(([each]) => each === value) ? [] : [[value, `since ${value}`]])].map(([each, text]) => el("option", { value: each }, text)));
  select.value = value;
  return select;
};
