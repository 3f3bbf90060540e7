// The item page: one key labels, saves and moves on. All keys work without a click first.
import { $, api, clock, el, inTextBox, labelOf, notice, said, setup, show, showThread, uuid } from "./page.js";
import { outbox } from "./outbox.js";
import { showDiff } from "./diff.js";

const PREFETCH = 3, SHOWN_MS = 350;
const state = { item: null, next: [], chosen: [], flagged: false, busy: false, since: 0, past: [], place: -1, sent: new Map(), last: null, suggests: false, done: 0, items: 0, mine: setup.mine };
const TRIPLE = ["instruction", "input", "output"];

// --- items: what I hold, what comes next ---

async function load() {
  const started = performance.now();
  const got = await api("POST", `/batches/${setup.batch}/claim`, { n: PREFETCH + outbox.waiting().length }); // unsent ones are still held
  [state.done, state.items] = [got.progress.done, got.progress.items];
  meter();
  // An answer given while this request was on its way makes its item old news.
  const fresh = got.items.filter((item) => !outbox.has(item.id) && !(state.sent.get(item.id) >= started) && item.id !== state.item?.id);
  state.next = fresh;
  ahead();
  return got;
}

// How many rows can be answered without a server.
const ahead = () => { $("desk").dataset.ahead = state.next.length; };

async function advance() {
  state.busy = false;
  state.place = -1;
  if (!state.next.length) {
    state.item = null;
    $("desk").setAttribute("aria-busy", "true");
    let got;
    try { got = await load(); } catch (problem) { return stuck(problem); }
    if (!state.next.length && got.items.length) return setTimeout(() => { if (!state.item) advance(); }, 300); // all mine, on their way
    if (!state.next.length) return empty(got);
  }
  open(state.next.shift());
  ahead();
  if (!state.next.length) load().catch(() => {}); // ahead of time; without it the next advance asks again
}

function stuck(problem) {
  if (problem.status === 401) return relogin();
  if (problem.kind.startsWith("batch-")) return empty({ with_others: 0, closed: problem.message });
  notice("No connection. What you answered is kept here and will be sent.");
  setTimeout(() => { if (!state.item) advance(); }, 2000);
}

function empty(got) {
  $("desk").hidden = true;
  $("empty").hidden = false;
  const back = got.back_at ? ` The first may be back at ${clock(got.back_at)}.` : "";
  $("empty-title").textContent = got.closed ? "This batch takes no more answers" : got.with_others ? "Others are at it" : "All done";
  $("empty-text").textContent = got.closed || (got.with_others ? `${got.with_others} items are with others.${back}` : "There is nothing left for you in this batch. Thank you.");
  $("again").focus();
}

