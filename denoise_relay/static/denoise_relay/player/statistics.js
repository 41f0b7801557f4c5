/** What was measured of both recordings. That it is there says that the comparison is, too. */

import { browser } from "../environment.js";

/**
 * @typedef {object} SideStatistics every number may be null: not known
 * @property {number|null} loudness_lufs
 * @property {number|null} true_peak_db
 * @property {number|null} noise_floor_db
 * @property {number|null} snr_db
 * @property {number|null} dnsmos
 */

/**
 * @typedef {object} Statistics
 * @property {SideStatistics} before
 * @property {SideStatistics} after
 * @property {number} removed_gain
 * @property {number|null} noise_reduction_db
 */

/** It is made beside the end of the job, and may come up to two minutes later. */
export const WAITS_MS = [0, 1000, 2000, 4000, 8000, 15_000, 30_000, 60_000];
/** When it was there as the page was made. */
export const RETRIES_MS = [0, 500, 1000];

/**
 * Ask until it is there.
 * @param {string} url
 * @param {object} options
 * @param {number[]} options.waits before each try, in milliseconds
 * @param {() => boolean} options.wanted asked before each try
 * @param {Pick<import("../environment.js").Environment, "setTimeout"|"fetchJson">} [options.environment]
 * @returns {Promise<Statistics|null>} null if it does not come, or is not wanted any more
 */
export async function loadStatistics(url, { waits, wanted, environment = browser() }) {
  for (const wait of waits) {
    if (wait > 0) await new Promise((resolve) => environment.setTimeout(() => resolve(null), wait));
    if (!wanted()) return null;
    try {
      const { status, body } = await environment.fetchJson(`${url}?soon=1`);
      if (status === 200 && body?.before && body.after) return body;
    } catch {
      // No network for a moment.
    }
  }
  return null;
}

/**
 * @param {Statistics} statistics
 * @returns {import("./gains.js").Levels}
 */
export function levelsOf({ before, after, removed_gain: removedGain }) {
  return {
    original: before.loudness_lufs ?? null,
    denoised: after.loudness_lufs ?? null,
    removedGain: removedGain ?? 1,
  };
}
