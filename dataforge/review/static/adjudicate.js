// A lead decides what the answers leave open: lowest agreement first, names hidden until asked for.
import { $, api, clock, el, inTextBox, notice, said, setup, show, showThread } from "./page.js";
import { showDiff } from "./diff.js";
import { bringIntoView } from "./sizes.js";

const waiting = setup.waiting;
const state = { place: 0, item: null, kind: "label", labels: [], instruct: null, busy: false };

async function open(place) {
  state.place = place;
  state.busy = false;
  $("count").textContent = waiting.length ? `${Math.min(place + 1, waiting.length)} of ${waiting.length}` : "";
  if (place >= waiting.length) { $("desk").hidden = true; $("empty").hidden = false; return; }
  let item;
  try { item = await api("GET", `/items/${waiting[place]}/adjudication`); } catch (problem) {
    if (problem.status === 401) location.href = "/login";
    return notice(problem.message);
  }
  const d = item.decision, decided = d.source === "adjudicated";
  Object.assign(state, { item, kind: decided ? d.kind : "label", labels: decided ? d.labels : [], instruct: null });
  $("desk").hidden = false;
  $("empty").hidden = true;
  notice("");
  showThread(item);
  const s = item.suggestion;
  $("suggested").textContent = s ? `Suggested: ${said({ kind: "label", labels: [s.label] })}${s.score === null ? "" : " " + s.score.toFixed(2)} (${s.by})` : "";
  $("note").value = d.note || "";
  $("category").value = "";
  answers();
  triples();
  paint();
  $("target").focus({ preventScroll: true });
  bringIntoView($("target"));
}

function answers() {
  $("answers").replaceChildren(...state.item.answers.map((a, i) => {
    const name = $("names").checked ? a.name : "Annotator " + (i + 1);
    const line = el("li", {}, el("b", {}, said(a)), a.flagged ? " ⚑" : "", a.reason ? ` (${a.reason.replaceAll("_", " ")})` : "", " ",
      el("span", { class: "dim" }, el("bdi", {}, name), ` · ${clock(a.at)}${a.seconds ? ` · ${a.seconds.toFixed(1)} s` : ""}`));
    if (a.note) line.append(show(el("p", { class: "said" }), a.note));
    return line;
  }));
}

function triples() {
  const edits = state.item.answers.filter((a) => a.instruct), names = ["instruction", "input", "output"];
  const box = $("triples");
  box.replaceChildren();
  if (!state.item.instruct) return;
  const original = state.item.instruct;
  box.append(el("h2", {}, "Instruct triple"), el("dl", { class: "triple" }, ...names.flatMap((n) => [el("dt", {}, n), show(el("dd"), original[n])])));
  edits.forEach((a, i) => {
    const diff = el("div", { class: "diff" });
    showDiff(diff, names.map((n) => [original[n], a.instruct[n]]));
    box.append(el("label", { class: "check" }, el("input", { type: "radio", name: "edit", onchange: () => { state.instruct = a.instruct; } }), ` Take edit ${i + 1}`), diff);
  });
}

function paint() {
  $("labels").replaceChildren(...setup.labels.map((label) => {
    const votes = state.item.answers.filter((a) => a.labels.includes(label.name)).length;
    return el("button", { type: "button", "aria-pressed": String(state.kind === "label" && state.labels.includes(label.name)), "aria-keyshortcuts": `${label.key} ${label.letter.toUpperCase()}`,
      onclick: (event) => choose(label.name, event.shiftKey) },
      el("kbd", {}, label.key), el("span", { class: "name" }, label.singular), votes ? el("span", { class: "votes", "aria-label": `${votes} of ${state.item.answers.length} answers` }, `${votes}/${state.item.answers.length}`) : null);
  }));
  $("reject").setAttribute("aria-pressed", String(state.kind === "reject"));
}

function choose(name, second) {
  state.kind = "label";
  state.labels = second && setup.multi && state.labels.length && state.labels[0] !== name ? [state.labels[0], name] : [name];
  paint();
}

function reject() {
  state.kind = state.kind === "reject" ? "label" : "reject";
  state.labels = [];
  paint();
}

async function decide() {
  if (state.busy || !state.item) return;
  if (state.kind === "label" && !state.labels.length) return notice("Choose a label, or reject.");
  state.busy = true;
  const body = { kind: state.kind, labels: state.labels, error_category: $("category").value, note: $("note").value.trim() };
  if (state.instruct && state.kind === "label") body.instruct = state.instruct;
  try {
    await api("POST", `/items/${state.item.id}/decision`, body);
    open(state.place + 1);
  } catch (problem) {
    state.busy = false;
    notice(problem.status === 401 ? "Log in again in another tab, then decide again." : problem.message);
  }
}

const move = (by) => { const place = state.place + by; if (place >= 0) open(place); };
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { document.activeElement?.blur(); return; }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); decide(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || inTextBox(event)) return;
  const onButton = event.target instanceof Element && event.target.matches("button, a, summary, input");
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1], letter = event.key.toLowerCase();
  const label = setup.labels.find((l) => (digit ? l.key === digit : l.letter === letter));
  const keys = { x: reject, n: () => $("note").focus(), arrowleft: () => move(-1), arrowright: () => move(1), ...(onButton ? {} : { enter: decide, " ": () => move(1) }) };
  const act = label ? () => choose(label.name, event.shiftKey) : keys[letter];
  if (act) { event.preventDefault(); act(); }
});
$("reject").addEventListener("click", reject);
$("leave").addEventListener("click", () => move(1));
$("previous").addEventListener("click", () => move(-1));
$("submit").addEventListener("click", decide);
$("names").addEventListener("change", answers);
open(0);