function open(item) {
  Object.assign(state, { item, chosen: item.mine?.labels?.slice() ?? [], flagged: item.mine?.flagged ?? false, since: performance.now() });
  $("desk").hidden = false;
  $("desk").removeAttribute("aria-busy");
  $("empty").hidden = true;
  notice("");
  showThread(item);
  showTriple(item);
  showSuggestion(item);
  $("note").value = item.mine?.note ?? "";
  draft("restore");
  reasons(false);
  paint();
  $("target").focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

// --- what is shown ---

// In a preference batch A and B stand in an order of their own: the keys follow what is seen, the names what is stored.
function shownLabels() {
  if (!state.item?.swapped) return setup.labels;
  const [first, second, ...rest] = setup.labels;
  return [{ ...first, name: second.name }, { ...second, name: first.name }, ...rest];
}

function paint() {
  const buttons = shownLabels().map((label) => {
    const at = state.chosen.indexOf(label.name);
    return el("button", { type: "button", "aria-pressed": String(at >= 0), "aria-keyshortcuts": `${label.key} ${label.letter.toUpperCase()}`, "data-label": label.name,
      onclick: (event) => choose(label.name, event.shiftKey) },
      el("kbd", {}, label.key), el("span", { class: "name" }, label.singular, at > 0 ? " (second)" : ""), el("kbd", { class: "letter" }, label.letter), el("small", {}, label.definition));
  });
  $("labels").replaceChildren(...buttons);
  document.querySelector("[data-do=flag]").setAttribute("aria-pressed", String(state.flagged));
  document.querySelector("[data-do=reject]").classList.toggle("on", state.item?.mine?.kind === "reject");
  document.querySelector("[data-do=unsure]").classList.toggle("on", state.item?.mine?.kind === "unsure");
}

function showSuggestion(item) {
  const button = $("accept"), s = item.suggestion;
  state.suggests ||= Boolean(s);
  button.hidden = !state.suggests; // once there was one its place is kept: the labels below must not jump
  button.disabled = !s;
  if (!s) return button.replaceChildren("no suggestion for this one");
  const score = s.score === null ? "" : " " + s.score.toFixed(2);
  button.replaceChildren(el("kbd", {}, "a"), " ", el("span", {}, "suggested: ", el("b", {}, labelOf(s.label))), score, " ", el("small", {}, `(${s.by})`));
}

function showTriple(item) {
  $("instruct").hidden = !item.instruct;
  for (const name of TRIPLE) $(name).value = (item.mine?.instruct ?? item.instruct ?? {})[name] ?? "";
  edited();
}

const edited = () => {
  if (!state.item?.instruct) return null;
  const now = Object.fromEntries(TRIPLE.map((name) => [name, $(name).value]));
  const changed = TRIPLE.some((name) => now[name] !== state.item.instruct[name].replaceAll("\r\n", "\n").replaceAll("\r", "\n"));
  showDiff($("diff"), changed ? TRIPLE.map((name) => [state.item.instruct[name], now[name]]) : []);
  return changed ? now : null;
};

function meter() {
  $("progress").max = state.items || 1;
  $("progress").value = state.done;
  $("count").textContent = `${state.done}/${state.items}`;
  $("own").textContent = state.mine ? `${state.mine} by me` : "";
}

function reasons(on) {
  $("reasons").hidden = !on;
  document.querySelector("[data-do=reject]").setAttribute("aria-expanded", String(on));
}

// What is written but not sent survives a reload.
function draft(what) {
  const key = setup.store + ":draft";
  if (what === "save") return localStorage.setItem(key, JSON.stringify({ item: state.item.id, note: $("note").value, triple: TRIPLE.map((name) => $(name).value) }));
  if (what === "clear") return localStorage.removeItem(key);
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    if (kept?.item !== state.item.id) return undefined;
    $("note").value = kept.note;
    if (state.item.instruct) TRIPLE.forEach((name, i) => { $(name).value = kept.triple[i]; });
    edited();
  } catch { /* an unreadable draft is no draft */ }
  return undefined;
}

// --- answers ---

function choose(name, second = false) {
  if (state.busy || !state.item) return;
  if (!$("reasons").hidden) reasons(false);
  if (!setup.multi) return give("label", [name]);
  if (state.chosen.includes(name)) state.chosen = state.chosen.filter((x) => x !== name);
  else state.chosen = second && state.chosen.length ? [state.chosen[0], name] : [name];
  paint();
}

function give(kind, labels = [], more = {}) {
  if (state.busy || !state.item) return;
  const item = state.item;
  state.busy = true; // a second press of the same key must not label the next item
  state.chosen = labels;
  paint();
  const body = { client_key: uuid(), kind, labels, flagged: state.flagged, seconds: Math.round((performance.now() - state.since) / 10) / 100, ...more };
  const note = $("note").value.trim();
  if (note) body.note = note;
  const triple = edited();
  if (triple && kind === "label") body.instruct = triple;
  if (item.mine && item.mine.kind !== "skip") body.replaces = item.mine.id;
  state.last = { item, key: body.client_key, answer: null, adds: Number(kind !== "skip") - Number(Boolean(item.mine && item.mine.kind !== "skip")) };
  state.mine += state.last.adds; // moves at once: what others still owe is not this person's progress
  meter();
  state.sent.set(item.id, performance.now());
  draft("clear");
  outbox.add(item.id, body, labels.map(labelOf).join(" + ") || kind);
  setTimeout(advance, kind === "skip" ? 0 : SHOWN_MS);
}

function submit() {
  if (state.chosen.length) return give("label", state.chosen);
  if (state.flagged) return give("flag");
  if (state.item?.mine && ["unsure", "reject", "flag"].includes(state.item.mine.kind)) return give(state.item.mine.kind, [], state.item.mine.reason ? { reason: state.item.mine.reason } : {});
  notice("Choose a label first, or flag it with your note.");
}

function accept() {
  if (state.chosen.length && setup.multi) return submit();
  if (state.item?.suggestion) return give("label", [state.item.suggestion.label]);
  submit();
}

