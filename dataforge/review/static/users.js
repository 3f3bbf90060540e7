// Accounts: a one-time link is shown once, here, and nowhere else.
import { $, api, notice } from "./page.js";

function shown(name, got) {
  $("made").hidden = false;
  $("made-for").textContent = name;
  $("link").textContent = location.origin + got.link;
  $("made").scrollIntoView();
}
const act = async (work) => { try { notice(""); await work(); } catch (problem) { notice(problem.message); } };

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target), name = form.get("name").trim();
  act(async () => { shown(name, await api("POST", "/users", { name, role: form.get("role") })); event.target.reset(); });
});
for (const button of document.querySelectorAll("[data-link]"))
  button.addEventListener("click", () => act(async () => shown(button.dataset.link, await api("POST", `/users/${encodeURIComponent(button.dataset.link)}/link`))));
for (const button of document.querySelectorAll("[data-remove]"))
  button.addEventListener("click", () => act(async () => { await api("DELETE", `/users/${encodeURIComponent(button.dataset.remove)}`); location.reload(); }));
$("copy").addEventListener("click", () => act(async () => { await navigator.clipboard.writeText($("link").textContent); notice("Copied.", "good"); }));
