/**
 * Two recordings of one length as one player: both run, one is heard. No DOM but two things
 * with the interface of HTMLMediaElement, so that it can be tested without a browser.
 *
 * Running both and moving the mute makes the switch immediate and free of gaps; the price,
 * decoding twice, is nothing for speech.
 */

/** Seconds that the silent one may drift before it is put right; nobody hears that. */
const DRIFT = 0.08;

/** @typedef {"original"|"denoised"} Side */

export class Deck {
  /** @type {Side} */
  #side = "denoised";
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

  get heard() {
    return this.media[this.#side];
  }

  get silent() {
    return this.media[other(this.#side)];
  }

  get playing() {
    return !this.heard.paused && !this.heard.ended;
  }

  get position() {
    return this.heard.currentTime;
  }

  /** Seconds; 0 until known. */
  get duration() {
    const { denoised, original } = this.media;
    return [denoised, original].map((it) => it.duration).find(Number.isFinite) ?? 0;
  }

  /** A side that the browser cannot play (an AVI, say) is left out; the other still plays. */
  markBroken(side) {
    this.#broken.add(side);
    if (this.#side === side && !this.#broken.has(other(side))) this.#turnTo(other(side));
  }

  canSwitch() {
    return this.#broken.size === 0;
  }

  /** @returns {Promise<void>} rejects when the browser refuses to play */
  async play() {
    if (this.heard.ended) this.seek(0);
    this.#align();
    const heard = this.heard.play();
    if (this.canSwitch()) {
      // The silent one may be refused or late: it is aligned again at the next tick or switch.
      Promise.resolve(this.silent.play()).catch(() => {});
    }
    await heard;
  }

  pause() {
    this.media.original.pause();
    this.media.denoised.pause();
  }

  toggle() {
    if (!this.playing) return this.play();
    this.pause();
    return Promise.resolve();
  }

  /** @param {number} seconds is clamped to the recording */
  seek(seconds) {
    const target = Math.min(Math.max(0, seconds), this.duration || 0);
    this.heard.currentTime = target;
    if (this.canSwitch()) this.silent.currentTime = target;
  }

  /** @param {Side} side */
  switchTo(side) {
    if (side === this.#side || !this.canSwitch()) return;
    const wasPlaying = this.playing;
    this.#align();
    this.#turnTo(side);
    if (wasPlaying && this.heard.paused) Promise.resolve(this.heard.play()).catch(() => {});
  }

  switch() {
    this.switchTo(other(this.#side));
  }

  /** Call now and then while playing. */
  tick() {
    if (this.heard.ended) this.pause();
    else if (this.playing) this.#align();
  }

  #turnTo(side) {
    this.#side = side;
    this.#mute();
  }

  #mute() {
    this.heard.muted = false;
    this.silent.muted = true;
  }

  #align() {
    if (!this.canSwitch() || this.silent.seeking) return;
    if (Math.abs(this.silent.currentTime - this.position) > DRIFT) {
      this.silent.currentTime = this.position;
    }
  }
}

function other(side) {
  return side === "original" ? "denoised" : "original";
}
