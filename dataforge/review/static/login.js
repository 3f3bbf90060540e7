// Log in by name and passphrase, or by a one-time link: its token is in the fragment, which the browser sends to nobody.
import { api, $, notice } from "./page.js";

async function enter(body) {
  try {
    await api("POST", "/session", body);
    location.replace("/");
  } catch (problem) {
    notice(problem.message);
  }
}

const token = location.hash.slice(1);
if (token) {
  history.replaceState(null, "", "/login"); // out of the address bar and the history before anything else
  enter({ token });
}
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  enter({ name: form.get("name").trim(), passphrase: form.get("passphrase") });
});
