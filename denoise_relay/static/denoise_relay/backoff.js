/** Waiting longer and longer between tries, for sockets and uploads alike. */

/** In milliseconds: the bound of the first wait, and the bound that no wait exceeds. */
export const BASE_MS = 1_000;
export const CAP_MS = 30_000;

/**
 * How long to wait, in milliseconds: anything between nothing and a bound that doubles with
 * each attempt ("full jitter"), so that clients that were cut off together do not come back
 * together.
 * @param {number} attempt 0 for the first wait
 * @param {() => number} random in [0, 1)
 * @returns {number}
 */
export function backoff(attempt, random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 16));
}
