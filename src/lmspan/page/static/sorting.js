// The columns of a list: their titles, which sort it, their cells, and those that both lists have.
import { el } from "./dom.js";
import { address } from "./filters.js";
import { clock, duration, money, tokens } from "./format.js";

export const STARTED = { name: "started", sort: "start", class: "when",
  cell: (row) => clock(row.start).split(" ").map((each, place) => [place > 0 && " ", el("span", {}, each)]) };
export const TIME = { name: "time", sort: "duration", class: "right time", cell: (row, list) => [duration(row.duration_s),
  el("span", { class: "measure", "aria-hidden": "true" }, el("span", { style: { width: `${(100 * row.duration_s) / (list.longest || 1)}%` } }))] };
export const TOKENS = { name: "tokens", sort: "tokens", class: "right tokens", cell: (row) => tokens(row.input_tokens, row.output_tokens) };
export const COST = { name: "cost", sort: "cost", class: "right cost", cell: (row) => money(row.cost) };

export const longest = (rows) => Math.max(...rows.map((each) => each.duration_s));

const order = (query) => ({ sort: query.sort || "start", ascending: query.ascending === "1" });

// With `isPart` the list has more rows than are shown: a column that is empty here can sort the others to the top.
export function heads(columns, path, query, isPart) {
  const { sort, ascending } = order(query);
  return columns.map((each) => {
    const isSorted = Boolean(each.sort) && each.sort === sort;
    const changed = { sort: each.sort === "start" ? "" : each.sort, ascending: isSorted && !ascending ? "1" : "" };
    const title = each.title ?? each.name;
    return el("th", {
      scope: "col", role: "columnheader", class: each.class.includes("right") ? "right" : null,
      "aria-sort": isSorted ? (ascending ? "ascending" : "descending") : null, "data-kept": Boolean(each.sort) && (isPart || isSorted),
    }, each.sort ? el("button", { class: "sort", type: "button", "data-key": each.sort, title: each.by && `sort by ${each.by}`,
      on: { click: () => { location.hash = address(path, { ...query, ...changed }).slice(1); } } }, title) : title);
  });
}

// `counted` is the number of rows with their noun.
export function ordered(columns, counted, query, isPart) {
  const { sort, ascending } = order(query);
  if (sort === "start") return isPart ? `the ${ascending ? "oldest" : "newest"} ${counted}` : counted;
  const column = columns.find((each) => each.sort === sort);
  return `${isPart ? "the first " : ""}${counted} by ${column?.by || column?.name}`;
}

// A column without a cell of its own shows the field of its name.
export const cells = (columns, row, list) =>
  columns.map((each) => el("td", { class: each.class }, each.cell ? each.cell(row, list) : row[each.name]));
