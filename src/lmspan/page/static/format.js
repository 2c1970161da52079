// Figures as a person reads them.

// Control characters and marks that reorder a text are shown as a dot, so that a text looks as it is.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
export const visible = (text) => text.replace(/\r\n/g, "\n").replace(UNSEEN, "·");

const digits = (value) => (value >= 10 ? value.toFixed(0) : value.toFixed(1));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds === 0) return "0";
  if (seconds < 1e-3) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1e3)} ms`;
  if (seconds < 60) return `${digits(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function money(amount) {
  if (amount === null || amount === undefined) return "";
  if (amount >= 1) return `$${amount.toFixed(2)}`;
  return `$${amount.toFixed(6).replace(/0+$/, "").padEnd(4, "0")}`;
}

export const number = (value) =>
  value === null || value === undefined ? "" : String(Number(Number(value).toPrecision(4)));

export function short(count) {
  if (count < 1000) return String(count);
  return count < 1e6 ? `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)}k` : `${(count / 1e6).toFixed(1)}M`;
}

export const tokens = (input, output) => (input || output ? [input, output].map((each) => (each === null ? "–" : short(each))).join(" → ") : "");

export const plural = (count, noun, nouns = `${noun}s`) => `${count.toLocaleString("en")} ${count === 1 ? noun : nouns}`;

export function clock(milliseconds) {
  const time = new Date(milliseconds);
  if (Number.isNaN(time.getTime())) return "";
  const two = (value) => String(value).padStart(2, "0");
  const now = new Date();
  const day = `${time.getFullYear() === now.getFullYear() ? "" : `${time.getFullYear()}-`}${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const hour = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return now.toDateString() === time.toDateString() ? hour : `${day} ${hour}`;
}

export function figures(sums) {
  return [
    sums.lm_calls ? plural(sums.lm_calls, "LM call") : "",
    sums.cache_hits ? `${sums.cache_hits} from cache` : "",
    sums.input_tokens || sums.output_tokens ? `${tokens(sums.input_tokens, sums.output_tokens)} tokens` : "",
    sums.cost !== null ? money(sums.cost) + (sums.unknown_costs ? ` + ${sums.unknown_costs} unknown` : "") : "",
    sums.retries ? plural(sums.retries, "retry", "retries") + (sums.retry_wait_s ? `, ${duration(sums.retry_wait_s)} waited` : "") : "",
  ].filter(Boolean);
}

const KINDS = {
  lm: "model", embedding: "embedding", retrieval: "retrieval", tool: "tool", agent: "agent", turn: "turn",
  module: "module", workflow: "workflow", evaluate: "evaluation", example: "example", optimize: "optimizer",
  candidate: "candidate", adapter_format: "adapter", adapter_parse: "adapter", interpreter_execute: "code",
  interpreter_startup: "code", interpreter_shutdown: "code",
};
export const kind = (operation) => KINDS[operation] || "other";
