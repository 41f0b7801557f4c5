/** Formats numbers and times in the language of the page. Pure, but for the default of `lang`. */

/**
 * Put values into `{name}` places. A value is never read as a pattern.
 * @param {string} pattern
 * @param {Record<string, string>} values
 */
export function fill(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** @param {number} pct 0-100 */
export function percentText(pct, lang = pageLanguage()) {
  return new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 0 }).format(
    Math.floor(pct) / 100,
  );
}

/**
 * 65 → "1:05", 3661 → "1:01:01". Digits stay Latin, as in the players of every system.
 * @param {number} seconds what is not finite shows as zero
 */
export function clock(seconds) {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const pad = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const tail = pad(whole % 60);
  return hours ? `${hours}:${pad(minutes)}:${tail}` : `${minutes}:${tail}`;
}

function pageLanguage() {
  return globalThis.document?.documentElement.lang || undefined;
}
