/**
 * Plays a comparison file: four things to hear, in step by construction. Has what `ABPlayback`
 * has, and more.
 */

import { release, resume, sharedContext } from "./audio_context.js";
import { ComparisonGraph } from "./comparison_graph.js";
import { canMatch, gainsOf, UNKNOWN_LEVELS } from "./gains.js";

/** @typedef {import("./gains.js").Side} Side */
/** @typedef {import("./gains.js").Levels} Levels */

/**
 * What has to be known of a comparison file.
 * @typedef {{channels: number, levels: Levels}} Prepared
 */

export class ComparisonPlayback {
  /** @type {Side[]} */
  sides = ["original", "denoised", "removed", "mix"];
  #media;
  #prepared;
  /** @type {Levels} */
  #levels = UNKNOWN_LEVELS;
  /** @type {ComparisonGraph|null} */
  #graph = null;
  /** @type {Side} */
  #side = "denoised";
  #mix = 0.8;
  #matched = true;
  #expected;
  /** From a click on play until it plays. */
  #starting = false;

  /**
   * @param {HTMLMediaElement} media of the comparison file
   * @param {Promise<Prepared>} prepared
   * @param {number} duration in seconds, as long as the element does not know better
   */
  constructor(media, prepared, duration) {
    this.#media = media;
    this.#prepared = prepared;
    this.#expected = duration;
    prepared.then(
      ({ levels }) => {
        this.#levels = levels;
        this.#apply();
      },
      () => {},
    );
  }

  /** The elements whose events say that something has changed. */
  get elements() {
    return [this.#media];
  }

  /** The last node before the destination; null before the first play. */
  get output() {
    return this.#graph?.output ?? null;
  }

  get side() {
    return this.#side;
  }

  /** 0, the original, to 1, the clean recording. */
  get mix() {
    return this.#mix;
  }

  set mix(value) {
    this.#mix = Math.min(1, Math.max(0, Number(value) || 0));
    this.#apply();
  }

  get levelMatched() {
    return this.#matched && this.matchable;
  }

  set levelMatched(value) {
    this.#matched = Boolean(value);
    this.#apply();
  }

  get matchable() {
    return canMatch(this.#levels);
  }

  get playing() {
    return this.#starting || !(this.#media.paused || this.#media.ended);
  }

  get position() {
    return this.#media.currentTime;
  }

  get duration() {
    const { duration } = this.#media;
    return Number.isFinite(duration) ? duration : this.#expected;
  }

  /** @returns {Promise<void>} rejects when the browser refuses, or without a sound device */
  async play() {
    this.#starting = true;
    try {
      const running = resume(this);
      running.catch(() => {});
      const { channels } = await this.#prepared;
      this.#graph ??= new ComparisonGraph(sharedContext(), this.#media, channels, this.#gains());
      await running;
      // Unless it was paused meanwhile.
      if (this.#starting) await this.#media.play();
    } finally {
      this.#starting = false;
      this.tick();
    }
  }

  pause() {
    this.#starting = false;
    this.#media.pause();
    this.tick();
  }

  /** @param {number} seconds is clamped to the recording */
  seek(seconds) {
    this.#media.currentTime = Math.min(Math.max(0, seconds), this.duration);
  }

  /** @param {Side} side */
  switchTo(side) {
    this.#side = side;
    this.#apply();
  }

  /** Call it with each event of the element: it may pause by itself. */
  tick() {
    if (!this.playing) release(this);
  }

  close() {
    this.pause();
    this.#graph?.close();
    this.#media.removeAttribute("src");
    this.#media.load();
  }

  #gains() {
    return gainsOf(this.#side, this.#mix, this.#matched, this.#levels);
  }

  #apply() {
    this.#graph?.set(this.#gains());
  }
}
