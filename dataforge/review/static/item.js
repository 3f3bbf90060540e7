// The item page put together: keys and buttons to actions, what the outbox tells, the start. Keys work without a click.
import { $, api, clock, el, inTextBox, notice, setup } from "./page.js";
import { accept, choose, give, history, submit, undo, visit } from "./answers.js";
import { showConflicts } from "./conflicts.js";
import { TRIPLE, draft, edited, layLabels, open, paint, reasons, says, shownLabels, state } from "./desk.js";
import { outbox } from "./outbox.js";
import { onLoggedIn, relogin } from "./relogin.js";
import { advance, keepHold, load, stuck, told } from "./work.js";

const SLOW_MS = 250; // an answer saved sooner is not worth the word "Sending"

// --- the outbox tells ---

let sending = 0;
outbox.onSaved = (entry, result) => {
  clearTimeout(sending);
  if (state.last?.key === entry.body.client_key) state.last.answer = result.answer_id;
  told(result.progress);
  says(entry.body.kind === "skip" ? "Skipped" : `Saved ${entry.label} ${clock(result.saved_at)}`);
  if ($("notice").textContent.startsWith("No connection")) notice("");
};
outbox.onChange = (n) => {
  clearTimeout(sending);
  if (n) sending = setTimeout(() => says(n === 1 ? "Sending …" : `${n} answers wait to be sent`), n === 1 ? SLOW_MS : 0);
};
outbox.onLogin = relogin;
outbox.onConflict = showConflicts;
onLoggedIn(() => {
  outbox.flush();
  if (!state.item) advance();
});

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
  if (digit) return labelled((label) => label.key === digit, event);
  if (event.key === "?") return DO.help;
  if (event.key === "/") return () => { location.href = `/b/${setup.batch}/review`; };
  if (event.key === "ArrowLeft") return () => visit(state.place + 1);
  if (event.key === "ArrowRight") return () => visit(state.place - 1);
  if (event.key === "Backspace") return undo;
  if (!onButton && event.key === " ") return DO.skip;
  if (!onButton && event.key === "Enter") return accept;
  if (!lettersOn() || event.key.length !== 1) return null;
  const letter = event.key.toLowerCase();
  return labelled((label) => label.letter === letter, event) ?? LETTERS[letter];
}

function labelled(is, event) {
  const place = shownLabels().findIndex(is);
  return place < 0 ? null : () => choose(place, event.shiftKey);
}

function escape_() {
  if (!$("guidelines").hidden) DO.guidelines();
  if (!$("reasons").hidden) reasons(false);
  document.activeElement?.blur();
  $("target").focus({ preventScroll: true });
}

const KEYS = [...setup.labels.map((l) => [`${l.key} ${l.letter}`, l.singular]), ["0", "unsure"], ["a ⏎", "accept the suggestion, or save what is chosen"], ["Ctrl ⏎", "save, also from a text box"],
  ["x", "reject, then the reason"], ["Space", "skip"], ["f", "flag, with a note"], ["u ⌫", "undo"], ["← →", "my last answers"], ["n", "note"], ["i", "edit the triple"], ["g", "guidelines"], ["/", "search"], ["?", "these keys"], ["Esc", "leave a text box"]];
if (setup.multi) KEYS.splice(setup.labels.length, 0, ["Shift 1–9", "second label"]);

// --- start ---

for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => DO[button.dataset.do]());
for (const button of document.querySelectorAll("[data-reason]")) button.addEventListener("click", () => give("reject", [], { reason: button.dataset.reason }));
$("accept").addEventListener("click", accept);
$("submit").addEventListener("click", submit);
$("again").addEventListener("click", advance);
for (const name of TRIPLE) $(name).addEventListener("input", () => { edited(); draft("save"); });
$("note").addEventListener("input", () => draft("save"));
document.querySelector("details.history").addEventListener("toggle", (event) => { if (event.target.open) history().catch(() => {}); });
$("letters").checked = lettersOn();
$("letters").addEventListener("change", (event) => localStorage.setItem(setup.store + ":letters", event.target.checked ? "on" : "off"));
$("keys").replaceChildren(...KEYS.flatMap(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]));
layLabels(choose);
keepHold();
showConflicts();
outbox.flush();
if (setup.open) api("GET", `/items/${setup.open}`).then((item) => { open(item); load().catch(() => {}); }, stuck);
else advance();
