// Statistics: cost over time, and figures by model, module, tool and session.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { clock, duration, money, plural, short, tokens } from "./format.js";
import { bars } from "./plot.js";

const SHOWN = ["model", "module", "tool", "session", "service"];
const FILTER = { model: "model", module: "name", tool: "name", session: "session", service: "service" };
const MOST = 1000;
const BARS = 48;
const MEASURES = { cost: ["Cost", (each) => each.cost || 0, money], tokens: ["Tokens", (each) => each.input_tokens + each.output_tokens, short],
  calls: ["LM calls", (each) => each.lm_calls, short], time: ["Time", (each) => each.duration_s, duration], failed: ["Failures", (each) => each.failed, short] };
const TITLES = [" calls", " p50", " p95", " max", " first chunk", " tokens", " cost", " retries", " cache", " failed"];

export async function view(main, route, isCurrent) {
  const measure = { name: "cost" };
  const over = el("section", { class: "over" });
  const tables = el("section", {});
  replace(main, el("div", { class: "page" }, el("h1", {}, route.query.trace ? "Statistics of one trace" : "Statistics"),
    route.query.trace && el("p", { class: "path" }, el("a", { href: `#/trace/${/^[0-9a-f]{32}$/.test(route.query.trace) ? route.query.trace : ""}` }, "trace")), over, tables));
  let traces = [];
  function draw() {
    const [, value, text] = MEASURES[measure.name];
    replace(over, el("div", { class: "tabs", role: "group", "aria-label": "Measure" }, Object.entries(MEASURES).map(([name, [title]]) =>
      el("button", { class: "quiet", type: "button", "aria-pressed": String(name === measure.name), on: { click: () => { measure.name = name; draw(); } } }, title))),
      traces.length > 1 && bars(buckets(traces, value, text), `${MEASURES[measure.name][0]} over time`));
  }
  async function refresh() {
    const [listed, data] = await Promise.all([get("traces", { ...route.query, limit: String(MOST) }), get("statistics", { ...route.query, by: SHOWN })]);
    if (!isCurrent()) return;
    traces = listed.traces;
    draw();
    const filled = SHOWN.filter((kind) => data.tables[kind].some((each) => each.key));
    replace(tables, filled.length ? filled.map((kind) => group(kind, data.tables[kind])) : el("p", { class: "empty" }, "No calls are stored yet."));
  }
  await refresh();
  return { refresh };
}

function buckets(traces, value, text) {
  const starts = traces.map((each) => each.start);
  const from = Math.min(...starts);
  const wide = (Math.max(...starts) - from) / BARS || 1;
  const sums = Array.from({ length: BARS }, () => ({ value: 0, count: 0 }));
  for (const each of traces) {
    const bucket = sums[Math.min(BARS - 1, Math.floor((each.start - from) / wide))];
    bucket.value += value(each);
    bucket.count += 1;
  }
  const found = sums.map((each, place) => ({ value: each.value, title: `${clock(from + place * wide)}: ${text(each.value)}, ${plural(each.count, "trace")}` }));
  return Object.assign(found, { from: clock(from), to: clock(from + BARS * wide), most: text(Math.max(...found.map((each) => each.value))) });
}

function group(kind, rows) {
  return el("section", { class: "section" }, el("h2", {}, `By ${kind}`),
    table([kind, ...TITLES], rows.filter((each) => each.key).map((each) => el("tr", {},
      el("td", { class: "wide" }, el("a", { href: `#/?${new URLSearchParams({ [FILTER[kind]]: each.key })}` }, each.key)),
      [short(each.calls), duration(each.p50_s), duration(each.p95_s), duration(each.max_s), duration(each.first_chunk_p50_s), tokens(each.input_tokens, each.output_tokens),
        money(each.cost) + (each.unknown_costs ? ` + ${each.unknown_costs} unknown` : ""), each.retries ? `${each.retries} (${duration(each.retry_wait_s)})` : "", each.cache_hits || ""]
        .map((text) => el("td", { class: "right" }, text)),
      el("td", { class: "right" }, each.failed > 0 && el("span", { class: "bad" }, each.failed), each.recovered > 0 && el("span", { class: "dim" }, ` ${each.recovered} recovered`)))),
    { label: `Statistics by ${kind}` }));
}