async function undo() {
  if (state.busy) return;
  await outbox.running; // an answer that is being sent gets its number first
  const entry = outbox.waiting().find((kept) => kept.body.client_key === state.last?.key);
  if (entry) { // never sent: it is enough to take it out
    outbox.drop(entry.body.client_key);
    state.mine -= state.last.adds;
    return reopen(state.last.item);
  }
  let id = state.last?.answer;
  try {
    id ??= (await mine())[0]?.id;
    if (!id) return notice("There is nothing to undo.");
    const got = await api("DELETE", `/answers/${id}`);
    state.mine = Math.max(0, state.mine - (state.last?.adds ?? 1));
    meter();
    state.last = null;
    reopen(got.item);
    says("Taken back");
  } catch (problem) {
    if (problem.status === 401) return relogin();
    notice(problem.status ? problem.message : "No connection: undo again when it is back.");
  }
}

function reopen(item) {
  state.sent.delete(item.id);
  if (state.item && state.item.id !== item.id && state.place < 0) state.next.unshift(state.item);
  state.next = state.next.filter((other) => other.id !== item.id);
  state.place = -1;
  open(item);
}

// --- history ---

async function mine() {
  const got = await api("GET", `/batches/${setup.batch}/history`);
  state.past = got.answers;
  $("history").replaceChildren(...got.answers.map((a, i) => {
    const line = el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => visit(i) }, el("b", {}, said(a)), " ", el("time", {}, clock(a.at)), " ", el("span")));
    show(line.querySelector("span"), a.text);
    return line;
  }));
  return got.answers;
}

async function visit(place) {
  if (state.busy) return;
  try {
    await outbox.running;
    if (state.place < 0) { await mine(); if (state.item) state.next.unshift(state.item); }
    if (place < 0) { if (state.place >= 0) advance(); return; }
    if (!state.past[place]) return notice("There is nothing further back here.");
    const item = await api("GET", `/items/${state.past[place].item}`);
    state.place = place;
    state.next = state.next.filter((other) => other.id !== item.id);
    open(item);
  } catch (problem) {
    if (problem.status === 401) return relogin();
    notice(problem.status ? problem.message : "No connection.");
  }
}

// --- the outbox tells ---

const says = (text) => { $("saved").textContent = text; };
outbox.onSaved = (entry, result) => {
  if (state.last?.key === entry.body.client_key) state.last.answer = result.answer_id;
  says(`Saved ${clock(result.saved_at)}`);
  if ($("notice").textContent.startsWith("No connection")) notice("");
};
outbox.onChange = (n) => { if (n) says(n === 1 ? "Sending …" : `${n} answers wait to be sent`); };
outbox.onLogin = relogin;
outbox.onConflict = showConflicts;

function showConflicts() {
  const box = $("conflicts"), entries = outbox.refused();
  box.hidden = !entries.length;
  box.replaceChildren(...entries.map((entry) => {
    const key = entry.body.client_key, again = (change) => { outbox.change(key, (kept) => [{ ...kept, refused: undefined, body: { ...kept.body, ...change, client_key: uuid() } }]); outbox.flush(); showConflicts(); };
    const line = el("p", {}, el("b", {}, entry.label), ` for item ${entry.item}: ${entry.refused.text}. `);
    if (entry.refused.kind === "taken") line.append(el("button", { type: "button", onclick: () => again({ extra: true }) }, "Send as an extra answer"));
    if (entry.refused.kind === "already-answered") line.append(el("button", { type: "button", onclick: () => again({ replaces: entry.refused.answer }) }, "Replace my earlier answer"));
    line.append(" ", el("button", { type: "button", class: "quiet", onclick: () => { outbox.drop(key); showConflicts(); } }, "Drop it"));
    return el("div", {}, line, entry.body.note ? el("p", { class: "dim" }, "Note: " + entry.body.note) : null);
  }));
}

function relogin() {
  if (!$("relogin").open) $("relogin").showModal();
}
$("relogin-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  try {
    const user = await api("POST", "/session", { name: form.get("name"), passphrase: form.get("passphrase") });
    if (user.id !== setup.user.id) return location.replace("/");
    event.target.passphrase.value = "";
    resume();
  } catch (problem) {
    $("relogin-error").textContent = problem.message;
  }
});
$("relogin-done").addEventListener("click", resume);
function resume() {
  $("relogin").close();
  $("relogin-error").textContent = "";
  outbox.flush();
  if (!state.item) advance();
}

// --- leases: held while the page is open ---

