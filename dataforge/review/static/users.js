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
// The page is loaded anew: what a person may do shows in several places. The button of the same person gets the focus back.
for (const button of document.querySelectorAll("[data-role]"))
  button.addEventListener("click", () => act(async () => {
    const { person, role } = button.dataset;
    await api("PUT", `/users/${encodeURIComponent(person)}/role`, { role });
    sessionStorage.setItem("role-changed", JSON.stringify({ person, role }));
    location.reload();
  }));
const changed = JSON.parse(sessionStorage.getItem("role-changed") || "null");
if (changed) {
  sessionStorage.removeItem("role-changed");
  notice(`${changed.person} is ${changed.role} now.`, "good");
  [...document.querySelectorAll("[data-role]")].find((button) => button.dataset.person === changed.person)?.focus();
}
$("copy").addEventListener("click", () => act(async () => { await navigator.clipboard.writeText($("link").textContent); notice("Copied.", "good"); }));
