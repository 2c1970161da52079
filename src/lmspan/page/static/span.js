// One span in full: its conversation, inputs and outputs, attributes and events.
import { copyButton, el } from "./dom.js";
import { clock, duration, figures, kind, number } from "./format.js";

const IMAGE = /^image\/(png|jpeg|gif|webp)$/;
const BASE64 = /^[A-Za-z0-9+/\s]+=*\s*$/;
const LONG = 1500;
const SHORT = 400;  // of system messages, which are the same in each call
const CONTENT = /^(gen_ai\.(input|output)\.messages|gen_ai\.system_instructions|gen_ai\.tool\.call\.(arguments|result)|lmspan\.(module|operation)\.(inputs|outputs))$/;

export function spanView(span, close) {
  const own = span.self_s < span.duration_s && span.self_s > 0 ? `${duration(span.self_s)} of its own` : "";
  return [
    el("div", { class: "pane-head" },
      el("h2", { class: `k-${kind(span.operation)}` }, el("span", { class: "dot", "aria-hidden": "true" }), span.name),
      span.state !== "ended" && el("span", { class: `badge ${span.state === "running" ? "running" : "warn"}` }, span.state),
      el("button", { class: "quiet", type: "button", "aria-label": "Close the span", on: { click: close } }, "✕")),
    el("p", { class: "facts" }, [span.label && !span.name.includes(span.label) ? span.label : "", clock(span.start), duration(span.duration_s), own,
      span.first_chunk_s !== null && `first chunk after ${duration(span.first_chunk_s)}`, ...figures(span.figures)].filter(Boolean).map((each) => el("span", {}, each))),
    span.above.length > 0 && el("p", { class: "path" }, span.above.map((each, place) => [place > 0 && " › ", el("a", { href: `#/trace/${span.trace_id}/${each.span}` }, each.name)])),
    jumps(span),
    span.omitted.map((each) => el("p", { class: "trouble" }, each)),
    span.error && errorView(span.error),
    span.example ? exampleView(span.example) : contentView(span),
    attributes(span.attributes),
    span.events.length > 0 && section("Events", el("ol", { class: "events" }, span.events.map((event) =>
      el("li", {}, el("code", {}, `+${duration(Math.max(event.after_s, 0))}`), " ", el("strong", {}, event.name), pairs(event.attributes))))),
    span.links.length > 0 && section("Links", el("ul", {}, span.links.map((link) => el("li", {}, `${link.type}: `,
      el("a", { href: `#/trace/${link.trace_id}/${link.span_id}` }, `${link.trace_id.slice(0, 8)} ${link.span_id}`))))),
    el("details", { class: "section" }, el("summary", {}, "Raw"), copyButton(() => raw(span)), el("pre", {}, raw(span))),
  ];
}

const raw = (span) => JSON.stringify({ trace_id: span.trace_id, span_id: span.span_id, name: span.name, attributes: span.attributes, events: span.events }, null, 2);

const section = (title, ...children) => el("section", { class: "section" }, el("h3", {}, title), children);

function jumps(span) {
  const links = [
    span.operation === "optimize" && el("a", { class: "button", href: `#/run/${span.trace_id}/${span.span_id}` }, "Scores and candidates"),
    span.operation === "evaluate" && el("a", { class: "button", href: `#/evaluation/${span.trace_id}/${span.span_id}` }, "Examples"),
    span.run && span.operation !== "optimize" && el("a", { class: "button", href: `#/run/${span.trace_id}/${span.run}` }, "Optimizer run"),
  ].filter(Boolean);
  return links.length > 0 && el("p", { class: "links" }, links);
}

function errorView(error) {
  return el("section", { class: "section error" }, el("h3", {}, error.type), el("p", { class: "content" }, error.message), error.place && el("code", { class: "at" }, error.place),
    error.stack && el("details", {}, el("summary", {}, "Stack"), el("pre", {}, error.stack)));
}

