// The list with filters. The search goes out as a POST: what is searched for stays out of addresses and histories.
import { $, api, el, labelOf, notice, said, setup, show, uuid } from "./page.js";

const KEPT = setup.store + ":filters:" + setup.batch;
let page = 0, size = 50, total = 0;

function filters() {
  const form = new FormData($("filters"));
  const value = { differs: form.get("differs") === "on", page };
  for (const name of ["text", "status", "label", "suggestion", "annotator"]) if (form.get(name)) value[name] = form.get(name);
  for (const name of ["score_from", "score_to"]) if (form.get(name)) value[name] = Number(form.get(name));
  return value;
}

async function search() {
  const asked = filters();
  sessionStorage.setItem(KEPT, JSON.stringify(asked));
  let got;
  try { got = await api("POST", `/batches/${setup.batch}/search`, asked); } catch (problem) {
    if (problem.status === 401) location.href = "/login";
    return notice(problem.message);
  }
  notice("");
  [size, total] = [got.size, got.total];
  $("total").textContent = total === 1 ? "1 item" : `${total} items`;
  $("where").textContent = total > size ? `${page * size + 1}–${Math.min(total, (page + 1) * size)} of ${total}` : "";
  $("back").hidden = page === 0;
  $("on").hidden = (page + 1) * size >= total;
  $("rows").replaceChildren(...got.items.map(row));
}

function row(item) {
  const link = el("a", { href: setup.lead && item.answers.length ? `/b/${setup.batch}/adjudicate?item=${item.id}` : `/i/${item.id}` });
  show(link, item.text.length > 240 ? item.text.slice(0, 240) + "…" : item.text);
  const s = item.suggestion;
  const cells = [el("td", { class: "text" }, link), el("td", { "data-name": "suggested" }, s ? `${labelOf(s.label)}${s.score === null ? "" : " " + s.score.toFixed(2)}` : "–")];
  if (!setup.lead) return el("tr", {}, ...cells, el("td", { "data-name": "mine" }, item.mine ? said(item.mine) + (item.mine.flagged ? " ⚑" : "") : "–"));
  const answers = item.answers.map((a) => el("div", {}, el("bdi", {}, a.name), ": " + said(a) + (a.flagged ? " ⚑" : "")));
  const tick = el("td", { class: "tick" }, el("input", { type: "checkbox", value: item.id, "aria-label": "Tick item " + item.id }));
  const decision = item.decision.source === "unresolved" ? (item.answers.length ? "open" : "–") : `${item.decision.labels.map(labelOf).join(" + ") || "reject"} (${item.decision.source})`;
  return el("tr", { class: "lead" }, tick, ...cells, el("td", { class: "said-by" }, ...(answers.length ? answers : ["–"])), el("td", { "data-name": "decided" }, decision));
}

$("filters").addEventListener("submit", (event) => { event.preventDefault(); page = 0; search(); });
$("filters").addEventListener("change", () => { page = 0; search(); });
$("back").addEventListener("click", () => { page--; search(); });
$("on").addEventListener("click", () => { page++; search(); });
$("all")?.addEventListener("change", (event) => { for (const box of $("rows").querySelectorAll("input")) box.checked = event.target.checked; });
$("bulk")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const ids = [...$("rows").querySelectorAll("input:checked")].map((box) => Number(box.value));
  if (!ids.length) return notice("Tick the items first.");
  try {
    const got = await api("POST", `/batches/${setup.batch}/bulk`, { item_ids: ids, label: new FormData(event.target).get("label"), client_key: uuid() });
    await search();
    notice(`${got.added} answers added.`, "good");
  } catch (problem) { notice(problem.message); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input, select, textarea")) { event.preventDefault(); $("filters").elements.text.focus(); }
});

try {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  for (const [name, value] of Object.entries(kept)) {
    const field = $("filters").elements[name];
    if (field?.type === "checkbox") field.checked = value; else if (field) field.value = value;
  }
  page = kept.page || 0;
} catch { /* no filters kept */ }
search();
if (!$("filters").elements.text.value) $("filters").elements.text.focus();
