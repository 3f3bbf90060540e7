// The list of batches: only the passphrase form needs a script.
import { api, $, notice } from "./page.js";

$("passphrase").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api("PUT", "/passphrase", { passphrase: new FormData(event.target).get("passphrase") });
    event.target.reset();
    notice("Passphrase saved.", "good");
  } catch (problem) {
    notice(problem.message);
  }
});
