// My answers: choosing, giving, taking back, looking back. One key labels, saves and moves on.
import { $, api, clock, el, labelOf, notice, said, setup, show, uuid } from "./page.js";
import { outbox } from "./outbox.js";
import { draft, edited, meter, open, paint, reasons, says, settle, shownLabels, state } from "./desk.js";
import { relogin } from "./relogin.js";
import { advance } from "./work.js";

const isAnswer = (mine) => Boolean(mine && mine.kind !== "skip");

export function choose(place, second = false) {
  if (state.settling || !state.item) return undefined;
  const { name } = shownLabels()[place];
  if (!$("reasons").hidden) reasons(false);
  if (!setup.multi) return give("label", [name]);
  if (state.chosen.includes(name)) state.chosen = state.chosen.filter((x) => x !== name);
  else state.chosen = second && state.chosen.length ? [state.chosen[0], name] : [name];
  return paint();
}

export function give(kind, labels = [], more = {}) {
  if (state.settling || !state.item) return;
  const item = state.item, body = answer(kind, labels, more);
  state.last = { item, key: body.client_key, answer: null, adds: Number(kind !== "skip") - Number(isAnswer(item.mine)) };
  state.mine += state.last.adds; // moves at once: what others still owe is not this person's progress
  meter();
  state.sent.set(item.id, performance.now());
  draft("clear");
  outbox.add(item.id, body, labels.map(labelOf).join(" + ") || kind);
  if (kind !== "skip") settle(labels);
  advance();
}

function answer(kind, labels, more) {
  const body = { client_key: uuid(), kind, labels, flagged: state.flagged, seconds: Math.round((performance.now() - state.since) / 10) / 100, ...more };
  const note = $("note").value.trim(), triple = edited();
  if (note) body.note = note;
  if (triple && kind === "label") body.instruct = triple;
  if (isAnswer(state.item.mine)) body.replaces = state.item.mine.id;
  return body;
}

export function submit() {
  if (state.chosen.length) return give("label", state.chosen);
  if (state.flagged) return give("flag");
  const mine = state.item?.mine;
  if (mine && ["unsure", "reject", "flag"].includes(mine.kind)) return give(mine.kind, [], mine.reason ? { reason: mine.reason } : {});
  return notice("Choose a label first, or flag it with your note.");
}

export function accept() {
  if (state.chosen.length && setup.multi) return submit();
  if (state.item?.suggestion) return give("label", [state.item.suggestion.label]);
  return submit();
}

// --- taking back ---

export async function undo() {
  await outbox.running; // an answer that is being sent gets its number first
  const last = state.last, entry = outbox.waiting().find((kept) => kept.body.client_key === last?.key);
  try {
    if (entry) { // never sent: it is enough to take it out
      outbox.drop(entry.body.client_key);
      reopen(last.item);
    } else {
      const id = last?.answer ?? (await history())[0]?.id;
      if (!id) return notice("There is nothing to undo.");
      reopen((await api("DELETE", `/answers/${id}`)).item);
    }
    state.mine = Math.max(0, state.mine - (last?.adds ?? 1));
    state.last = null;
    meter();
    says("Taken back");
  } catch (problem) {
    if (problem.status === 401) return relogin();
    notice(problem.status ? problem.message : "No connection: undo again when it is back.");
  }
  return undefined;
}

function reopen(item) {
  state.sent.delete(item.id);
  if (state.item && state.item.id !== item.id && state.place < 0) state.next.unshift(state.item);
  state.next = state.next.filter((other) => other.id !== item.id);
  state.place = -1;
  open(item);
}

// --- looking back ---

export async function history() {
  const got = await api("GET", `/batches/${setup.batch}/history`);
  state.past = got.answers;
  $("history").replaceChildren(...got.answers.map((a, i) => {
    const line = el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => visit(i) }, el("b", {}, said(a)), " ", el("time", {}, clock(a.at)), " ", el("span")));
    show(line.querySelector("span"), a.text);
    return line;
  }));
  return got.answers;
}

export async function visit(place) {
  try {
    await outbox.running;
    if (place < 0) { if (state.place >= 0) advance(); return undefined; }
    if (state.place < 0) await history();
    if (!state.past[place]) return notice("There is nothing further back here.");
    const item = await api("GET", `/items/${state.past[place].item}`);
    if (state.place < 0 && state.item) state.next.unshift(state.item);
    state.place = place;
    state.next = state.next.filter((other) => other.id !== item.id);
    open(item);
  } catch (problem) {
    if (problem.status === 401) return relogin();
    notice(problem.status ? problem.message : "No connection.");
  }
  return undefined;
}