setInterval(async () => {
  for (const item of [state.item, ...state.next].filter(Boolean)) {
    try {
      if (!item.mine || item.mine.kind === "skip") await api("POST", `/leases/${item.id}/renew`);
    } catch (problem) {
      if (problem.status !== 409) continue; // no connection, or logged out: the next beat tries again
      state.next = state.next.filter((other) => other.id !== item.id);
      if (item.id === state.item?.id) notice("Another has taken this item meanwhile. You may still answer: it counts as an extra answer.");
    }
  }
}, Math.min(setup.lease_s / 3, 60) * 1000);

// --- keys ---

const DO = {
  unsure: () => give("unsure"), skip: () => give("skip"), undo,
  flag: () => { state.flagged = !state.flagged; paint(); if (state.flagged) $("note").focus(); },
  reject: () => { reasons($("reasons").hidden); if (!$("reasons").hidden) $("reasons").querySelector("button").focus(); },
  guidelines: () => { $("guidelines").hidden = !$("guidelines").hidden; ($("guidelines").hidden ? $("target") : $("guidelines")).focus(); },
  help: () => ($("help").open ? $("help").close() : $("help").showModal()),
};
const LETTERS = { a: accept, x: DO.reject, f: DO.flag, u: undo, n: () => $("note").focus(), i: () => { if (state.item?.instruct) $("instruction").focus(); }, g: DO.guidelines };
const lettersOn = () => localStorage.getItem(setup.store + ":letters") !== "off";

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return escape_();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); return submit(); }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || inTextBox(event) || document.querySelector("dialog[open]")) return undefined;
  const onButton = event.target instanceof Element && event.target.matches("button, a, summary, input");
  const act = action(event, onButton);
  if (act) { event.preventDefault(); act(); }
  return undefined;
});

function action(event, onButton) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1]; // the code, not the key: layouts differ
  if (digit && !$("reasons").hidden) return () => $("reasons").querySelectorAll("button")[digit - 1]?.click();
  if (digit === "0") return DO.unsure;
  if (digit) { const label = shownLabels().find((l) => l.key === digit); return label && (() => choose(label.name, event.shiftKey)); }
  if (event.key === "?") return DO.help;
  if (event.key === "/") return () => { location.href = `/b/${setup.batch}/review`; };
  if (event.key === "ArrowLeft") return () => visit(state.place + 1);
  if (event.key === "ArrowRight") return () => visit(state.place - 1);
  if (event.key === "Backspace") return undo;
  if (!onButton && event.key === " ") return DO.skip;
  if (!onButton && event.key === "Enter") return accept;
  if (!lettersOn() || event.key.length !== 1) return null;
  const letter = event.key.toLowerCase(), label = shownLabels().find((l) => l.letter === letter);
  return label ? () => choose(label.name, event.shiftKey) : LETTERS[letter];
}

function escape_() {
  if (!$("guidelines").hidden) DO.guidelines();
  if (!$("reasons").hidden) reasons(false);
  document.activeElement?.blur();
  $("target").focus({ preventScroll: true });
}

for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => DO[button.dataset.do]());
for (const button of document.querySelectorAll("[data-reason]")) button.addEventListener("click", () => give("reject", [], { reason: button.dataset.reason }));
$("accept").addEventListener("click", accept);
$("submit").addEventListener("click", submit);
$("again").addEventListener("click", advance);
for (const name of TRIPLE) $(name).addEventListener("input", () => { edited(); draft("save"); });
$("note").addEventListener("input", () => draft("save"));
document.querySelector("details.history").addEventListener("toggle", (event) => { if (event.target.open) mine().catch(() => {}); });
$("letters").checked = lettersOn();
$("letters").addEventListener("change", (event) => localStorage.setItem(setup.store + ":letters", event.target.checked ? "on" : "off"));
const KEYS = [...setup.labels.map((l) => [`${l.key} ${l.letter}`, l.singular]), ["0", "unsure"], ["a ⏎", "accept the suggestion, or save what is chosen"], ["Ctrl ⏎", "save, also from a text box"],
  ["x", "reject, then the reason"], ["Space", "skip"], ["f", "flag, with a note"], ["u ⌫", "undo"], ["← →", "my last answers"], ["n", "note"], ["i", "edit the triple"], ["g", "guidelines"], ["/", "search"], ["?", "these keys"], ["Esc", "leave a text box"]];
if (setup.multi) KEYS.splice(setup.labels.length, 0, ["Shift 1–9", "second label"]);
$("keys").replaceChildren(...KEYS.flatMap(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]));

// --- start ---

showConflicts();
outbox.flush();
if (setup.open) api("GET", `/items/${setup.open}`).then((item) => { open(item); load().catch(() => {}); }, stuck);
else advance();
