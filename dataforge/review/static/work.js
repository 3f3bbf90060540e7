// Which item comes next: held by leases, fetched ahead of time, so that the next one is there when a key is pressed.
import { $, api, clock, notice, setup } from "./page.js";
import { outbox } from "./outbox.js";
import { ahead, meter, open, state } from "./desk.js";
import { relogin } from "./relogin.js";

const HELD = 4; // the one on the desk and three more; asked for again when one is left

export async function load() {
  const started = performance.now(), unsent = new Set(outbox.waiting().map((entry) => entry.item)); // those are still held
  const got = await api("POST", `/batches/${setup.batch}/claim`, { n: HELD + unsent.size });
  told(got.progress);
  // What was answered while this request was on its way, or had not arrived when it left, is old news.
  const old = (id) => unsent.has(id) || outbox.has(id) || state.sent.get(id) >= started || id === state.item?.id;
  state.next = got.items.filter((item) => !old(item.id));
  ahead();
  return got;
}

export async function advance() {
  state.place = -1;
  if (!state.next.length) {
    state.item = null;
    $("desk").setAttribute("aria-busy", "true");
    let got;
    try { got = await load(); } catch (problem) { return stuck(problem); }
    if (state.item) return; // an undo has put one on the desk meanwhile
    if (!state.next.length && got.items.length) return setTimeout(() => { if (!state.item) advance(); }, 300); // all mine, on their way
    if (!state.next.length) return empty(got);
  }
  open(state.next.shift());
  ahead();
  if (state.next.length < 2) load().catch(() => {}); // ahead of time; without it the next advance asks again
}

export function stuck(problem) {
  if (problem.status === 401) return relogin();
  if (problem.kind.startsWith("batch-")) return empty({ with_others: 0, closed: problem.message });
  notice("No connection. What you answered is kept here and will be sent.");
  setTimeout(() => { if (!state.item) advance(); }, 2000);
}

function empty(got) {
  $("desk").hidden = true;
  $("empty").hidden = false;
  const back = got.back_at ? ` The first may be back at ${clock(got.back_at)}.` : "";
  $("empty-title").textContent = got.closed ? "This batch takes no more answers" : got.with_others ? "Others are at it" : "All done";
  $("empty-text").textContent = got.closed || (got.with_others ? `${got.with_others} items are with others.${back}` : "There is nothing left for you in this batch. Thank you.");
  $("again").focus();
}

// --- how far everybody is: every answer brings it, and while I think the server is asked ---

const ASK_MS = 5000;
let heard = 0;

export function told(progress) {
  heard = performance.now();
  meter(progress);
}

export function keepHold() {
  setInterval(async () => {
    if (document.hidden || performance.now() - heard < ASK_MS) return;
    try { told(await api("GET", `/batches/${setup.batch}/progress`)); } catch { /* the next beat tries again */ }
  }, ASK_MS);
  setInterval(renew, Math.min(setup.lease_s / 3, 60) * 1000);
}

// Leases are held while the page is open.
async function renew() {
  for (const item of [state.item, ...state.next].filter(Boolean)) {
    try {
      if (!item.mine || item.mine.kind === "skip") await api("POST", `/leases/${item.id}/renew`);
    } catch (problem) {
      if (problem.status !== 409) continue; // no connection, or logged out: the next beat tries again
      state.next = state.next.filter((other) => other.id !== item.id);
      if (item.id === state.item?.id) notice("Another has taken this item meanwhile. You may still answer: it counts as an extra answer.");
    }
  }
}
