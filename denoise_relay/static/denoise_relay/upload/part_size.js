/** The sizes of the parts of an upload, by the time that they take. Pure. Sizes in bytes. */

const MIB = 1024 * 1024;
/** The first part, and the largest file that a form sends: the most that nginx allows by default. */
export const FIRST_PART = MIB;
export const SMALLEST_PART = MIB / 4;
/** A part that takes less may grow; one that takes more should shrink: it may be lost. */
const QUICK_MS = 4_000;
const SLOW_MS = 20_000;

/**
 * The size of the next part, after one of `size` bytes took `tookMs`.
 * @param {number} size
 * @param {number} tookMs
 * @param {number} largest what the server, or a proxy before it, accepts
 */
export function nextPart(size, tookMs, largest) {
  const factor = tookMs < QUICK_MS ? 2 : tookMs > SLOW_MS ? 0.5 : 1;
  return Math.max(Math.min(size * factor, largest), Math.min(SMALLEST_PART, largest));
}

/**
 * The size of the next part after the connection broke.
 * @param {number} size
 * @param {number} largest
 */
export function partAfterBreak(size, largest) {
  return Math.max(Math.min(SMALLEST_PART, largest), Math.floor(size / 2));
}
