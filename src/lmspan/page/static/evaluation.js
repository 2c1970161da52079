// An evaluation: its examples, the worst first.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { number, plural } from "./format.js";

const MOST = 300;  // rows at first
const TITLES = [" #", " score", "inputs", "gold", "prediction", "feedback"];

export async function view(main, route, isCurrent) {
  const [id, span] = route.parts;
  let data = await get(`traces/${id}/evaluations/${span}`);
  if (!isCurrent()) return null;
  const place = el("div", { class: "page" });
  let most = MOST;
  replace(main, place);
  function draw() {
    document.title = `${data.metric} · lmspan`;
    const ordered = [...data.examples].sort((one, other) => Boolean(other.error) - Boolean(one.error) || (one.score ?? 0) - (other.score ?? 0) || (one.index ?? 0) - (other.index ?? 0));
    const failed = data.examples.filter((each) => each.error).length;
    replace(place,
      el("p", { class: "path" }, el("a", { href: `#/trace/${id}/${span}` }, "trace"), data.run && [" › ", el("a", { href: `#/run/${id}/${data.run}` }, "optimizer run")], " › evaluation"),
      el("div", { class: "title" }, el("h1", {}, data.metric), el("span", { class: "verdict" }, el("strong", {}, number(data.score))),
        data.state !== "ended" && el("span", { class: "badge warn" }, data.state)),
      el("p", { class: "facts" }, el("span", {}, `${plural(data.examples.length, "example")}${data.size && data.size !== data.examples.length ? ` of ${data.size}` : ""}`),
        failed > 0 && el("span", { class: "bad" }, `${failed} with an error`)),
      data.omitted.map((each) => el("p", { class: "trouble" }, each)),
      table(TITLES, ordered.slice(0, most).map((each) => row(each, id)), { class: "examples", label: "Examples, the worst first" }),
      ordered.length > most && el("button", { class: "button", type: "button", on: { click: () => { most = ordered.length; draw(); } } }, `Show all ${ordered.length.toLocaleString("en")}`));
  }
  draw();
  return { refresh: async () => {
    const next = await get(`traces/${id}/evaluations/${span}`);
    if (!isCurrent() || next.tag === data.tag) return;
    data = next;
    draw();
  } };
}

function row(example, id) {
  const address = `#/trace/${id}/${example.span}`;
  return el("tr", { class: example.error ? "failed" : null, on: { click: (event) => { if (!event.target.closest("a") && !getSelection().toString()) location.hash = address.slice(1); } } },
    el("td", { class: "right" }, el("a", { href: address }, example.index ?? "open")),
    el("td", { class: "right" }, el("strong", {}, number(example.score))),
    [example.inputs, example.gold, example.prediction].map((fields) => el("td", {}, cell(fields))),
    el("td", { class: example.error ? "bad" : null }, el("div", { class: "clamp" }, example.error || example.feedback)));
}

const cell = (fields) => el("div", { class: "clamp" }, fields.map(([name, text]) => [fields.length > 1 && name && el("span", { class: "dim" }, `${name} `), text, "\n"]));
