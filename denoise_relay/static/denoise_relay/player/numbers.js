/** Writes what was measured into the page: one sentence, and a table. */

import { fill } from "../format.js";
import { part } from "../parts.js";

/** @typedef {import("./statistics.js").Statistics} Statistics */
/** @typedef {import("./statistics.js").SideStatistics} SideStatistics */

/**
 * @param {Element} root has the parts `sentence` and `numbers`
 * @param {Statistics} statistics
 */
export function showNumbers(root, statistics) {
  const sentence = part(root, "sentence");
  const decibels = statistics.noise_reduction_db;
  // Less than that nobody hears.
  if (sentence && decibels !== null && decibels >= 1) {
    sentence.textContent = fill(sentence.dataset.text, { number: numberText(decibels, 0) });
    sentence.hidden = false;
  }
  const table = part(root, "numbers");
  if (!table) return;
  const rows = [...table.querySelectorAll("[data-number]")];
  for (const row of rows) {
    const name = /** @type {keyof SideStatistics} */ (row.dataset.number);
    const values = [statistics.before[name], statistics.after[name]];
    for (const [n, cell] of [...row.querySelectorAll("td")].entries()) {
      cell.textContent = numberText(values[n], 1);
    }
    row.hidden = values.every((value) => value === null || value === undefined);
  }
  table.hidden = rows.every((row) => row.hidden);
}

/**
 * @param {number|null|undefined} value
 * @param {number} digits after the point
 */
function numberText(value, digits) {
  if (value === null || value === undefined) return "–";
  const lang = document.documentElement.lang || undefined;
  return new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(value)
    .replace("-", "\u2212");
}