function contentView(span) {
  if (span.conversation.length) return section("Conversation", span.conversation.map(messageView));
  return [span.inputs.length > 0 && section("Inputs", fieldsView(span.inputs)), span.outputs.length > 0 && section("Outputs", fieldsView(span.outputs))];
}

function messageView(message) {
  return el("article", { class: `message r-${["system", "user", "assistant", "tool"].includes(message.role) ? message.role : "other"}` },
    el("header", {}, el("span", { class: "role" }, message.role || "message"), copyButton(() => message.parts.map((part) => part.text).join("\n"))),
    message.parts.map((part) => partView(part, message.role === "system" ? SHORT : LONG)));
}

function partView(part, most) {
  if (part.kind === "text" || part.kind === "") return long(part.text, most);
  if (["blob", "uri", "file"].includes(part.kind)) return mediumView(part);
  const titles = { tool_call: "calls", tool_call_response: "result", reasoning: "reasoning" };
  return el("div", { class: `part p-${/^[a-z_]+$/.test(part.kind) ? part.kind : "other"}` },
    el("span", { class: "part-title" }, [titles[part.kind] || part.kind, part.name].filter(Boolean).join(" ")), long(pretty(part.text)));
}

// An image, a sound or a file. Its data is shown where the trace holds it; an address is text, and nothing is loaded.
function mediumView(part) {
  const facts = Object.fromEntries(part.facts);
  const type = facts.mime_type || (part.name.includes("/") ? part.name : "");
  const isImage = part.kind === "blob" && IMAGE.test(type) && part.text.length > 0 && BASE64.test(part.text);
  const others = part.facts.filter(([name]) => !["mime_type", "modality", "name"].includes(name));
  return el("figure", { class: "part medium" },
    el("figcaption", { class: "part-title" }, [facts.modality || "file", type, facts.name].filter(Boolean).join(" · ")),
    isImage ? el("img", { class: "media", alt: `image of the message (${type})`, src: `data:${type};base64,${part.text.replace(/\s/g, "")}` })
      : el("div", { class: "content" }, { uri: "at ", file: "stored as " }[part.kind], part.text.length > 500 ? `${part.text.slice(0, 500)}… (${part.text.length.toLocaleString("en")} characters)` : part.text),
    others.length > 0 && el("p", { class: "dim" }, others.map(([name, text]) => `${name} ${text}`).join(" · ")));
}

function pretty(text) {
  if (!/^\s*[[{]/.test(text) || text.length > 100000) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// A text that is long is cut, until it is asked for.
function long(text, most = LONG) {
  if (text.length <= most * 1.2) return el("div", { class: "content" }, text);
  const shown = el("div", { class: "content" }, `${text.slice(0, most)}…`);
  const button = el("button", { class: "quiet", type: "button", on: { click: () => { shown.replaceWith(el("div", { class: "content" }, text)); button.remove(); } } },
    `show all ${text.length.toLocaleString("en")} characters`);
  return [shown, button];
}

const fieldsView = (fields) => el("dl", { class: "fields-view" }, fields.map(([name, text]) =>
  [name && el("dt", {}, name), el("dd", {}, long(pretty(text)))]));

function exampleView(example) {
  const parts = [["Inputs", example.inputs], ["Gold", example.gold], ["Prediction", example.prediction]];
  return [
    (example.score !== null || example.feedback) && section("Score", el("p", { class: "content" }, [example.score !== null && el("strong", {}, number(example.score)), example.feedback && ` ${example.feedback}`])),
    parts.map(([title, fields]) => fields.length > 0 && section(title, fieldsView(fields))),
  ];
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const pairs = (values) => el("dl", { class: "pairs" }, Object.entries(values).map(([name, value]) => [el("dt", {}, name), el("dd", {}, long(shown(value)))]));

function attributes(values) {
  const entries = Object.entries(values).filter(([name]) => !CONTENT.test(name)).sort(([one], [other]) => (one < other ? -1 : 1));
  return entries.length > 0 && el("details", { class: "section", open: true }, el("summary", {}, `Attributes (${entries.length})`), pairs(Object.fromEntries(entries)));
}
