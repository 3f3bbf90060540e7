// Answers on their way to the server. Each is in localStorage before anything is sent and leaves it only when the
// server has said "saved" or the person has decided about a conflict. A retry carries the same client_key.
import { api, setup } from "./page.js";

const KEY = setup.store + ":outbox";
const WAITS = [500, 1000, 2000, 5000, 10000]; // ms between tries

export const outbox = {
  onSaved: () => {}, // (entry, result)
  onChange: () => {}, // (number waiting)
  onConflict: () => {}, // () after an entry was refused
  onLogin: () => {}, // () when the session has ended
  tries: 0, timer: 0, running: null,

  read() {
    try { return JSON.parse(localStorage.getItem(KEY) || "[]"); } catch { return []; }
  },
  write(entries) {
    localStorage.setItem(KEY, JSON.stringify(entries));
    this.onChange(this.waiting().length);
  },
  waiting() { return this.read().filter((entry) => !entry.refused); },
  refused() { return this.read().filter((entry) => entry.refused); },
  has(item) { return this.waiting().some((entry) => entry.item === item); },

  add(item, body, label) {
    this.write([...this.read(), { item, body, label, batch: setup.batch }]);
    this.flush();
  },
  change(key, edit) {
    this.write(this.read().flatMap((entry) => (entry.body.client_key === key ? edit(entry) : [entry])));
  },
  drop(key) { this.change(key, () => []); },

  // One sender at a time, across tabs where the browser can: order is kept, and nothing is sent twice for nothing.
  flush() {
    clearTimeout(this.timer);
    this.running ??= (navigator.locks ? navigator.locks.request(KEY, () => this.send()) : this.send()).finally(() => { this.running = null; });
    return this.running;
  },
  async send() {
    for (let entry; (entry = this.waiting()[0]); ) {
      const key = entry.body.client_key;
      try {
        const result = await api("POST", `/items/${entry.item}/answers`, entry.body);
        this.tries = 0;
        this.drop(key);
        this.onSaved(entry, result);
      } catch (problem) {
        if (problem.status === 401) return this.onLogin();
        if (problem.status === 0 || problem.status >= 500 || problem.status === 408 || problem.status === 429) return this.later();
        this.change(key, (kept) => [{ ...kept, refused: { kind: problem.kind, text: problem.message, answer: problem.body.answer_id } }]);
        this.onConflict();
      }
    }
  },
  later() {
    this.timer = setTimeout(() => this.flush(), WAITS[Math.min(this.tries++, WAITS.length - 1)]);
    this.onChange(this.waiting().length);
  },
};

addEventListener("online", () => outbox.flush());
addEventListener("storage", (event) => { if (event.key === KEY) outbox.onChange(outbox.waiting().length); });
