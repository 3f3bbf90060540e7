// Answers that the server did not take: another was faster, or I had answered already. The person decides about each.
import { $, el, uuid } from "./page.js";
import { outbox } from "./outbox.js";

export function showConflicts() {
  const entries = outbox.refused();
  $("conflicts").hidden = !entries.length;
  $("conflicts").replaceChildren(...entries.map(conflict));
}

function conflict(entry) {
  const button = (words, change) => el("button", { type: "button", onclick: () => again(entry, change) }, words);
  const line = el("p", {}, el("b", {}, entry.label), ` for item ${entry.item}: ${entry.refused.text}. `);
  if (entry.refused.kind === "taken") line.append(button("Send as an extra answer", { extra: true }));
  if (entry.refused.kind === "already-answered") line.append(button("Replace my earlier answer", { replaces: entry.refused.answer }));
  line.append(" ", el("button", { type: "button", class: "quiet", onclick: () => { outbox.drop(entry.body.client_key); showConflicts(); } }, "Drop it"));
  return el("div", {}, line, entry.body.note ? el("p", { class: "dim" }, "Note: " + entry.body.note) : null);
}

function again(entry, change) {
  outbox.change(entry.body.client_key, (kept) => [{ ...kept, refused: undefined, body: { ...kept.body, ...change, client_key: uuid() } }]);
  outbox.flush();
  showConflicts();
}
