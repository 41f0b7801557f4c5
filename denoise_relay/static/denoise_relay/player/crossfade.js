/** Moves gains from one set of values to another in a straight line, without a click. */

/** Both recordings are much alike, so that a linear crossfade keeps the level. */
export const FADE_SECONDS = 0.015;
/** The audio thread may be as much ahead of what we read from its clock, over its own latency. */
const MARGIN_SECONDS = 0.01;
const MAX_LEAD_SECONDS = 0.1;

/**
 * @typedef {object} Clock the part of an AudioContext that is used here
 * @property {number} currentTime
 * @property {number} [baseLatency]
 * @property {string} state
 */

export class Crossfade {
  #clock;
  #params;
  #setTimeout;
  /** @type {number[]} where the last fade ends */
  #values;
  /** @type {number[]} where the next one will */
  #wanted;
  /** When the fade that was begun last ends, in the clock's time; null: it has ended. */
  #end = /** @type {number|null} */ (null);

  /**
   * @param {Clock} clock
   * @param {AudioParam[]} params
   * @param {number[]} values to begin with
   * @param {(callback: () => void, ms: number) => unknown} [setTimeout]
   */
  constructor(clock, params, values, setTimeout = (callback, ms) => globalThis.setTimeout(callback, ms)) {
    this.#clock = clock;
    this.#params = params;
    this.#setTimeout = setTimeout;
    this.#values = this.#wanted = values;
    this.#set(values);
  }

  /**
   * Fade to these values, soon; only the newest ones count while another fade runs.
   * @param {number[]} values
   */
  to(values) {
    this.#wanted = values;
    if (this.#end === null) this.#next();
  }

  #next() {
    this.#end = null;
    if (this.#wanted.every((value, n) => value === this.#values[n])) return;
    if (this.#clock.state !== "running") {
      // Nothing is heard.
      this.#set(this.#wanted);
      return;
    }
    // It begins a little later than now. An event in the past would begin in the middle of its line.
    const lead = Math.min(MAX_LEAD_SECONDS, this.#clock.baseLatency ?? 0.02) + MARGIN_SECONDS;
    const start = this.#clock.currentTime + lead;
    this.#end = start + FADE_SECONDS;
    for (const [n, param] of this.#params.entries()) {
      param.setValueAtTime(this.#values[n], start);
      param.linearRampToValueAtTime(this.#wanted[n], this.#end);
    }
    this.#values = this.#wanted;
    this.#wait(lead + FADE_SECONDS);
  }

  /** @param {number} seconds */
  #wait(seconds) {
    this.#setTimeout(() => {
      const left = (this.#end ?? 0) - this.#clock.currentTime;
      if (this.#clock.state !== "running") {
        this.#end = null;
        this.#set(this.#wanted);
      } else if (left > 0) {
        this.#wait(left);
      } else {
        this.#next();
      }
    }, seconds * 1000);
  }

  /** @param {number[]} values at once */
  #set(values) {
    for (const [n, param] of this.#params.entries()) {
      param.cancelScheduledValues(0);
      param.setValueAtTime(values[n], this.#clock.currentTime);
    }
    this.#values = values;
  }
}
