// Sessions and users: the last one first, with their traces, tokens and cost.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { address, chips, timeSelect } from "./filters.js";
import { clock, duration, money, short, tokens } from "./format.js";

const TITLES = ["last trace", "first trace", " traces", " p50", " p95", " tokens", " cost", " retries", " failed"];
const MOST = 200;

export async function view(main, route, isCurrent) {
  const { query } = route;
  const place = el("section", {});
  replace(main, el("div", { class: "page" },
    el("div", { class: "title" }, el("h1", {}, "Sessions"), timeSelect(query.since || "", (since) => { location.hash = address("/sessions", { ...query, since }).slice(1); })),
    chips("/sessions", query), place));
  let drawn = null;
  async function refresh() {
    const { tables, tag } = await get("statistics", { ...query, by: ["session", "user"] });
    if (!isCurrent() || tag === drawn) return;
    drawn = tag;
    const filled = Object.entries(tables).filter(([, rows]) => rows.length);
    replace(place, filled.length ? filled.map(([kind, rows]) => group(kind, rows, query)) : empty(query));
  }
  await refresh();
  return { refresh };
}

const empty = (query) => el("div", { class: "empty" }, el("p", {}, Object.values(query).some(Boolean) ? "No session matches." : "No trace belongs to a session yet."),
  el("p", { class: "dim" }, "A session is the ", el("code", {}, "session.id"), " of a span: ",
    el("code", {}, 'lmspan.operation("workflow", "chat", attributes={"session.id": "anna"})')));

function group(kind, rows, query) {
  const place = el("section", { class: "section" });
  const ordered = [...rows].sort((one, other) => other.end - one.end);
  const draw = (most) => replace(place, el("h2", {}, `By ${kind}`),
    table([kind, ...TITLES], ordered.slice(0, most).map((each) => row(each, query)), { class: "figures", label: `By ${kind}` }),
    ordered.length > most && el("button", { class: "button", type: "button", on: { click: () => draw(ordered.length) } }, `Show all ${ordered.length.toLocaleString("en")}`));
  draw(MOST);
  return place;
}

const row = (each, query) => el("tr", {},
  el("td", { class: "wide" }, el("a", { href: address("/", { ...query, session: each.key }) }, each.key)),
  el("td", { class: "dim" }, clock(each.end * 1e3)),
  el("td", { class: "dim" }, clock(each.start * 1e3)),
  [short(each.traces), duration(each.p50_s), duration(each.p95_s), tokens(each.input_tokens, each.output_tokens), money(each.cost), each.retries || ""].map((text) => el("td", { class: "right" }, text)),
  el("td", { class: "right" }, each.failed > 0 && el("span", { class: "bad" }, each.failed), each.recovered > 0 && el("span", { class: "dim" }, ` ${each.recovered} recovered`)));
