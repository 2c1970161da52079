// An optimizer run: scores over time, the candidates, and what changed between two of them.
import { el, replace, table } from "./dom.js";
import { get } from "./api.js";
import { duration, figures, money, number, plural } from "./format.js";
import { scores } from "./plot.js";

const TITLES = [" #", " score", " best", "on", "kept", " from", " after", " time", " cost", "changed, reason", ""];

export async function view(main, route, isCurrent) {
  const [id, span] = route.parts;
  const address = `traces/${id}/runs/${span}`;
  let run = await get(address);
  if (!isCurrent()) return null;
  let chosen = placeOf(route.query.candidate, run.candidates.length) ?? run.best;
  let before = placeOf(route.query.before, run.candidates.length);
  let comparisons = 0;
  const place = el("section", { class: "run" });
  const changes = el("section", { class: "changes", "aria-label": "What changed", "aria-live": "polite" });
  replace(main, el("div", { class: "page" }, place, changes));

  const go = (candidate, other) => {
    const query = new URLSearchParams({ candidate, ...(other === undefined ? {} : { before: other }) });
    history.replaceState(null, "", `#/run/${id}/${span}?${query}`);
    chosen = candidate;
    before = other ?? null;
    draw();
    compare();
  };
  function draw() {
    document.title = `${run.name} · lmspan`;
    replace(place, header(run), candidates(run, chosen, go));
  }
  async function compare() {
    if (chosen === null || chosen === undefined) return replace(changes);
    const other = before ?? run.candidates[chosen].parent ?? (chosen > 0 ? 0 : null);
    const comparison = ++comparisons;  // the last one is shown, in whatever order their answers come
    try {
      const data = await get(`${address}/difference`, { after: String(chosen), before: other === null ? "" : String(other) });
      if (comparison === comparisons) replace(changes, difference(run, data, (index) => go(chosen, index)));
    } catch (error) {
      if (comparison === comparisons) replace(changes, el("p", { class: "empty", role: "alert" }, error.message));
    }
  }
  draw();
  await compare();
  return { refresh: async () => {
    const next = await get(address);
    if (!isCurrent() || next.tag === run.tag) return;
    run = next;
    chosen ??= run.best;
    draw();
    await compare();
  } };
}

// The scores over time, and a table of the candidates.
function candidates(run, chosen, go) {
  const best = bestSoFar(run.candidates);
  const points = run.candidates.map((each, index) => ({ score: each.score, best: best[index], isPart: each.scope === "minibatch", isAccepted: each.accepted === true,
    title: `candidate ${each.index ?? ""}: ${number(each.score)}${each.scope ? ` on ${each.scope} data` : ""}` }));
  const rows = run.candidates.map((each, index) => row(run, each, index, best[index], index === chosen, go));
  return [scores(points, chosen, (index) => go(index)), table(TITLES, rows, { class: "candidates", label: "Candidates" })];
}

const placeOf = (text, count) => (/^\d{1,6}$/.test(text || "") && Number(text) < count ? Number(text) : null);

function header(run) {
  return [
    el("p", { class: "path" }, el("a", { href: `#/trace/${run.trace_id}/${run.span}` }, "trace"), " › optimizer run"),
    el("div", { class: "title" }, el("h1", {}, run.name), run.state !== "ended" && el("span", { class: `badge ${run.state === "running" ? "running" : "warn"}` }, run.state)),
    el("p", { class: "verdict" }, el("span", {}, number(run.first_score)), " → ", el("strong", {}, number(run.best_score))),
    el("p", { class: "facts" }, [plural(run.candidates.length, "evaluation"), duration(run.duration_s), ...figures(run.figures)].map((each) => el("span", {}, each))),
  ];
}

function bestSoFar(candidates) {
  let best = null;
  return candidates.map((each) => {
    const counts = each.score !== null && each.scope !== "minibatch" && each.accepted !== false;
    if (counts && (best === null || each.accepted || each.score > best)) best = each.score;
    return best;
  });
}

function row(run, candidate, place, best, isChosen, go) {
  const parent = candidate.parent === null ? "" : run.candidates[candidate.parent].index ?? "";
  const state = candidate.state && candidate.state !== "ended" ? candidate.state : "failed";
  const choose = el("button", { class: "quiet number", type: "button", "aria-pressed": String(isChosen), on: { click: () => go(place) } }, candidate.index ?? place);
  return el("tr", { class: isChosen ? "chosen" : null, on: { click: (event) => { if (!event.target.closest("a, button")) go(place); } } },
    el("td", { class: "right" }, choose),
    el("td", { class: "right" }, candidate.score === null ? el("span", { class: state === "failed" ? "bad" : "warn" }, state) : el("strong", {}, number(candidate.score))),
    el("td", { class: "right dim" }, number(best)),
    el("td", {}, candidate.scope),
    el("td", { class: candidate.accepted ? "good" : "dim" }, candidate.accepted === null ? "" : candidate.accepted ? "kept" : "no"),
    el("td", { class: "right" }, parent),
    el("td", { class: "right dim" }, duration(Math.max(candidate.after_s, 0))),
    el("td", { class: "right" }, duration(candidate.duration_s)),
    el("td", { class: "right" }, money(candidate.cost)),
    el("td", { class: "wide" }, candidate.changed.join(", "), candidate.reason && el("span", { class: "dim" }, `  ${candidate.reason}`)),
    el("td", {}, candidate.evaluation && el("a", { href: `#/evaluation/${run.trace_id}/${candidate.evaluation}` }, "examples")));
}

function difference(run, data, compareWith) {
  const title = (place) => `candidate ${run.candidates[place].index ?? place} (${number(run.candidates[place].score) || "no score"})`;
  const select = el("select", { "aria-label": "Compare with", on: { change: (event) => compareWith(Number(event.target.value)) } },
    data.before === null && el("option", { value: "" }, "nothing"),
    run.candidates.map((each, place) => place !== data.after && el("option", { value: String(place) }, title(place))));
  if (data.before !== null) select.value = String(data.before);
  const texts = [...data.instructions.map((each) => [`Instructions of ${each.name}`, each.changes]), ...data.demos.map((each) => [`Demonstrations of ${each.name}`, each.changes])];
  return [
    el("div", { class: "title" }, el("h2", {}, title(data.after).replace("c", "C")), el("label", {}, "changes from ", select)),
    texts.length ? texts.map(([name, changes]) => el("section", { class: "section" }, el("h3", {}, name), changesView(changes)))
      : el("p", { class: "dim" }, data.diff ? "" : "Its texts are not recorded."),
    !texts.length && data.diff && el("pre", {}, data.diff),
  ];
}

const changesView = (changes) => el("div", { class: "content diff" }, changes.map(([sign, text]) =>
  sign === " " ? text : el(sign === "+" ? "ins" : "del", {}, text)));
