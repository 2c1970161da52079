// Send a trace to a backend: the endpoint of the environment, or one that is typed.
import { el, replace } from "./dom.js";
import { get } from "./api.js";

export function sendForm(id) {
  const input = el("input", { type: "text", inputmode: "url", size: "32", placeholder: "http://localhost:4318", "aria-label": "Endpoint" });
  const status = el("div", { class: "content", role: "status" });
  const button = el("button", { class: "button", type: "button", on: { click: send } }, "Send");
  async function send() {
    button.disabled = true;
    replace(status, "sending…");
    try {
      const body = JSON.stringify({ endpoint: input.value });
      const answer = await fetch(`/api/traces/${id}/send`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
      const data = await answer.json();
      replace(status, answer.ok ? data.lines.join("\n") : data.error);
    } catch {
      replace(status, "The server does not answer.");
    }
    button.disabled = false;
  }
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") send(); });
  return el("details", { class: "sending", on: { toggle: async (event) => {
    if (!event.target.open) return;
    const { endpoint } = await get("send").catch(() => ({ endpoint: "" }));
    input.value ||= endpoint;  // what was typed meanwhile stays
  } } }, el("summary", {}, "Send to a backend"), el("p", {}, input, " ", button, " with prompts and answers"), status);
}
