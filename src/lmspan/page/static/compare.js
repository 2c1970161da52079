// Two traces side by side.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { clock, duration, money, number, short } from "./format.js";

const TOTALS = [["time", "duration_s", duration], ["spans", "spans", short], ["LM calls", "lm_calls", short], ["input tokens", "input_tokens", short],
  ["output tokens", "output_tokens", short], ["cost", "cost", money], ["failed", "failed", short], ["recovered", "recovered", short], ["first score", "first_score", number], ["score", "score", number]];
const COLUMNS = [["calls", "calls", short], ["time", "total_s", duration], ["p50", "p50_s", duration], ["cost", "cost", money], ["failed", "failed", short]];

export async function view(main, route, isCurrent) {
  const [left, right] = route.parts;
  const data = await get("compare", { left, right });
  if (!isCurrent()) return null;
  const title = (trace) => [el("a", { href: `#/trace/${trace.trace_id}` }, trace.name || trace.trace_id.slice(0, 8)), el("div", { class: "dim" }, clock(trace.start), " ", trace.words)];
  replace(main, el("div", { class: "page" }, el("h1", {}, "Comparison"),
    el("div", { class: "pair" }, el("div", {}, el("h2", {}, "A"), title(data.left)), el("div", {}, el("h2", {}, "B"), title(data.right))),
    table(["", " A", " B", " change"], TOTALS.map(([name, field, text]) => totals(name, data.left[field], data.right[field], text)), { class: "totals", label: "Totals" }),
    Object.entries(data.tables).filter(([, rows]) => rows.length).map(([kind, rows]) => el("section", { class: "section" }, el("h2", {}, `By ${kind}`),
      table([kind, ...COLUMNS.flatMap(([name]) => [` ${name} A`, ` ${name} B`])], rows.map((each) => el("tr", { class: each.left && each.right ? null : "single" }, el("td", { class: "wide" }, each.key),
        COLUMNS.map(([, field, text]) => ["left", "right"].map((side) => el("td", { class: "right" }, each[side] ? text(each[side][field]) : "–"))))), { label: `By ${kind}` })))));
  return {};
}

function totals(name, left, right, text) {
  const isKnown = typeof left === "number" && typeof right === "number";
  const change = isKnown && name.endsWith("score") ? `${right >= left ? "+" : "−"}${number(Math.abs(right - left))}` : isKnown && left ? `${right >= left ? "+" : "−"}${Number(Math.abs((100 * (right - left)) / left).toPrecision(2))} %` : "";
  return el("tr", {}, el("td", {}, name), el("td", { class: "right" }, text(left) || "–"), el("td", { class: "right" }, text(right) || "–"), el("td", { class: "right dim" }, left === right ? (left === null ? "" : "same") : change));
}
