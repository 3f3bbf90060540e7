// Word by word: what an edit took away and what it put in. Longest common subsequence; texts here are a few hundred words.
import { el } from "./page.js";

const MOST = 600; // words; beyond it only "changed" is said, so that typing stays quick

export function showDiff(node, pairs) {
  const changed = pairs.filter(([before, after]) => before !== after);
  node.hidden = !changed.length;
  node.replaceChildren(...changed.map(([before, after]) => el("p", { dir: "auto" }, ...words(before, after))));
}

function words(before, after) {
  const a = before.split(/(\s+)/), b = after.split(/(\s+)/);
  if (a.length > MOST || b.length > MOST) return ["changed (too long to compare)"];
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const out = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push(a[i]); i++; j++; }
    else if (j >= b.length || (i < a.length && table[i + 1][j] >= table[i][j + 1])) out.push(el("del", {}, a[i++]));
    else out.push(el("ins", {}, b[j++]));
  }
  return out;
}
