// The tree of a trace with its waterfall. Only the rows in sight are elements, so that 20,000 spans scroll smoothly.
import { el, replace } from "./dom.js";
import { duration, kind, money, number, plural, tokens } from "./format.js";

const HEIGHT = 28;
const BEYOND = 12;  // rows above and below those in sight
const MANY = 400;  // spans from which on candidates are closed at first
const DEEPEST = 30;  // levels that are indented

export class Tree {
  constructor(choose) {
    this.choosing = choose;
    this.closed = new Set();
    this.phases = false;
    this.isFirst = true;
    this.chosen = null;
    this.active = 0;
    this.rows = [];
    this.matches = [];
    this.spacer = el("div", { class: "spacer" });
    this.element = el("div", { class: "tree", role: "tree", tabindex: "0", "aria-label": "Spans of the trace",
      on: { scroll: () => this.later(), keydown: (event) => this.key(event) } }, this.spacer);
    this.counted = el("span", { class: "dim", role: "status" });
    this.search = el("input", { type: "search", placeholder: "Find in this trace  ( / )", "aria-label": "Find in this trace",
      on: { input: () => this.find(), keydown: (event) => this.searchKey(event) } });
    this.tools = el("div", { class: "tools" }, this.search, this.counted,
      el("span", { class: "gap" }),
      el("button", { class: "quiet", type: "button", on: { click: () => this.fold(false) } }, "unfold all"),
      el("button", { class: "quiet", type: "button", on: { click: () => this.fold(true) } }, "fold all"),
      el("label", { class: "check" }, el("input", { type: "checkbox", on: { change: (event) => { this.phases = event.target.checked; this.layout(); } } }), "adapter phases"));
    this.resized = new ResizeObserver(() => this.later());
    this.resized.observe(this.element);
    this.slash = (event) => {
      if (event.key === "/" && !event.target.closest("input, textarea, select")) {
        event.preventDefault();
        this.search.focus();
      }
    };
    document.addEventListener("keydown", this.slash);
  }

  leave() {
    this.resized.disconnect();
    document.removeEventListener("keydown", this.slash);
  }

  show(data, chosen) {
    const active = this.data?.columns.id[this.rows[this.active]];
    this.data = data;
    const { id, depth } = data.columns;
    this.count = id.length;
    this.place = new Map(id.map((each, index) => [each, index]));
    this.end = new Array(this.count);
    const open = [];
    for (let index = 0; index < this.count; index++) {
      while (open.length && depth[open[open.length - 1]] >= depth[index]) this.end[open.pop()] = index;
      open.push(index);
    }
    for (const index of open) this.end[index] = this.count;
    if (this.isFirst && this.count > MANY) {
      for (let index = 0; index < this.count; index++) if (this.operation(index) === "candidate") this.closed.add(id[index]);
    }
    this.isFirst = false;
    this.chosen = chosen || null;
    this.layout(this.place.get(active));
    if (this.search.value) this.find();
  }

  operation(index) { return this.data.texts[this.data.columns.operation[index]]; }
  flag(index, name) { return (this.data.columns.flags[index] & this.data.flags[name]) !== 0; }
  isHidden(index) { return !this.phases && this.data.columns.depth[index] > 0 && this.flag(index, "phase"); }

  // Choose the rows that are not folded away; the row of the index `kept` stays the active one.
  layout(kept = this.rows[this.active]) {
    const { id } = this.data.columns;
    this.rows = [];
    for (let index = 0; index < this.count;) {
      if (this.isHidden(index)) { index = this.end[index]; continue; }
      this.rows.push(index);
      index = this.closed.has(id[index]) ? this.end[index] : index + 1;
    }
    this.active = Math.max(0, this.rows.indexOf(kept));
    this.spacer.style.height = `${this.rows.length * HEIGHT}px`;
    this.draw();
  }

  hasChildren(index) {
    for (let child = index + 1; child < this.end[index]; child = this.end[child]) if (!this.isHidden(child)) return true;
    return false;
  }

