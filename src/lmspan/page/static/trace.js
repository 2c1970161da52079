// A trace: its figures, its tree with a waterfall, and the span that is chosen.
import { el, replace } from "./dom.js";
import { get, stored } from "./api.js";
import { clock, duration, figures, number, plural } from "./format.js";
import { states } from "./list.js";
import { Tree } from "./tree.js";
import { spanView } from "./span.js";
import { sendForm } from "./send.js";

export async function view(main, route, isCurrent) {
  let [id, chosen] = route.parts;
  let data = await get(`traces/${id}`);
  if (!isCurrent()) return null;
  const head = el("section", { class: "head", "aria-label": "Trace" });
  const pane = el("aside", { class: "pane", "aria-label": "Span", hidden: true });
  const sending = !stored && sendForm(id);
  const tree = new Tree((span) => {
    location.hash = `/trace/${id}${span ? `/${span}` : ""}`;
  });
  const body = el("div", { class: "split" }, el("section", { class: "left", "aria-label": "Spans" }, tree.tools, tree.element), pane);
  replace(main, head, body);

  function draw() {
    document.title = `${data.name} · lmspan`;
    replace(head, header(data, id), sending);
    tree.show(data, chosen);
  }

  async function open() {
    pane.hidden = !chosen;
    body.classList.toggle("open", Boolean(chosen));
    tree.choose(chosen);
    if (!chosen) return replace(pane);
    const asked = chosen;
    try {
      const span = await get(`traces/${id}/spans/${asked}`);
      if (asked === chosen) replace(pane, spanView(span, () => { location.hash = `/trace/${id}`; }));
    } catch (error) {
      if (asked === chosen) replace(pane, el("p", { class: "empty", role: "alert" }, error.message));
    }
  }
  draw();
  await open();
  tree.element.focus({ preventScroll: true });
  return {
    leave: () => tree.leave(),
    refresh: async () => {
      const next = await get(`traces/${id}`);
      if (next.tag === data.tag) return;
      data = next;
      draw();
      if (chosen) await open();
    },
    moved: (to) => {
      if (to.parts[0] !== id) return false;
      chosen = to.parts[1];
      open();
      return true;
    },
  };
}

function header(data, id) {
  const sums = figures(data.total);
  return [
    el("div", { class: "title" }, el("h1", {}, data.name || id), states(data)),
    el("p", { class: "facts" }, [data.service, clock(data.start), duration(data.length / 1e6), plural(data.columns.id.length, "span"), ...sums,
      data.session && `session ${data.session}`].filter(Boolean).map((each) => el("span", {}, each)),
      el("code", { class: "dim", title: "trace id" }, id)),
    el("p", { class: "links" },
      data.runs.map((run) => el("a", { class: "button", href: `#/run/${id}/${run.span}` },
        `${run.name}: ${number(run.first)} → ${number(run.best)}, ${plural(run.candidates, "evaluation")}`)),
      (data.runs.length ? [] : data.evaluations).map((each) => el("a", { class: "button", href: `#/evaluation/${id}/${each.span}` },
        `${each.metric}: ${number(each.score)}, ${plural(each.examples, "example")}`)),
      !stored && el("a", { class: "button", href: `#/statistics?trace=${id}` }, "Statistics of this trace"),
      !stored && data.before && el("a", { class: "button", href: `#/compare/${data.before}/${id}` }, "Compare with the run before")),
    data.failures.length > 0 && failures(data.failures, id),
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
