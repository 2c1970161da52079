// The list of traces, with its search and filters.
import { el, replace, table } from "./dom.js";
import { COLUMNS, menu, shown, traceAddress } from "./columns.js";
import { FIELDS, address, chips, filterForm, isFiltered } from "./filters.js";
import { plural } from "./format.js";
import { nothing, row, rows, troubles } from "./rows.js";
import { cells, heads, longest, ordered } from "./sorting.js";

export function view(main, route) {
  let query = route.query;
  const chosen = new Map();
  const place = el("div", { class: "results" });
  const list = rows("traces", place, () => query, (data, asked) => [chips("/", asked), results(data, chosen, asked)], (message) => {
    list.forget();
    replace(place, chips("/", query), el("p", { class: "empty", role: "alert" }, message));
  });
  const form = filters(() => query);
  form.append(menu(list.redraw));
  replace(main, el("h1", { class: "hidden" }, "Traces"), form, place);
  return {
    ready: list.refresh(),
    refresh: list.refresh,
    leave: () => form.leave(),
    moved: (to) => {
      query = to.query;
      form.fill();
      return list.refresh();
    },
  };
}

function filters(query) {
  const inputs = {};
  inputs.text = el("input", { type: "search", name: "text", placeholder: "Search in prompts, answers, errors…", "aria-label": "Search in full text" });
  inputs.failed = el("input", { type: "checkbox", name: "failed" });
  const more = FIELDS.map(([name, title, example]) => {
    inputs[name] = el("input", { type: "text", name, placeholder: example });
    return el("label", {}, title, inputs[name]);
  });
  return filterForm("/", query, inputs, inputs.text, el("label", { class: "check" }, inputs.failed, "failed only"),
    el("details", { class: "more" }, el("summary", {}, "Filters"), el("div", { class: "fields" }, more)));
}

function results(data, chosen, query) {
  if (!data.traces.length) return [troubles(data), nothing(data, isFiltered(query), "trace", "#/")];
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
  const list = { box, longest: longest(data.traces) };
  const counted = ordered(COLUMNS, plural(data.traces.length, "trace"), query, data.more);
  return [
    troubles(data),
    el("div", { class: "bar" }, el("span", { class: "dim" }, counted), compare,
      isFiltered(query) && el("a", { href: spansAddress(query) }, "Spans of these traces")),
    table(heads(shown(), "/", query, data.more),
      data.traces.map((each) => row(traceAddress(each), cells(shown(), each, list), { class: each.failed ? "failed" : null })),
      { class: "traces listed", label: "Traces" }),
  ];
}

const spansAddress = (query) => address("/spans", { ...query, query: query.where, where: "", sort: "", ascending: "" });
