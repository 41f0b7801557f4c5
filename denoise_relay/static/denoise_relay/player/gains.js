/**
 * How much of each version is heard. Pure.
 *
 * Everything is a sum of the original and the clean recording, each times a gain: also what was
 * removed, and every mix.
 */

/** @typedef {"original"|"denoised"|"removed"|"mix"} Side */

/**
 * @typedef {object} Levels
 * @property {number|null} original integrated loudness in LUFS; null: not known, silence for one
 * @property {number|null} denoised
 * @property {number} removedGain by what the clean recording is multiplied before it is taken from
 *   the original; 1 unless its loudness was changed
 */

/** @typedef {{original: number, denoised: number}} Gains */

/** @type {Levels} */
export const UNKNOWN_LEVELS = { original: null, denoised: null, removedGain: 1 };

/** @param {Levels} levels */
export function canMatch({ original, denoised }) {
  return original !== null && denoised !== null;
}

/**
 * @param {Side} side
 * @param {number} mix 0, the original, to 1, the clean recording
 * @param {boolean} matched whether the louder ones are turned down to the softer recording. What
 *   was removed stays as it is: it is meant to be heard as soft as it was.
 * @param {Levels} levels
 * @returns {Gains}
 */
export function gainsOf(side, mix, matched, levels) {
  if (side === "removed") return { original: 1, denoised: -levels.removedGain };
  const share = { original: 0, denoised: 1, mix }[side];
  const level = matched ? levelOf(share, levels) : 1;
  return { original: (1 - share) * level, denoised: share * level };
}

/**
 * The gain that brings a mix to the loudness of the softer recording; never above 1.
 * @param {number} share of the clean recording
 * @param {Levels} levels
 */
function levelOf(share, levels) {
  const { original, denoised } = levels;
  if (original === null || denoised === null) return 1;
  const target = power(Math.min(original, denoised));
  return Math.min(1, Math.sqrt(target / mixedPower(share, levels)));
}

/**
 * Power of a mix. What was removed does not follow the voice, so the product of both recordings
 * is on average that of the voice in the one and in the other.
 * @param {number} share
 * @param {Levels} levels both known
 */
function mixedPower(share, { original, denoised, removedGain }) {
  const before = power(/** @type {number} */ (original));
  const after = power(/** @type {number} */ (denoised));
  const common = Math.min(removedGain * after, Math.sqrt(before * after));
  return (1 - share) ** 2 * before + share ** 2 * after + 2 * share * (1 - share) * common;
}

/** @param {number} loudness in LUFS */
function power(loudness) {
  return 10 ** (loudness / 10);
}
