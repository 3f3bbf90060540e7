// A session that ends in the middle: log in again over the page, which keeps what was written.
import { $, api, setup } from "./page.js";

export function relogin() {
  if (!$("relogin").open) $("relogin").showModal();
}

export function onLoggedIn(resume) {
  const done = () => {
    $("relogin").close();
    $("relogin-error").textContent = "";
    resume();
  };
  $("relogin-done").addEventListener("click", done);
  $("relogin-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      const user = await api("POST", "/session", { name: form.get("name"), passphrase: form.get("passphrase") });
      if (user.id !== setup.user.id) return location.replace("/");
      event.target.passphrase.value = "";
      done();
    } catch (problem) {
      $("relogin-error").textContent = problem.message;
    }
    return undefined;
  });
}
