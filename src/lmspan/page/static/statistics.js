// Statistics: figures over time, and by model, module, tool, session, user and service.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { address, chips, timeSelect } from "./filters.js";
import { duration, figures, money, plural, short, tokens } from "./format.js";
import { overTime } from "./plot.js";

const SHOWN = ["model", "module", "tool", "session", "user", "service"];
const FILTER = { user: "session" };  // the filter of a kind with another name
const ASKED = ["model", "module", "tool"];  // the kinds whose calls are spans
const MOST = 100;  // rows of a table at first
const one = (name, value) => [{ name, value, class: "bar-value" }];
const MEASURES = {
  latency: ["Latency", [{ name: "p50", value: (each) => each.p50_s, class: "p50" }, { name: "p95", value: (each) => each.p95_s, class: "p95" }], duration],
  cost: ["Cost", one("cost", (each) => each.cost), money],
  tokens: ["Tokens", one("tokens", (each) => each.input_tokens + each.output_tokens), short],
  calls: ["Calls", one("calls", (each) => each.calls), short],
  retries: ["Retries", one("retries", (each) => each.retries), short],
  cache: ["Cache hits", one("cache hits", (each) => each.cache_hits), short],
  failed: ["Failures", one("failures", (each) => each.failed), short],
};
const TITLES = ["", " calls", " total", " p50", " p95", " max", " first chunk p50 / p95", " tokens", " cost", " retries", " cache hits", " failed"];
const ID = /^[0-9a-f]{32}$/;

export async function view(main, route, isCurrent) {
  const { measure = "latency", by = "", key = "", ...query } = route.query;
  const shown = Object.hasOwn(MEASURES, measure) ? measure : "latency";
  const of = SHOWN.includes(by) && key ? { by, key } : {};
  const to = (changed) => address("/statistics", { ...query, measure: shown === "latency" ? "" : shown, ...of, ...changed });
  const over = el("section", { class: "over", "aria-label": "Over time" });
  const total = el("p", { class: "facts" });
  const tables = el("section", {});
  replace(main, el("div", { class: "page" },
    ID.test(query.trace) && el("p", { class: "path" }, el("a", { href: `#/trace/${query.trace}` }, "trace"), " › statistics"),
    el("div", { class: "title" }, el("h1", {}, query.trace ? "Statistics of one trace" : "Statistics"),
      !query.trace && timeSelect(query.since || "", (since) => { location.hash = to({ since }).slice(1); })),
    chips("/statistics", query), total, over, tables));
  replace(tables, el("p", { class: "empty dim" }, "Reading…"));
  let drawn = "";
  async function refresh() {
    const [data, { periods, tag }] = await Promise.all([get("statistics", { ...query, by: SHOWN }), get("statistics/periods", { ...query, ...of })]);
    const next = `${data.tag} ${tag}`;
    if (!isCurrent() || next === drawn) return;
    drawn = next;
    replace(total, data.total && [plural(data.total.calls, "trace"), ...figures({ ...data.total, lm_calls: data.lm_calls }),
      data.total.failed && `${data.total.failed} failed`, data.total.recovered && `${data.total.recovered} recovered`].filter(Boolean).map((each) => el("span", {}, each)));
    replace(over, periods.length > 0 && plotted(periods, shown, of, to));
    const filled = SHOWN.filter((kind) => data.tables[kind].some((each) => each.key));
    replace(tables, filled.length ? filled.map((kind) => group(kind, data.tables[kind].filter((each) => each.key), query, of, to))
      : el("p", { class: "empty" }, Object.values(query).some(Boolean) ? "No call matches." : "No call is stored yet."));
  }
  await refresh();
  return { refresh };
}

function plotted(periods, shown, of, to) {
  const [title, series, text] = MEASURES[shown];
  return [
    el("div", { class: "tabs", role: "group", "aria-label": "Measure" },
      Object.entries(MEASURES).map(([name, [each]]) => el("a", { class: "tab", href: to({ measure: name === "latency" ? "" : name }), "aria-current": name === shown ? "true" : null }, each)),
      el("span", { class: "gap" }),
      series.length > 1 && series.map((each) => el("span", { class: `legend ${each.class}` }, each.name)),
      of.key ? el("a", { class: "chip", href: to({ by: "", key: "" }), "aria-label": `Show all traces instead of ${of.by} ${of.key}` },
        el("span", { class: "dim" }, `${of.by} `), of.key, el("span", { class: "cross", "aria-hidden": "true" }, "×")) : el("span", { class: "dim" }, "whole traces")),
    overTime(periods, series, text, title),
  ];
}

function group(kind, rows, query, of, to) {
  const longest = Math.max(...rows.map((each) => each.total_s)) || 1;
  const place = el("section", { class: "section" });
  const draw = (most) => replace(place, el("h2", {}, `By ${kind}`),
    table([kind, ...TITLES], rows.slice(0, most).map((each) => row(kind, each, longest, query, of, to)), { class: "figures", label: `Statistics by ${kind}` }),
    rows.length > most && el("button", { class: "button", type: "button", on: { click: () => draw(rows.length) } }, `Show all ${rows.length.toLocaleString("en")}`));
  draw(MOST);
  return place;
}

function row(kind, each, longest, query, of, to) {
  const isPlotted = of.by === kind && of.key === each.key;
  const chunk = each.first_chunk_p50_s === null ? "" : `${duration(each.first_chunk_p50_s)} / ${duration(each.first_chunk_p95_s)}`;
  const retries = each.retries ? `${each.retries}${each.retry_wait_s ? `, ${duration(each.retry_wait_s)} waited` : ""}` : "";
  return el("tr", { class: isPlotted ? "chosen" : null },
    el("td", { class: "wide" }, el("a", { href: address("/", { ...query, [FILTER[kind] || kind]: each.key }), title: "the traces" }, each.key)),
    el("td", {}, el("a", { class: "quiet plot-link", href: isPlotted ? to({ by: "", key: "" }) : to({ by: kind, key: each.key }), "aria-label": `${each.key} over time`, "aria-current": isPlotted ? "true" : null }, "over time")),
    el("td", { class: "right" }, calls(kind, each, query)),
    el("td", { class: "right" }, duration(each.total_s), el("span", { class: "measure", "aria-hidden": "true" }, el("span", { style: { width: `${(100 * each.total_s) / longest}%` } }))),
    [duration(each.p50_s), duration(each.p95_s), duration(each.max_s), chunk, tokens(each.input_tokens, each.output_tokens),
      money(each.cost) + (each.unknown_costs ? ` + ${each.unknown_costs} unknown` : "")].map((text) => el("td", { class: "right" }, text)),
    el("td", { class: "right warn", title: retries && "requests beyond the first one of a call, and the time between them; a refused request costs nothing" }, retries),
    el("td", { class: "right" }, each.cache_hits || ""),
    el("td", { class: "right" }, each.failed > 0 && el("span", { class: "bad" }, each.failed), each.recovered > 0 && el("span", { class: "dim" }, ` ${each.recovered} recovered`)));
}

// The number of calls leads to their spans; a query cannot name a text with a quotation mark, or a model without a name.
function calls(kind, each, query) {
  const canBeAsked = ASKED.includes(kind) && !each.key.includes('"') && each.key !== "(unknown)";
  return canBeAsked ? el("a", { href: address("/spans", { ...query, query: `${kind}="${each.key}"` }), title: "the spans" }, short(each.calls)) : short(each.calls);
}
