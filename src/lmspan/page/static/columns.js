// The columns of the list: what each of them shows, what it sorts by, and which are shown.
import { el } from "./dom.js";
import { address } from "./filters.js";
import { clock, duration, money, number, short, tokens } from "./format.js";

const KEY = "lmspan.columns";

// A column without a cell of its own shows the field of its name. `always`: it cannot be hidden; `more`: it is hidden at first.
const COLUMNS = [
  { name: "choose", title: "", always: true, class: "choose", cell: (trace, list) => list.box(trace) },
  { name: "number", title: "#", more: true, class: "right" },
  { name: "started", sort: "start", class: "when", cell: (trace) => clock(trace.start).split(" ").map((each, place) => [place > 0 && " ", el("span", {}, each)]) },
  { name: "service", class: "service" },
  { name: "session", more: true, class: "session" },
  { name: "trace", always: true, class: "name", cell: name },
  { name: "time", sort: "duration", class: "right time", cell: (trace, list) => [duration(trace.duration_s),
    el("span", { class: "measure", "aria-hidden": "true" }, el("span", { style: { width: `${(100 * trace.duration_s) / (list.longest || 1)}%` } }))] },
  { name: "spans", more: true, class: "right", cell: (trace) => short(trace.spans) },
  { name: "calls", sort: "calls", class: "right", cell: (trace) => (trace.lm_calls ? short(trace.lm_calls) : "") },
  { name: "tokens", sort: "tokens", class: "right tokens", cell: (trace) => tokens(trace.input_tokens, trace.output_tokens) },
  { name: "cost", sort: "cost", class: "right cost", cell: (trace) => money(trace.cost) },
  { name: "score", sort: "score", class: "right score", cell: (trace) => (trace.score === null ? "" : `${trace.first_score === null ? "" : `${number(trace.first_score)} → `}${number(trace.score)}`) },
  { name: "state", sort: "failed", class: "state", cell: states },
];

function name(trace) {
  const [word, ...rest] = trace.name.split(" ");
  const usual = ["invoke_workflow", "invoke_agent", "module"].includes(word) && rest.length;
  return [el("a", { href: traceAddress(trace), "data-key": trace.trace_id }, usual ? rest.join(" ") : trace.name || trace.trace_id.slice(0, 8)),
    trace.words && el("span", { class: "words" }, trace.words)];
}

export function states(trace) {
  return [
    trace.state !== "ended" && el("span", { class: `badge ${trace.state === "running" ? "running" : "warn"}` }, trace.state),
    trace.failed > 0 && el("span", { class: "badge bad" }, `${trace.failed} failed`),
    trace.recovered > 0 && el("span", { class: "badge warn" }, `${trace.recovered} recovered`),
  ];
}

export const traceAddress = (trace) => `#/trace/${trace.trace_id}`;

export const cells = (trace, list) =>
  shown().map((each) => el("td", { class: each.class }, each.cell ? each.cell(trace, list) : trace[each.name]));

// Sorting -------------------------------------------------------------------------------------------------------------

export const order = (query) => ({ sort: query.sort || "start", ascending: query.ascending === "1" });

// With `isPart` the list has more rows than are shown: a column that is empty here can sort the others to the top.
export function heads(query, isPart) {
  const { sort, ascending } = order(query);
  return shown().map((each) => {
    const isSorted = each.sort === sort;
    const changed = { sort: each.sort === "start" ? "" : each.sort, ascending: isSorted && !ascending ? "1" : "" };
    const title = each.title ?? each.name;
    return el("th", {
      scope: "col", role: "columnheader", class: each.class.includes("right") ? "right" : null,
      "aria-sort": isSorted ? (ascending ? "ascending" : "descending") : null, "data-kept": Boolean(each.sort) && (isPart || isSorted),
    }, each.sort ? el("button", { class: "sort", type: "button", "data-key": each.sort, title: each.sort === "failed" ? "sort by failures" : null,
      on: { click: () => { location.hash = address("/", { ...query, ...changed }).slice(1); } } }, title) : title);
  });
}

export function ordered(traces, query, isPart) {
  const { sort, ascending } = order(query);
  if (sort === "start") return isPart ? `the ${ascending ? "oldest" : "newest"} ${traces}` : traces;
  const by = sort === "failed" ? "failures" : COLUMNS.find((each) => each.sort === sort)?.name;
  return `${isPart ? "the first " : ""}${traces} by ${by}`;
}

// Choosing ------------------------------------------------------------------------------------------------------------

const chosen = stored();

function stored() {
  try {
    return { ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {  // a browser may keep nothing, and what it kept may be of another version
    return {};
  }
}

function store() {
  try {
    localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch {
    // the choice ends with the page
  }
}

const isShown = (each) => each.always || (typeof chosen[each.name] === "boolean" ? chosen[each.name] : !each.more);
const shown = () => COLUMNS.filter(isShown);

export function menu(changed) {
  const boxes = COLUMNS.filter((each) => !each.always).map((each) => {
    const box = el("input", { type: "checkbox", checked: isShown(each), on: { change: () => {
      chosen[each.name] = box.checked;
      store();
      changed();
    } } });
    return el("label", { class: "check" }, box, each.name);
  });
  const summary = el("summary", {}, "Columns");
  const details = el("details", { class: "more", on: { keydown: (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    summary.focus();
  } } }, summary, el("div", { class: "boxes", role: "group", "aria-label": "Columns" }, boxes));
  return details;
}