  // A row that is replaced while the mouse is down on it is not clicked: only other rows are drawn.
  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      if (String(this.inSight()) !== this.drawn) this.draw();
    });
  }

  inSight() {
    const { scrollTop, clientHeight } = this.element;
    return [Math.max(0, Math.floor(scrollTop / HEIGHT) - BEYOND), Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / HEIGHT) + BEYOND)];
  }

  draw() {
    if (!this.data) return;
    const [first, last] = this.inSight();
    this.drawn = String([first, last]);
    const shown = [];
    for (let row = first; row < last; row++) shown.push(this.row(row));
    replace(this.spacer, shown);
    this.element.setAttribute("aria-activedescendant", this.rows.length ? `row-${this.active}` : "");
  }

  row(row) {
    const index = this.rows[row];
    const { columns } = this.data;
    const id = columns.id[index];
    const isParent = this.hasChildren(index);
    return el("div", {
      id: `row-${row}`, role: "treeitem", class: this.classes(row, index), style: { top: `${row * HEIGHT}px` }, "data-span": id,
      "aria-level": columns.depth[index] + 1, "aria-selected": String(id === this.chosen),
      "aria-expanded": isParent ? String(!this.closed.has(id)) : null,
      on: { click: () => { this.active = row; this.choosing(id); } },
    },
      this.what(row, index, isParent),
      el("span", { class: "bars", "aria-hidden": "true" }, this.bar(index)),
      el("span", { class: "figure" }, duration(columns.duration[index] / 1e6)),
      el("span", { class: "figure tokens" }, tokens(columns.input_tokens[index], columns.output_tokens[index])),
      el("span", { class: "figure cost" }, money(columns.cost[index])));
  }

  classes(row, index) {
    const failure = this.flag(index, "failed") && (this.flag(index, "recovered") ? "recovered" : "bad");
    return ["row", `k-${kind(this.operation(index))}`, failure, this.data.columns.id[index] === this.chosen && "chosen",
      row === this.active && "active", this.matched?.has(index) && "match"].filter(Boolean).join(" ");
  }

  what(row, index, isParent) {
    const { columns, texts } = this.data;
    const isClosed = isParent && this.closed.has(columns.id[index]);
    const fold = (event) => { event.stopPropagation(); this.toggle(row); };
    return el("span", { class: "what", style: { "padding-left": `${Math.min(columns.depth[index], DEEPEST) * 14}px` } },
      el("span", { class: `caret${isParent ? "" : " none"}`, "aria-hidden": "true", on: { click: fold } }, isParent && (isClosed ? "▸" : "▾")),
      el("span", { class: "dot", "aria-hidden": "true" }),
      el("span", { class: "text" }, texts[columns.name[index]] || this.operation(index) || "span"),
      columns.label[index] > 0 && el("span", { class: "label" }, texts[columns.label[index]]),
      isClosed && el("span", { class: "mark" }, `+${(this.end[index] - index - 1).toLocaleString("en")}`),
      this.marks(index),
      columns.words[index] > 0 && el("span", { class: "words" }, texts[columns.words[index]]));
  }

  marks(index) {
    const { retries, score } = this.data.columns;
    return [
      retries[index] > 0 && el("span", { class: "mark warn", title: plural(retries[index], "retry", "retries") }, `↻${retries[index]}`),
      this.flag(index, "cache_hit") && el("span", { class: "mark" }, "cache"),
      score[index] !== null && el("span", { class: "mark score" }, number(score[index])),
      this.flag(index, "running") && el("span", { class: "badge running" }, "running"),
      this.flag(index, "not_ended") && el("span", { class: "badge warn" }, "not ended"),
      this.flag(index, "recovered") && el("span", { class: "badge warn" }, "recovered"),
    ];
  }

  bar(index) {
    const { columns, length } = this.data;
    const left = (100 * columns.start[index]) / (length || 1);
    const width = (100 * columns.duration[index]) / (length || 1);
    return el("span", { class: "span-bar", style: { left: `${Math.min(left, 99.7)}%`, width: `${Math.max(Math.min(width, 100 - left), 0.3)}%` } });
  }

  // Choosing and folding

  choose(id) {
    this.chosen = id || null;
    const index = this.place.get(id);
    if (index !== undefined) this.reveal(index);
    else this.draw();
  }

  reveal(index) {
    const { id, depth } = this.data.columns;
    if (this.isAnyHidden(index)) { this.phases = true; this.tools.querySelector("label input").checked = true; }
    for (let above = index - 1, level = depth[index]; above >= 0 && level > 0; above--) {
      if (depth[above] < level) { level = depth[above]; this.closed.delete(id[above]); }
    }
    this.layout();
    this.active = this.rows.indexOf(index);
    this.scrollTo(this.active);
    this.draw();
  }

  isAnyHidden(index) {
    const { depth } = this.data.columns;
    if (this.isHidden(index)) return true;
    for (let above = index - 1, level = depth[index]; above >= 0 && level > 0; above--) {
      if (depth[above] < level) { level = depth[above]; if (this.isHidden(above)) return true; }
    }
    return false;
  }

  scrollTo(row) {
    const top = row * HEIGHT;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop || top + HEIGHT > scrollTop + clientHeight) this.element.scrollTop = Math.max(0, top - clientHeight / 3);
  }

  toggle(row, close) {
    const id = this.data.columns.id[this.rows[row]];
    const wanted = close ?? !this.closed.has(id);
    if (wanted) this.closed.add(id);
    else this.closed.delete(id);
    this.active = row;
    this.layout();
  }

  fold(isClosed) {
    const { id, depth } = this.data.columns;
    this.closed = new Set(isClosed ? id.filter((_, index) => depth[index] > 0 && this.end[index] > index + 1) : []);
    this.layout();
  }

  // Find

  find() {
    const wanted = this.search.value.trim().toLowerCase();
    const { columns, texts } = this.data;
    const isMatch = texts.map((text) => wanted !== "" && text.toLowerCase().includes(wanted));
    this.matches = [];
    for (let index = 0; index < this.count && wanted; index++) {
      if (isMatch[columns.name[index]] || isMatch[columns.label[index]] || isMatch[columns.words[index]] || columns.id[index] === wanted) this.matches.push(index);
    }
    this.matched = new Set(this.matches);
    this.at = -1;
    this.counted.textContent = wanted ? plural(this.matches.length, "match", "matches") : "";
    this.draw();
  }

  next(step) {
    if (!this.matches.length) return;
    this.at = (this.at + step + this.matches.length) % this.matches.length;
    this.counted.textContent = `${this.at + 1} of ${this.matches.length}`;
    this.reveal(this.matches[this.at]);
  }

  failure(step) {
    for (let walked = 1, index = this.rows[this.active] ?? 0; walked <= this.count; walked++) {
      index = (index + step + this.count) % this.count;
      if (this.flag(index, "failed")) return this.reveal(index);
    }
  }

  searchKey(event) {
    if (event.key === "Enter") this.next(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") this.element.focus();
    else return;
    event.preventDefault();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.rows.length) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / HEIGHT) - 1);
    const move = (row) => {
      this.active = Math.max(0, Math.min(this.rows.length - 1, row));
      this.scrollTo(this.active);
      this.draw();
    };
    const index = this.rows[this.active];
    const { id, depth } = this.data.columns;
    const isClosed = this.closed.has(id[index]);
    const keys = {
      ArrowDown: () => move(this.active + 1), j: () => move(this.active + 1),
      ArrowUp: () => move(this.active - 1), k: () => move(this.active - 1),
      PageDown: () => move(this.active + page), PageUp: () => move(this.active - page),
      Home: () => move(0), End: () => move(this.rows.length - 1),
      ArrowRight: () => (isClosed ? this.toggle(this.active, false) : this.hasChildren(index) && move(this.active + 1)),
      ArrowLeft: () => {
        if (!isClosed && this.hasChildren(index)) return this.toggle(this.active, true);
        let row = this.active;
        while (row > 0 && depth[this.rows[row]] >= depth[index]) row--;
        move(row);
      },
      Enter: () => this.choosing(id[index]), " ": () => this.choosing(id[index]),
      Escape: () => this.choosing(null),
      e: () => this.failure(1), E: () => this.failure(-1), n: () => this.next(1), N: () => this.next(-1),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
