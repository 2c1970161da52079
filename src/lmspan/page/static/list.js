// The list of traces, with its search and filters.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { FIELDS, TIMES, address, chips } from "./filters.js";
import { clock, duration, money, number, plural, short, tokens } from "./format.js";

const PAGE = 100;
const TITLES = ["", "started", "service", "trace", " time", " calls", " tokens", " cost", " score", "state"];

export async function view(main, route) {
  let query = route.query;
  let limit = PAGE;
  let drawn = "";  // the answer and the filters that are drawn
  const chosen = new Set();
  const rows = el("div", { class: "results" });
  const form = filters(() => query, (changed) => { location.hash = address("/", changed).slice(1); });
  replace(main, el("h1", { class: "hidden" }, "Traces"), form, rows);

  async function refresh() {
    const asked = query;
    let data;
    try {
      data = await get("traces", { ...query, limit });
    } catch (error) {
      drawn = "";
      if (asked === query) replace(rows, chips("/", query), el("p", { class: "empty", role: "alert" }, error.message));
      return;
    }
    const next = `${data.tag} ${JSON.stringify(asked)}`;
    if (asked !== query || next === drawn) return;
    drawn = next;
    const focused = document.activeElement?.dataset?.trace;
    replace(rows, chips("/", query), results(data, chosen, query, () => { limit += PAGE; refresh(); }));
    if (focused) rows.querySelector(`[data-trace="${focused}"]`)?.focus();
  }
  await refresh();
  return {
    refresh,
    leave: () => form.leave(),
    moved: (to) => {
      query = to.query;
      form.fill();
      refresh();
      return true;
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
    const isFiltered = Object.values(query).some(Boolean);
    return [troubles, el("div", { class: "empty" },
      el("p", {}, isFiltered && data.stored ? "No trace matches." : "No trace is stored yet."),
      el("p", { class: "dim" }, isFiltered && data.stored ? el("a", { href: "#/" }, "Show all traces")
        : ["Run ", el("code", {}, "lmspan demo"), " or a program with ", el("code", {}, "lmspan.init()"), `; it appears here by itself. (${data.path})`]))];
  }
  const compare = el("a", { class: "button", hidden: chosen.size !== 2, href: `#/compare/${[...chosen].join("/")}` }, "Compare the two");
  const choose = (id, box) => {
    if (box.checked) chosen.add(id);
    else chosen.delete(id);
    compare.hidden = chosen.size !== 2;
    const places = data.traces.map((each) => each.trace_id);
    const ids = [...chosen].sort((a, b) => places.indexOf(b) - places.indexOf(a));
    if (ids.length === 2) compare.setAttribute("href", `#/compare/${ids.join("/")}`);
  };
  const longest = Math.max(...data.traces.map((each) => each.duration_s));
  return [
    troubles,
    el("div", { class: "bar" }, el("span", { class: "dim" }, data.more ? `the newest ${plural(data.traces.length, "trace")}` : plural(data.traces.length, "trace")), compare),
    table(TITLES, data.traces.map((each) => row(each, longest, chosen, choose)), { class: "traces", label: "Traces" }),
    data.more && el("button", { class: "button", type: "button", on: { click: more } }, "Show more"),
  ];
}

function row(trace, longest, chosen, choose) {
  const [word, ...rest] = trace.name.split(" ");
  const usual = ["invoke_workflow", "invoke_agent", "module"].includes(word) && rest.length;
  const address = `#/trace/${trace.trace_id}`;
  const box = el("input", { type: "checkbox", "aria-label": `Choose to compare: ${trace.name}`, checked: chosen.has(trace.trace_id),
    on: { change: () => choose(trace.trace_id, box) } });
  return el("tr", { class: trace.failed ? "failed" : null, on: { click: (event) => {
    if (!event.target.closest("a, input") && !getSelection().toString()) location.hash = address.slice(1);
  } } },
    el("td", { class: "choose" }, box),
    el("td", { class: "when" }, clock(trace.start).split(" ").map((each, place) => [place > 0 && " ", el("span", {}, each)])),
    el("td", { class: "service" }, trace.service),
    el("td", { class: "name" }, el("a", { href: address, "data-trace": trace.trace_id }, usual ? rest.join(" ") : trace.name || trace.trace_id.slice(0, 8)),
      trace.words && el("span", { class: "words" }, trace.words)),
    el("td", { class: "right time" }, duration(trace.duration_s),
      el("span", { class: "measure", "aria-hidden": "true" }, el("span", { style: { width: `${(100 * trace.duration_s) / (longest || 1)}%` } }))),
    el("td", { class: "right" }, trace.lm_calls ? short(trace.lm_calls) : ""),
    el("td", { class: "right tokens" }, tokens(trace.input_tokens, trace.output_tokens)),
    el("td", { class: "right cost" }, money(trace.cost)),
    el("td", { class: "right score" }, trace.score === null ? "" : `${trace.first_score === null ? "" : `${number(trace.first_score)} → `}${number(trace.score)}`),
    el("td", { class: "state" }, states(trace)));
}

export function states(trace) {
  return [
    trace.state !== "ended" && el("span", { class: `badge ${trace.state === "running" ? "running" : "warn"}` }, trace.state),
    trace.failed > 0 && el("span", { class: "badge bad" }, `${trace.failed} failed`),
    trace.recovered > 0 && el("span", { class: "badge warn" }, `${trace.recovered} recovered`),
  ];
}
