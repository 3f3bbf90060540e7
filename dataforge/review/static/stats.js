// Closing a batch, and bringing answers in from files.
import { $, api, notice, setup } from "./page.js";

$("close")?.addEventListener("submit", (event) => {
  event.preventDefault();
  $("sure").showModal();
});

$("sure").addEventListener("close", async () => {
  if ($("sure").returnValue !== "yes") return undefined;
  const form = new FormData($("close"));
  try {
    const got = await api("POST", `/batches/${setup.batch}/close`, { allow_unresolved: form.get("allow_unresolved") === "on", now: form.get("now") === "on" });
    if (got.state === "closed") return location.reload();
    notice(`Closing: ${got.leased} items are still held by people. Close again when they are done, or do not wait.`, "good");
  } catch (problem) {
    notice(problem.body?.hint ? `${problem.message}; ${problem.body.hint}` : problem.message);
  }
  return undefined;
});

$("import")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target), file = form.get("file");
  try {
    const got = await api("POST", `/batches/${setup.batch}/import?format=${encodeURIComponent(form.get("format"))}`, new Blob([file]));
    const other = got.different ? ` ${got.different} differ from the same person's answer here, which stays.` : "";
    notice(`${got.answers} answers stored, ${got.known} were known, ${got.decisions} decisions.${other}`, other ? "bad" : "good");
  } catch (problem) {
    notice(problem.body?.row ? `Line ${problem.body.row}: ${problem.message}` : problem.message);
  }
});
