/**
 * Two recordings of equal length played in parallel, one audible and one muted. Needs no DOM but
 * two objects with the interface of HTMLMediaElement, so that it can be tested without a browser.
 *
 * Because both run, a switch only moves the mute: it is immediate and leaves no gap. The price is
 * that both are decoded, which is little for speech.
 */

/** Seconds that the muted one may drift before it is corrected. */
const DRIFT = 0.08;

/** @typedef {"original"|"denoised"} Side */

export class ABPlayback {
  /** @type {Side} */
  #side = "denoised";
  /** @type {Set<Side>} */
  #broken = new Set();

  /**
   * @param {{original: HTMLMediaElement, denoised: HTMLMediaElement}} media
   */
  constructor(media) {
    this.media = media;
    this.#mute();
  }

  /** @returns {Side} */
  get side() {
    return this.#side;
  }

  /** Both; only one where the other cannot be played. What is more needs a comparison file. */
  get sides() {
    return /** @type {Side[]} */ (["original", "denoised"]).filter((side) => !this.#broken.has(side));
  }

  /** The elements whose events say that something has changed. */
  get elements() {
    return [this.media.original, this.media.denoised];
  }

  get audible() {
    return this.media[this.#side];
  }

  get muted() {
    return this.media[other(this.#side)];
  }

  get playing() {
    return !this.audible.paused && !this.audible.ended;
  }

  get position() {
    return this.audible.currentTime;
  }

  /** Seconds; 0 until known. */
  get duration() {
    const { denoised, original } = this.media;
    return [denoised, original].map((it) => it.duration).find(Number.isFinite) ?? 0;
  }

  /**
   * A side that the browser cannot play (an AVI, say) is left out; the other still plays.
   * @param {Side} side
   */
  markBroken(side) {
    this.#broken.add(side);
    if (this.#side === side && !this.#broken.has(other(side))) this.#select(other(side));
  }

  canSwitch() {
    return this.#broken.size === 0;
  }

  /** @returns {Promise<void>} rejects when the browser refuses to play */
  async play() {
    if (this.audible.ended) this.seek(0);
    this.#align();
    const audible = this.audible.play();
    if (this.canSwitch()) {
      // The muted one may be refused or late: it is aligned again at the next tick or switch.
      Promise.resolve(this.muted.play()).catch(() => {});
    }
    await audible;
  }

  pause() {
    this.media.original.pause();
    this.media.denoised.pause();
  }

  /** @param {number} seconds is clamped to the recording */
  seek(seconds) {
    const target = Math.min(Math.max(0, seconds), this.duration || 0);
    this.audible.currentTime = target;
    if (this.canSwitch()) this.muted.currentTime = target;
  }

  /** @param {Side} side one of `sides` */
  switchTo(side) {
    if (side === this.#side || !this.canSwitch()) return;
    const wasPlaying = this.playing;
    this.#align();
    this.#select(side);
    if (wasPlaying && this.audible.paused) Promise.resolve(this.audible.play()).catch(() => {});
  }

  /** Call it with each event of the elements. */
  tick() {
    if (this.audible.ended) this.pause();
    else if (this.playing) this.#align();
  }

  close() {
    this.pause();
  }

  /** @param {Side} side */
  #select(side) {
    this.#side = side;
    this.#mute();
  }

  #mute() {
    this.audible.muted = false;
    this.muted.muted = true;
  }

  #align() {
    if (!this.canSwitch() || this.muted.seeking) return;
    if (Math.abs(this.muted.currentTime - this.position) > DRIFT) {
      this.muted.currentTime = this.position;
    }
  }
}

/**
 * @param {Side} side
 * @returns {Side}
 */
function other(side) {
  return side === "original" ? "denoised" : "original";
}
