// Small plots in SVG.
import { el, svg } from "./dom.js";
import { number } from "./format.js";

const WIDTH = 900;
const HEIGHT = 240;
const EDGE = { left: 48, right: 16, top: 14, bottom: 26 };

// Scores in the order of time, and the best so far as a line of steps. `points` have score, best, isPart and title.
export function scores(points, chosen, choose) {
  const known = points.filter((point) => point.score !== null);
  if (!known.length) return el("p", { class: "dim" }, "No candidate has a score yet.");
  const values = known.map((point) => point.score);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const x = (place) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * (place + 0.5)) / points.length;
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (value - low + room)) / (high - low + 2 * room);
  const best = points.map((point, place) => (point.best === null ? null : [x(place), y(point.best)])).filter(Boolean);
  const steps = best.map(([left, top], place) => (place ? `H${left.toFixed(1)}V${top.toFixed(1)}` : `M${left.toFixed(1)} ${top.toFixed(1)}`)).join("");
  const ticks = high === low ? [low] : [low, (low + high) / 2, high];
  return svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Scores of ${points.length} evaluations, from ${number(low)} to ${number(high)}` },
    ticks.map((tick) => [svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, number(tick))]),
    svg("text", { class: "tick", x: WIDTH - EDGE.right, y: HEIGHT - 6, "text-anchor": "end" }, "evaluations in the order of time →"),
    steps && svg("path", { class: "best", d: steps }),
    points.map((point, place) => point.score !== null && svg("circle", {
      class: ["point", point.isPart && "part", point.isAccepted && "accepted", place === chosen && "chosen"].filter(Boolean).join(" "),
      cx: x(place), cy: y(point.score), r: place === chosen ? 6 : 4, "data-place": place, on: { click: () => choose(place) },
    }, svg("title", {}, point.title))));
}

// Bars over time: `bars` have a value, a title and perhaps a share that is bad.
export function bars(values, label) {
  const most = Math.max(...values.map((each) => each.value), 0) || 1;
  const height = 120;
  const edge = 84;
  const wide = (WIDTH - edge - EDGE.right) / values.length;
  const tall = (value) => ((height - 30) * value) / most;
  return svg("svg", { class: "plot small", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label },
    svg("text", { class: "tick", x: edge - 8, y: 18, "text-anchor": "end" }, values.most),
    svg("line", { class: "grid", x1: edge, x2: WIDTH - EDGE.right, y1: height - 18, y2: height - 18 }),
    values.map((each, place) => svg("rect", { class: "bar-value", x: edge + place * wide + 1, width: Math.max(wide - 2, 1),
      y: height - 18 - tall(each.value), height: tall(each.value) }, svg("title", {}, each.title))),
    svg("text", { class: "tick", x: edge, y: height - 3 }, values.from), svg("text", { class: "tick", x: WIDTH - EDGE.right, y: height - 3, "text-anchor": "end" }, values.to));
}
