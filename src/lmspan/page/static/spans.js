// Single spans of all traces, which a query selects.
import { el, replace, table } from "./dom.js";
import { address, chips, filterForm, isFiltered } from "./filters.js";
import { duration, kind, number, plural } from "./format.js";
import { nothing, row, rows, troubles } from "./rows.js";
import { COST, STARTED, TIME, TOKENS, cells, heads, longest, ordered } from "./sorting.js";

const EXAMPLES = [
  ["slowest LM calls", "operation=lm", "duration"],
  ["tools that failed", "operation=tool failed"],
  ["calls above $0.01", "operation=lm cost>0.01", "cost"],
  ["answers from the cache", "cached"],
  ["requests that were repeated", "retries>0", "retries"],
  ["running now", "running"],
  ["not ended", 'state="not ended"'],
];
const HELP = [
  ['tea "Which cup"', "Words, or beginnings of words, in prompts, answers, names and errors; in quotation marks they follow each other."],
  ["model:gpt", "A part of a text; model=gpt-4o is the whole text, and model!=gpt-4o another one. The texts: name, service, operation (lm, tool, module, agent …), model, module, tool, session, user, error, state."],
  ["cost>0.1 tokens>=10k", "A figure, with = != < <= > >=. The figures: cost, tokens, input_tokens, output_tokens, retries, score."],
  ["duration>2s first_chunk<500ms", "A duration: ms, s, min, h; without a unit it is seconds."],
  ["failed cached running", "A property: the operation failed, its answer came from a cache, it has not ended yet."],
  ["under:judge", "Below an operation whose name, module or tool contains the text."],
  ["shop.items>3 .flag=true", "An attribute: its name has a dot, or the dot stands before it."],
  ["model:gpt (failed or retries>2) not cached", "Terms that follow each other all have to hold; or is either of two, not is the opposite, and parentheses group."],
];
const COLUMNS = [
  STARTED,
  { name: "service", class: "service" },
  { name: "span", class: "name", cell: name },
  TIME,
  { name: "first chunk", sort: "first_chunk", class: "right", cell: (span) => duration(span.first_chunk_s) },
  TOKENS,
  COST,
  { name: "retries", sort: "retries", class: "right warn", cell: (span) => span.retries || "" },
  { name: "score", sort: "score", class: "right score", cell: (span) => number(span.score) },
  { name: "state", class: "state", cell: states },
];
const PATH = "/spans";

export function view(main, route) {
  let query = route.query;
  const refused = el("p", { class: "refused", id: "refused", role: "alert" });
  const removable = el("div", {});
  const place = el("div", {});
  const form = asked(() => query, refused);
  const refuse = (message) => {
    if (refused.textContent !== message) replace(refused, message);
    form.box.setAttribute("aria-invalid", String(Boolean(message)));
  };
  const list = rows("spans", place, () => query, results, refuse, () => refuse(""));
  replace(main, el("h1", { class: "hidden" }, "Spans"), form, el("div", { class: "results" }, removable, place));
  const fill = () => {
    form.fill();
    replace(removable, chips(PATH, query));
  };
  fill();
  return {
    ready: list.refresh(),
    refresh: list.refresh,
    leave: () => form.leave(),
    moved: (to) => {
      query = to.query;
      fill();
      return list.refresh();
    },
  };
}

// The box of the query; below it what is wrong with it, and examples, which keep the other filters.
function asked(query, refused) {
  const box = el("input", { type: "search", name: "query", placeholder: "model:gpt cost>0.1 (failed or retries>2) not under:judge", spellcheck: "false", autocapitalize: "off", autocomplete: "off", maxlength: "1000", "aria-label": "Query for spans", "aria-describedby": "refused" });
  const links = EXAMPLES.map(([text, example]) => el("a", { title: example }, text));
  const form = filterForm(PATH, query, { query: box }, box, refused,
    el("p", { class: "examples" }, el("span", { class: "dim" }, "Examples"), links), help());
  const fillBox = form.fill;
  form.fill = () => {
    fillBox();
    EXAMPLES.forEach(([, example, sort], place) => {
      links[place].setAttribute("href", address(PATH, { ...query(), query: example, sort, ascending: "" }));
      if (query().query === example) links[place].setAttribute("aria-current", "true");
      else links[place].removeAttribute("aria-current");
    });
  };
  return Object.assign(form, { box });
}

function help() {
  const details = el("details", { class: "more", on: { toggle: () => details.childElementCount === 1 && details.append(helpTable()) } }, el("summary", {}, "How to ask"));
  return details;
}

const helpTable = () => table(["query", "the spans that it selects"], HELP.map(([example, meaning]) => el("tr", {},
  el("td", { class: "wide" }, el("code", {}, example)), el("td", { class: "wide" }, meaning))), { class: "help", label: "How to ask" });

function results(data, query) {
  if (!data.spans.length) return [troubles(data), nothing(data, query.query || isFiltered(query), "span", `#${PATH}`)];
  const list = { longest: longest(data.spans) };
  return [
    troubles(data),
    el("div", { class: "bar" }, el("span", { class: "dim" }, ordered(COLUMNS, plural(data.spans.length, "span"), query, data.more)),
      query.query && el("a", { href: address("/", { ...query, where: query.query, query: "", sort: "", ascending: "" }) }, "Traces of these spans")),
    table(heads(COLUMNS, PATH, query, data.more),
      data.spans.map((each) => row(spanAddress(each), cells(COLUMNS, each, list), { class: each.failed ? "failed" : null })),
      { class: "spans listed", label: "Spans" }),
  ];
}

const spanAddress = (span) => `#/trace/${span.trace_id}/${span.span_id}`;

function name(span) {
  const words = [span.module && !span.name.endsWith(span.module) && span.module, span.parent && `in ${span.parent}`].filter(Boolean);
  return [el("span", { class: `dot k-${kind(span.operation)}`, "aria-hidden": "true" }), " ",
    el("a", { href: spanAddress(span), "data-key": `${span.trace_id}/${span.span_id}` }, span.name || span.span_id),
    words.length > 0 && el("span", { class: "words" }, words.join(" · "))];
}

function states(span) {
  return [
    span.state !== "ended" && el("span", { class: `badge ${span.state === "running" ? "running" : "warn"}` }, span.state),
    span.failed && el("span", { class: "badge bad" }, "failed"),
    span.cached && el("span", { class: "badge" }, "cached"),
    span.error && el("span", { class: "bad", title: span.error }, span.error.split(".").at(-1) || span.error),
  ];
}
