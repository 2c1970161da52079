// The columns of the list of traces: what each of them shows, what it sorts by, and which are shown.
import { el } from "./dom.js";
import { number, short } from "./format.js";
import { COST, STARTED, TIME, TOKENS } from "./sorting.js";

const KEY = "lmspan.columns";

// `always`: a column that cannot be hidden; `more`: one that is hidden at first.
export const COLUMNS = [
  { name: "choose", title: "", always: true, class: "choose", cell: (trace, list) => list.box(trace) },
  { name: "number", title: "#", more: true, class: "right" },
  STARTED,
  { name: "service", class: "service" },
  { name: "session", more: true, class: "session" },
  { name: "trace", always: true, class: "name", cell: name },
  TIME,
  { name: "spans", more: true, class: "right", cell: (trace) => short(trace.spans) },
  { name: "calls", sort: "calls", class: "right", cell: (trace) => (trace.lm_calls ? short(trace.lm_calls) : "") },
  TOKENS,
  COST,
  { name: "score", sort: "score", class: "right score", cell: (trace) => (trace.score === null ? "" : `${trace.first_score === null ? "" : `${number(trace.first_score)} → `}${number(trace.score)}`) },
  { name: "state", sort: "failed", by: "failures", class: "state", cell: states },
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
export const shown = () => COLUMNS.filter(isShown);

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
