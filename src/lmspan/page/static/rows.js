// Rows that an address asks for: the same for the list of traces and for the list of spans.
import { el, replace } from "./dom.js";
import { get, turns } from "./api.js";

const PAGE = 100;

// What `draw` returns is in `place`. The server is asked when the address changes and when programs write; the rows are
// drawn when the answer has changed. `query` returns the query of the address.
export function rows(path, place, query, draw, refused, accepted = () => {}) {
  let limit = PAGE;
  let drawn = null;  // the answer and the query that are drawn
  const turn = turns();
  const more = (data) => data.more && el("button", { class: "button", type: "button", on: { click: () => { limit += PAGE; refresh(); } } }, "Show more");

  function redraw() {
    if (drawn) replace(place, draw(drawn.data, drawn.asked), more(drawn.data));
  }

  async function refresh() {
    const [asked, isLate] = [query(), turn()];
    const data = await get(path, { ...asked, limit }).catch(({ message }) => ({ message }));
    if (asked !== query() || isLate()) return;
    if (data.message) return refused(data.message);
    accepted();
    if (data.tag === drawn?.data.tag && asked === drawn.asked) return;
    drawn = { data, asked };
    redraw();
  }
  return { refresh, redraw, forget: () => { drawn = null; } };
}

// A row that leads to an address, as its link does.
export const row = (address, cells, properties) => el("tr", { ...properties, on: { click: (event) => {
  if (!event.target.closest("a, input") && !getSelection().toString()) location.hash = address.slice(1);
} } }, cells);

export function nothing(data, isFiltered, noun, address) {
  const isEmpty = !data.stored || !isFiltered;
  return el("div", { class: "empty" },
    el("p", {}, isEmpty ? `No ${noun} is stored yet.` : `No ${noun} matches.`),
    el("p", { class: "dim" }, isEmpty
      ? ["Run ", el("code", {}, "lmspan demo"), " or a program with ", el("code", {}, "lmspan.init()"), `; it appears here by itself. (${data.path})`]
      : el("a", { href: address }, `Show all ${noun}s`)));
}

export const troubles = (data) => data.troubles.map((each) => el("p", { class: "trouble" }, each));
