// Small plots in SVG.
import { el, svg } from "./dom.js";
import { clock, number, plural } from "./format.js";

// As wide as the page, so that texts keep their size on a phone and on a large screen.
const width = () => Math.max(280, Math.min(1700, document.documentElement.clientWidth - 72));
const HEIGHT = 240;
const EDGE = { left: 48, right: 16, top: 14, bottom: 26 };

// Scores in the order of time, and the best so far as a line of steps. `points` have score, best, isPart and title.
export function scores(points, chosen, choose) {
  const wide = width();
  const known = points.filter((point) => point.score !== null);
  if (!known.length) return el("p", { class: "dim" }, "No candidate has a score yet.");
  const values = known.map((point) => point.score);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const x = (place) => EDGE.left + ((wide - EDGE.left - EDGE.right) * (place + 0.5)) / points.length;
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (value - low + room)) / (high - low + 2 * room);
  const best = points.map((point, place) => (point.best === null ? null : [x(place), y(point.best)])).filter(Boolean);
  const steps = best.map(([left, top], place) => (place ? `H${left.toFixed(1)}V${top.toFixed(1)}` : `M${left.toFixed(1)} ${top.toFixed(1)}`)).join("");
  const ticks = high === low ? [low] : [low, (low + high) / 2, high];
  return svg("svg", { class: "plot", viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-label": `Scores of ${points.length} evaluations, from ${number(low)} to ${number(high)}` },
    ticks.map((tick) => [svg("line", { class: "grid", x1: EDGE.left, x2: wide - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, number(tick))]),
    svg("text", { class: "tick", x: wide - EDGE.right, y: HEIGHT - 6, "text-anchor": "end" }, "evaluations in the order of time →"),
    steps && svg("path", { class: "best", d: steps }),
    points.map((point, place) => point.score !== null && svg("circle", {
      class: ["point", point.isPart && "part", point.isAccepted && "accepted", place === chosen && "chosen"].filter(Boolean).join(" "),
      cx: x(place), cy: y(point.score), r: place === chosen ? 6 : 4, "data-place": place, on: { click: () => choose(place) },
    }, svg("title", {}, point.title))));
}

// Figures over time. `periods` follow each other with gaps and have `from` and `length_s`; `series` have a value, a title
// and a class, and are lines, or bars if there is one.
export function overTime(periods, series, text, label) {
  const height = 190;
  const full = width();
  const edge = 72;
  const first = periods[0].from;
  const { length_s: length, from: last } = periods[periods.length - 1];
  const slots = Math.round((last - first) / length) + 1;
  const wide = (full - edge - EDGE.right) / slots;
  const x = (each) => edge + wide * (Math.round((each.from - first) / length) + 0.5);
  const most = Math.max(...series.flatMap(({ value }) => periods.map((each) => value(each) || 0))) || 1;
  const y = (amount) => height - 24 - ((height - 40) * amount) / most;
  const at = (each) => `${clock(each.from * 1e3)}${length < 1 ? `.${String(Math.round((each.from % 1) * 10))}` : ""}`;
  const [from, to] = [at(periods[0]), at({ from: last + length })];
  const day = from.includes(" ") ? `${from.split(" ")[0]} ` : " ";
  const hover = (each) => `${at(each)}: ${series.map(({ value, name }) => `${name} ${text(value(each)) || "–"}`).join(", ")}, ${plural(each.calls, "call")}`;
  return svg("svg", { class: "plot", viewBox: `0 0 ${full} ${height}`, role: "img", "aria-label": `${label} over time, at most ${text(most)}` },
    [0, most / 2, most].map((tick) => [svg("line", { class: "grid", x1: edge, x2: full - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: edge - 8, y: y(tick) + 4, "text-anchor": "end" }, tick ? text(tick) : "0")]),
    [...series].reverse().map((each) => (series.length > 1 ? line(periods, each, x, y, length) : periods.map((period) => svg("rect", { class: each.class, x: x(period) - Math.min(wide * 0.4, 24),
      width: Math.max(Math.min(wide * 0.8, 48), 1), y: y(each.value(period) || 0), height: Math.max(y(0) - y(each.value(period) || 0), 0), rx: 1 })))),
    periods.map((each) => svg("rect", { class: "hover", x: x(each) - wide / 2, width: wide, y: 8, height: height - 32 }, svg("title", {}, hover(each)))),
    svg("text", { class: "tick", x: edge, y: height - 4 }, from),
    slots > 1 && svg("text", { class: "tick", x: full - EDGE.right, y: height - 4, "text-anchor": "end" }, to.startsWith(day) ? to.slice(day.length) : to));
}

// A line that is broken where a period is empty.
function line(periods, { value, class: name }, x, y, length) {
  const steps = periods.map((each, place) => {
    const follows = place > 0 && each.from - periods[place - 1].from < 1.5 * length;
    return `${follows ? "L" : "M"}${x(each).toFixed(1)} ${y(value(each) || 0).toFixed(1)}`;
  });
  return [svg("path", { class: `line ${name}`, d: steps.join("") }),
    periods.map((each) => svg("circle", { class: `dot-value ${name}`, cx: x(each), cy: y(value(each) || 0), r: 3 }))];
}
