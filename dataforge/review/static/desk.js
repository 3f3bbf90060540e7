// The item on the desk: what is shown of it and of my answer. The nodes stay, their contents change: nothing jumps.
import { $, el, labelOf, notice, setup, show, showThread } from "./page.js";
import { showDiff } from "./diff.js";
import { bringIntoView } from "./sizes.js";

export const SETTLE_MS = 350; // a second press of the same key must not label the next item
export const TRIPLE = ["instruction", "input", "output"];
export const state = { item: null, next: [], chosen: [], flagged: false, settling: 0, since: 0, past: [], place: -1, sent: new Map(), last: null, suggests: setup.suggests, threaded: false, mine: setup.mine };

export function open(item) {
  Object.assign(state, { item, chosen: item.mine?.labels?.slice() ?? [], flagged: item.mine?.flagged ?? false, since: performance.now() });
  $("desk").hidden = false;
  $("desk").removeAttribute("aria-busy");
  $("empty").hidden = true;
  notice("");
  showThread(item);
  $("desk").classList.toggle("threaded", (state.threaded ||= item.context.length > 0)); // its place is kept, as the suggestion's
  showTriple(item);
  showSuggestion(item);
  $("note").value = item.mine?.note ?? "";
  draft("restore");
  reasons(false);
  paint();
  announce(item);
  $("target").focus({ preventScroll: true });
  bringIntoView($("target"));
}

// A screen reader is told about the next item even though the focus has not moved.
function announce(item) {
  const who = item.meta.speaker ? item.meta.speaker + ": " : "", s = item.suggestion;
  $("announce").textContent = who + item.text.slice(0, 1000) + (s ? ` Suggested: ${labelOf(s.label)}.` : "");
}

export const says = (text) => { $("saved").textContent = text; };

// How many rows can be answered without a server.
export const ahead = () => { $("desk").dataset.ahead = state.next.length; };

// In a preference batch A and B stand in an order of their own: the keys follow what is seen, the names what is stored.
export function shownLabels() {
  if (!state.item?.swapped) return setup.labels;
  const [first, second, ...rest] = setup.labels;
  return [{ ...first, name: second.name }, { ...second, name: first.name }, ...rest];
}

// One button per key, made once; `onChoose(place among the labels, whether as the second)`.
export function layLabels(onChoose) {
  $("labels").replaceChildren(...setup.labels.map((label, i) =>
    el("button", { type: "button", "aria-keyshortcuts": `${label.key} ${label.letter.toUpperCase()}`, onclick: (event) => onChoose(i, event.shiftKey) },
      el("kbd", {}, label.key), el("span", { class: "name" }, label.singular), el("kbd", { class: "letter" }, label.letter), el("small", {}, label.definition))));
}

export function paint() {
  shownLabels().forEach((label, i) => {
    const button = $("labels").children[i], at = state.chosen.indexOf(label.name);
    button.dataset.label = label.name;
    button.setAttribute("aria-pressed", String(at >= 0));
    button.querySelector(".name").textContent = label.singular + (at > 0 ? " (second)" : "");
  });
  document.querySelector("[data-do=flag]").setAttribute("aria-pressed", String(state.flagged));
  document.querySelector("[data-do=reject]").classList.toggle("on", state.item?.mine?.kind === "reject");
  document.querySelector("[data-do=unsure]").classList.toggle("on", state.item?.mine?.kind === "unsure");
}

// The next item is there at once; the buttons of what was answered say for a moment what that was.
export function settle(labels) {
  clearTimeout(state.settling);
  const given = shownLabels().flatMap((label, i) => (labels.includes(label.name) ? [$("labels").children[i]] : []));
  for (const button of $("labels").children) button.classList.toggle("given", given.includes(button));
  $("desk").dataset.settling = "";
  state.settling = setTimeout(() => {
    state.settling = 0;
    delete $("desk").dataset.settling;
    for (const button of given) button.classList.remove("given");
  }, SETTLE_MS);
}

function showSuggestion(item) {
  const button = $("accept"), s = item.suggestion;
  state.suggests ||= Boolean(s);
  button.hidden = !state.suggests; // where some items have one, its place is kept: the labels below must not jump
  button.disabled = !s;
  if (!s) return button.replaceChildren("no suggestion for this one");
  const score = s.score === null ? "" : " " + s.score.toFixed(2);
  button.replaceChildren(el("kbd", {}, "a"), " ", el("span", {}, "suggested: ", el("b", {}, labelOf(s.label))), score, " ", el("small", {}, `(${s.by})`));
}

function showTriple(item) {
  $("instruct").hidden = !item.instruct;
  for (const name of TRIPLE) $(name).value = (item.mine?.instruct ?? item.instruct ?? {})[name] ?? "";
  $("target").classList.toggle("away", TRIPLE.some((name) => item.instruct?.[name] === item.text)); // it stands below, to be edited
  edited();
}

// The triple as it stands in the boxes, if it differs from the converter's.
export function edited() {
  if (!state.item?.instruct) return null;
  for (const name of TRIPLE) grow($(name));
  const now = Object.fromEntries(TRIPLE.map((name) => [name, $(name).value]));
  const changed = TRIPLE.some((name) => now[name] !== state.item.instruct[name].replaceAll("\r\n", "\n").replaceAll("\r", "\n"));
  showDiff($("diff"), changed ? TRIPLE.map((name) => [state.item.instruct[name], now[name]]) : []);
  return changed ? now : null;
}

// A box is as high as its text: nobody judges an answer through a slit.
function grow(box) {
  box.style.height = "auto";
  box.style.height = box.scrollHeight + 2 + "px";
}

export function meter(progress) {
  if (progress) {
    $("progress").max = progress.items || 1;
    $("progress").value = progress.done;
    $("count").textContent = `${progress.done}/${progress.items}`;
  }
  $("own").textContent = state.mine ? `${state.mine} by me` : "";
}

export function reasons(on) {
  $("reasons").hidden = !on;
  document.querySelector("[data-do=reject]").setAttribute("aria-expanded", String(on));
}

// What is written but not sent survives a reload.
export function draft(what) {
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
