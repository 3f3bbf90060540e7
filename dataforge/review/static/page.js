// What every page shares: requests, building nodes, showing text from data. Text goes into nodes by textContent only.

export const setup = JSON.parse(document.getElementById("setup").textContent);
export const $ = (id) => document.getElementById(id);

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || "the server does not answer");
    Object.assign(this, { status, kind: body.kind || "", body });
  }
}

// A JSON request to /api/v1. Throws Problem; status 0 means that nothing came back.
export async function api(method, path, body) {
  let response;
  try {
    response = await fetch("/api/v1" + path, {
      method, credentials: "same-origin", cache: "no-store",
      headers: method === "GET" ? {} : { "X-Dataforge": "1", ...(body instanceof Blob ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : body instanceof Blob ? body : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, {});
  }
  const text = await response.text();
  let value = {};
  try { value = text ? JSON.parse(text) : {}; } catch { /* not ours: the status tells enough */ }
  if (!response.ok) throw new Problem(response.status, value);
  return value;
}

// el("p", {class: "dim"}, "text", node…)
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Masked spans like <EMAIL_ADDRESS>, and characters that hide or turn text: both are made visible.
const MARKS = /(<[A-Z][A-Z0-9_]{1,40}>)|([\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb])/g;
const LONG = 20000;

export function show(node, text, limit = LONG) {
  const shown = text.length > limit ? text.slice(0, limit) : text;
  const parts = [];
  let last = 0;
  for (const match of shown.matchAll(MARKS)) {
    parts.push(shown.slice(last, match.index));
    if (match[1]) parts.push(el("span", { class: "chip" }, match[1].slice(1, -1)));
    else parts.push(el("span", { class: "control", title: "invisible character" }, "U+" + match[2].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")));
    last = match.index + match[0].length;
  }
  parts.push(shown.slice(last));
  node.replaceChildren(...parts);
  if (text.length > limit) {
    node.append(" ", el("button", { type: "button", class: "quiet", onclick: () => show(node, text, Infinity) }, `… ${text.length - limit} more characters`));
  }
  node.setAttribute("dir", "auto");
  return node;
}

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
export const labelOf = (name) => setup.labels?.find((label) => label.name === name)?.singular ?? name;
export const said = (answer) => (answer.kind === "label" ? answer.labels.map(labelOf).join(" + ") : answer.kind);

export function notice(text, kind = "bad") {
  const box = $("notice");
  box.className = "notice " + kind;
  box.textContent = text;
  box.hidden = !text;
}

export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID exists on secure origins only
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export const inTextBox = (event) => event.target instanceof Element && event.target.matches("textarea, select, input:not([type=checkbox])");

// Thread: messages before, the item itself, messages after.
export function showThread(item) {
  const words = Object.entries(item.meta).filter(([key, value]) => value && key !== "speaker").map(([key, value]) => `${key}: ${value}`);
  show($("meta"), words.join(" · "));
  show($("speaker"), item.meta.speaker || "");
  const message = (m) => {
    const line = el("li", {}, m.speaker ? el("b", {}, el("bdi", {}, m.speaker)) : null, el("span"));
    show(line.lastChild, m.text);
    return line;
  };
  $("before").replaceChildren(...item.context.filter((m) => !m.after).map(message));
  $("after").replaceChildren(...item.context.filter((m) => m.after).map(message));
  show($("target"), item.text);
  const box = $("responses");
  box.hidden = !item.responses;
  box.replaceChildren(...(item.responses || []).map((text, i) => el("section", {}, el("h2", {}, "Response " + "AB"[i]), show(el("p"), text))));
}

for (const node of document.querySelectorAll("time[data-time]")) node.textContent = new Date(node.dataset.time * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
document.querySelector("[data-logout]")?.addEventListener("click", async () => {
  await api("DELETE", "/session").catch(() => {});
  location.href = "/login";
});
