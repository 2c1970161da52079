// A trace: its figures, its tree with a waterfall, and the span that is chosen.
import { el, replace } from "./dom.js";
import { get, stored, turns } from "./api.js";
import { clock, duration, figures, number, plural } from "./format.js";
import { states } from "./columns.js";
import { Tree } from "./tree.js";
import { spanView } from "./span.js";
import { sendForm } from "./send.js";

const SOON_MS = 100;  // the content of a small trace is there within this time: the trace is drawn once
const LARGE = 2000;  // spans

export async function view(main, route, isCurrent) {
  let [id, chosen] = route.parts;
  let data = null;
  let results = null;  // of a large trace, they come after its tree
  const head = el("section", { class: "head", "aria-label": "Trace" });
  const sending = !stored && sendForm(id);
  const tree = new Tree((span) => {
    location.hash = `/trace/${id}${span ? `/${span}` : ""}`;
  });
  const pane = spanPane(id);
  const body = el("div", { class: "split" }, el("section", { class: "left", "aria-label": "Spans" }, tree.tools, tree.element), pane.element);

  function draw(next, found) {
    const isSame = data !== null && next.tag === data.tag;
    const isKnown = Boolean(found) === Boolean(results) && found?.tag === results?.tag;  // a page that is one file has no tags
    if (!isCurrent() || (isSame && isKnown)) return;
    if (!data) replace(main, head, body);
    [data, results] = [next, found];
    document.title = `${data.name} · lmspan`;
    const focused = document.activeElement;
    replace(head, header(data, results, id, sending));
    if (sending && sending.contains(focused)) focused.focus({ preventScroll: true });
    head.setAttribute("aria-busy", String(!results));
    if (!isSame) tree.show(data, chosen);
  }
  const turn = turns();
  const load = async () => {
    const isLate = turn();
    return loaded(id, (next, found) => isLate() || draw(next, found || results));
  };
  function open() {
    body.classList.toggle("open", Boolean(chosen));
    tree.choose(chosen);
    return pane.open(chosen);
  }
  try {
    (await load()).rest.catch((error) => {
      head.append(el("p", { class: "trouble", role: "alert" }, error.message));
      head.setAttribute("aria-busy", "false");
    });
  } catch (error) {
    tree.leave();
    throw error;
  }
  tree.element.focus({ preventScroll: true });
  if (data) await open();
  return {
    leave: () => tree.leave(),
    refresh: async () => {
      const before = data;
      await (await load()).rest;
      if (chosen && data !== before) await open();
    },
    moved: (to) => {
      if (to.parts[0] !== id) return false;
      chosen = to.parts[1];
      return open();
    },
  };
}

// Draw the tree of a trace when it is there; `rest` is a promise that its results are drawn, too.
async function loaded(id, draw) {
  const [outline, content] = [get(`traces/${id}`), get(`traces/${id}/results`)];
  content.catch(() => {});  // it is awaited below, when the outline is there
  const next = await outline;
  const isSmall = next.columns.id.length < LARGE;
  const early = isSmall && await Promise.race([content, new Promise((done) => { setTimeout(done, SOON_MS); })]);
  draw(next, early);
  return { rest: content.then(async (found) => draw(found.spans > next.columns.id.length ? await get(`traces/${id}`) : next, found)) };
}

// The span that is chosen; the last one that was asked for is shown.
function spanPane(id) {
  const element = el("aside", { class: "pane", "aria-label": "Span", hidden: true });
  const turn = turns();
  let asked = null;
  async function open(span) {
    const isLate = turn();
    asked = span;
    element.hidden = !span;
    if (!span) return replace(element);
    try {
      const data = await get(`traces/${id}/spans/${span}`);
      if (asked === span && !isLate()) replace(element, spanView(data, () => { location.hash = `/trace/${id}`; }));
    } catch (error) {
      if (asked === span && !isLate()) replace(element, el("p", { class: "empty", role: "alert" }, error.message));
    }
  }
  return { element, open };
}

function header(data, results, id, sending) {
  const sums = figures(data.total);
  return [
    el("div", { class: "title" }, el("h1", {}, data.name || id), states(data)),
    el("p", { class: "facts" }, [data.service, clock(data.start), duration(data.length / 1e6), plural(data.columns.id.length, "span"), ...sums,
      data.session && `session ${data.session}`].filter(Boolean).map((each) => el("span", {}, each)),
      el("code", { class: "dim", title: "trace id" }, id)),
    el("div", { class: "links" },
      results ? links(results, id) : el("span", { class: "dim", role: "status" }, "Reading the content…"),
      !stored && el("a", { class: "button", href: `#/statistics?trace=${id}` }, "Statistics of this trace"),
      !stored && results?.before && el("a", { class: "button", href: `#/compare/${results.before}/${id}` }, "Compare with the run before"),
      sending),
    results?.failures.length > 0 && failures(results.failures, id),
  ];
}

function links({ runs, evaluations }, id) {
  return [
    runs.map((run) => el("a", { class: "button", href: `#/run/${id}/${run.span}` },
      `${run.name}: ${number(run.first)} → ${number(run.best)}, ${plural(run.candidates, "evaluation")}`)),
    (runs.length ? [] : evaluations).map((each) => el("a", { class: "button", href: `#/evaluation/${id}/${each.span}` },
      `${each.metric}: ${number(each.score)}, ${plural(each.examples, "example")}`)),
  ];
}

function failures(list, id) {
  const bad = list.filter((each) => !each.recovered);
  const title = [bad.length && plural(bad.length, "failure"), list.length > bad.length && `${list.length - bad.length} recovered`].filter(Boolean).join(", ");
  return el("details", { class: "failures", open: bad.length > 0 && bad.length < 4 }, el("summary", { class: bad.length ? null : "warn" }, title),
    el("ul", {}, list.map((each) => el("li", { class: each.recovered ? "recovered" : "bad" },
      el("a", { href: `#/trace/${id}/${each.span}` }, each.name), each.times > 1 && ` ×${each.times}`,
      `: ${each.type}${each.message ? `: ${each.message}` : ""}`, each.place && el("code", { class: "at" }, each.place)))));
}
