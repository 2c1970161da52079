// The list of traces, with its search and filters.
import { el, replace, table } from "./dom.js";
import { get, turns } from "./api.js";
import { cells, heads, menu, ordered, traceAddress } from "./columns.js";
import { FIELDS, TIMES, address, chips, isFiltered } from "./filters.js";
import { plural } from "./format.js";

const PAGE = 100;

export function view(main, route) {
  let query = route.query;
  let limit = PAGE;
  let drawn = null;  // the answer and the query that are drawn
  const turn = turns();
  const chosen = new Map();
  const rows = el("div", { class: "results" });
  const form = filters(() => query, (changed) => { location.hash = address("/", changed).slice(1); });
  form.append(menu(() => drawn && draw(drawn)));
  replace(main, el("h1", { class: "hidden" }, "Traces"), form, rows);

  function draw({ data, asked }) {
    replace(rows, chips("/", asked), results(data, chosen, asked, () => { limit += PAGE; refresh(); }));
  }

  async function refresh() {
    const [asked, isLate] = [query, turn()];
    const data = await get("traces", { ...query, limit }).catch(({ message }) => ({ message }));
    if (asked !== query || isLate()) return;
    if (data.message) {
      drawn = null;
      return replace(rows, chips("/", query), el("p", { class: "empty", role: "alert" }, data.message));
    }
    if (data.tag === drawn?.data.tag && asked === drawn.asked) return;
    drawn = { data, asked };
    draw(drawn);
  }
  return {
    ready: refresh(),
    refresh,
    leave: () => form.leave(),
    moved: (to) => {
      query = to.query;
      form.fill();
      return refresh();
    },
  };
}

function filters(query, apply) {
  const inputs = {};
  let waiting = 0;
  const changed = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      apply({ ...query(), ...Object.fromEntries(Object.entries(inputs).map(([name, input]) =>
        [name, input.type === "checkbox" ? (input.checked ? "1" : "") : input.value.trim()])) });
    }, 250);
  };
  const on = { input: changed, change: changed };
  inputs.text = el("input", { type: "search", name: "text", placeholder: "Search in prompts, answers, errors…", "aria-label": "Search in full text", on });
  inputs.since = el("select", { name: "since", "aria-label": "Started", on }, TIMES.map(([value, text]) => el("option", { value }, text)));
  inputs.failed = el("input", { type: "checkbox", name: "failed", on });
  const more = FIELDS.map(([name, title, example]) => {
    inputs[name] = el("input", { type: "text", name, placeholder: example, on });
    return el("label", {}, title, inputs[name]);
  });
  const details = el("details", { class: "more" }, el("summary", {}, "Filters"), el("div", { class: "fields" }, more));
  const form = el("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    inputs.text, inputs.since, el("label", { class: "check" }, inputs.failed, "failed only"), details);
  form.leave = () => clearTimeout(waiting);  // a filter that was just typed does not lead back from another view
  form.fill = () => {
    for (const [name, input] of Object.entries(inputs)) {
      const value = query()[name] || "";
      if (input.type === "checkbox") input.checked = value === "1";
      else if (document.activeElement !== input) input.value = value;
    }
  };
  form.fill();
  return form;
}

function results(data, chosen, query, more) {
  const troubles = data.troubles.map((each) => el("p", { class: "trouble" }, each));
  if (!data.traces.length) {
    const isEmpty = !data.stored || !isFiltered(query);
    return [troubles, el("div", { class: "empty" },
      el("p", {}, isEmpty ? "No trace is stored yet." : "No trace matches."),
      el("p", { class: "dim" }, isEmpty
        ? ["Run ", el("code", {}, "lmspan demo"), " or a program with ", el("code", {}, "lmspan.init()"), `; it appears here by itself. (${data.path})`]
        : el("a", { href: "#/" }, "Show all traces")))];
  }
  const compare = el("a", { class: "button" }, "Compare the two");
  const offer = () => {  // the older one is on the left
    const ids = [...chosen].sort(([, one], [, other]) => one - other).map(([id]) => id);
    compare.hidden = ids.length !== 2;
    compare.setAttribute("href", `#/compare/${ids.join("/")}`);
  };
  offer();
  const box = (trace) => {
    const input = el("input", { type: "checkbox", "data-key": trace.trace_id, "aria-label": `Choose to compare: ${trace.name}`, checked: chosen.has(trace.trace_id), on: { change: () => {
      if (input.checked) chosen.set(trace.trace_id, trace.start);
      else chosen.delete(trace.trace_id);
      offer();
    } } });
    return input;
  };
  const list = { box, longest: Math.max(...data.traces.map((each) => each.duration_s)) };
  return [
    troubles,
    el("div", { class: "bar" }, el("span", { class: "dim" }, ordered(plural(data.traces.length, "trace"), query, data.more)), compare),
    table(heads(query, data.more), data.traces.map((each) => row(each, list)), { class: "traces", label: "Traces" }),
    data.more && el("button", { class: "button", type: "button", on: { click: more } }, "Show more"),
  ];
}

const row = (trace, list) => el("tr", { class: trace.failed ? "failed" : null, on: { click: (event) => {
  if (!event.target.closest("a, input") && !getSelection().toString()) location.hash = traceAddress(trace).slice(1);
} } }, cells(trace, list));
