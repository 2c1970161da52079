// The frame of the page: which view an address means, and what happens when programs write.
import { el, replace } from "./dom.js";
import { stored, watch } from "./api.js";

const ID = "([0-9a-f]{32})";
const SPAN = "([0-9a-f]{1,16})";
const ROUTES = [
  [/^\/?$/, "list", "Traces"],
  [new RegExp(`^/trace/${ID}(?:/${SPAN})?$`), "trace", "Trace"],
  [new RegExp(`^/run/${ID}/${SPAN}$`), "run", "Optimizer run"],
  [new RegExp(`^/evaluation/${ID}/${SPAN}$`), "evaluation", "Evaluation"],
  [/^\/spans$/, "spans", "Spans"],
  [/^\/statistics$/, "statistics", "Statistics"],
  [/^\/sessions$/, "sessions", "Sessions"],
  [new RegExp(`^/compare/${ID}/${ID}$`), "compare", "Comparison"],
];
const main = document.getElementById("main");
const live = document.getElementById("live");
let current = null;
let changes = 0;  // of the address

function route() {
  const [path, search = ""] = location.hash.slice(1).split("?");
  for (const [pattern, name, title] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { name, title, parts: match.slice(1), query: Object.fromEntries(new URLSearchParams(search)) };
  }
  return null;
}

function message(text) {
  replace(main, el("p", { class: "empty", role: "alert" }, text));
}

// The content is busy from the moment its address changes until the view is drawn or a message is shown.
async function show() {
  if (location.hash === "#main") return main.focus();
  const change = ++changes;
  main.setAttribute("aria-busy", "true");
  await draw();
  if (change === changes) main.setAttribute("aria-busy", "false");
}

async function draw() {
  const to = route();
  if (!to) {
    current?.view?.leave?.();
    current = null;  // a view that is still loading does not draw over the message
    return message("There is no such page.");
  }
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === (["spans", "statistics", "sessions"].includes(to.name) ? `#/${to.name}` : "#/");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const moved = current?.name === to.name && current.view?.moved?.(to);
  if (moved) return moved;
  current?.view?.leave?.();
  const next = { name: to.name, view: null };
  current = next;
  document.title = `${to.title} · lmspan`;
  try {
    const module = await import(`./${to.name}.js`);
    if (current !== next) return;
    const view = await module.view(main, to, () => current === next);
    if (current !== next) return view?.leave?.();
    next.view = view;
    await view.ready;  // of a view that can be used while it loads
  } catch (error) {
    if (current === next) message(error.message);
  }
}

addEventListener("hashchange", show);
if (stored) {
  document.querySelector("nav").hidden = true;
  document.querySelector(".brand").setAttribute("href", `#/trace/${stored.only}`);
  if (!location.hash) history.replaceState(null, "", `#/trace/${stored.only}`);
} else watch(
  async () => {
    try {
      await current?.view?.refresh?.();
    } catch (error) {
      live.textContent = error.message;
    }
  },
  (isLost) => {
    live.textContent = isLost ? "The server does not answer. Is lmspan ui still running?" : "";
    live.classList.toggle("lost", isLost);
  },
);
show().then(() => stored || (window.requestIdleCallback || setTimeout)(() => ROUTES.forEach(([, name]) => import(`./${name}.js`))));  // ready for the next click
