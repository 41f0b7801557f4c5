/**
 * Loudness as ITU-R BS.1770 defines it (K-weighted, gated), and the gains that make recordings
 * equally loud. Needs no DOM.
 *
 * Loudness and not plain RMS: what a denoiser removes is mostly rumble and hiss, which count in
 * RMS more than they are heard, and pauses, which the gate leaves out.
 */

/** The rate that the filters are for. Recordings are decoded to it. */
export const RATE = 48_000;

const STEP = RATE / 10;
const STEPS_OF_BLOCK = 4;
const ABSOLUTE_GATE = -70;
const RELATIVE_GATE = -10;
/** Samples between two pauses, so that the page stays responsive. */
const SAMPLES_AT_A_TIME = 100 * STEP;

/** Tables 1 and 2 of BS.1770-5: b0, b1, b2, a1, a2 at 48 kHz. */
const SHELF = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585];
const HIGH_PASS = [1, -2, 1, -1.99004745483398, 0.99007225036621];

/**
 * @typedef {object} Level
 * @property {number} loudness in LUFS; -Infinity for silence
 * @property {number} peak largest absolute sample
 */

/**
 * Measure a recording as two loudspeakers play it: a mono recording counts twice.
 * @param {Float32Array[]} channels of equal length, at `RATE`
 * @param {() => Promise<void>} pause awaited now and then
 * @returns {Promise<Level>}
 */
export async function measure(channels, pause) {
  const length = channels[0]?.length ?? 0;
  const steps = new Float64Array(Math.ceil(length / STEP));
  let peak = 0;
  for (const samples of channels) {
    const filter = kWeighting();
    for (let start = 0; start < length; start += SAMPLES_AT_A_TIME) {
      const end = Math.min(length, start + SAMPLES_AT_A_TIME);
      for (let i = start; i < end; i += 1) {
        const weighted = filter(samples[i]);
        steps[Math.floor(i / STEP)] += weighted * weighted;
        peak = Math.max(peak, Math.abs(samples[i]));
      }
      await pause();
    }
  }
  const weight = channels.length === 1 ? 2 : 1;
  return { loudness: gated(blocksOf(steps, length), weight), peak };
}

/**
 * The gain of each recording. A and B (and X) get the level of the quieter one: nothing is
 * amplified, so nothing clips. The original gets as near as its peak allows.
 * @param {Record<string, Level>} levels by side, with `a` and `b`
 * @returns {Record<string, number>} linear gains
 */
export function matchingGains(levels) {
  const target = Math.min(levels.a.loudness, levels.b.loudness);
  return Object.fromEntries(
    Object.entries(levels).map(([side, { loudness, peak }]) => {
      // Silence stays silence, and the other side stays as it is.
      if (!Number.isFinite(target) || !Number.isFinite(loudness)) return [side, 1];
      const gain = 10 ** ((target - loudness) / 20);
      return [side, gain > 1 ? Math.min(gain, Math.max(1, 1 / peak)) : gain];
    }),
  );
}

/** @returns {(sample: number) => number} */
function kWeighting() {
  const shelf = biquad(SHELF);
  const highPass = biquad(HIGH_PASS);
  return (sample) => highPass(shelf(sample));
}

/**
 * @param {number[]} coefficients
 * @returns {(sample: number) => number}
 */
function biquad([b0, b1, b2, a1, a2]) {
  let s1 = 0;
  let s2 = 0;
  return (x) => {
    const y = b0 * x + s1;
    s1 = b1 * x - a1 * y + s2;
    s2 = b2 * x - a2 * y;
    return y;
  };
}

/**
 * Mean squares of blocks of 400 ms that overlap by three quarters; one block if it is shorter.
 * @param {Float64Array} steps sums of squares of 100 ms each
 * @param {number} length samples
 */
function blocksOf(steps, length) {
  const whole = Math.floor(length / STEP);
  if (whole < STEPS_OF_BLOCK) return length ? [sum(steps) / length] : [];
  const blocks = [];
  for (let i = 0; i + STEPS_OF_BLOCK <= whole; i += 1) {
    blocks.push(sum(steps.subarray(i, i + STEPS_OF_BLOCK)) / (STEP * STEPS_OF_BLOCK));
  }
  return blocks;
}

/**
 * @param {number[]} blocks
 * @param {number} weight
 */
function gated(blocks, weight) {
  const above = (/** @type {number} */ gate) => blocks.filter((it) => lufs(it * weight) > gate);
  const loud = above(ABSOLUTE_GATE);
  // Below the gate throughout: such a recording is still to be matched.
  if (loud.length === 0) return lufs(mean(blocks) * weight);
  return lufs(mean(above(Math.max(ABSOLUTE_GATE, lufs(mean(loud) * weight) + RELATIVE_GATE))) * weight);
}

/** @param {number} power */
function lufs(power) {
  return -0.691 + 10 * Math.log10(power);
}

/** @param {ArrayLike<number>} values */
function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i += 1) total += values[i];
  return total;
}

/** @param {number[]} values */
function mean(values) {
  return values.length ? sum(values) / values.length : 0;
}
