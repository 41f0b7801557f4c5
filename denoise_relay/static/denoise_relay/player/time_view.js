/** Which stretch of a recording a time line shows: zoom, scroll, and following the playhead. Pure. */

/** Seconds that are shown at the closest. */
export const CLOSEST = 1;
/** The part of the way to where it should be that the view goes with each step of the playhead. */
const EASE = 0.1;
/** A larger step of the playhead, in seconds, is a jump. */
const JUMP = 0.5;

export class TimeView {
  /** Seconds: of the recording, of the first moment shown, and of what is shown. */
  duration = 0;
  start = 0;
  span = 0;
  #following = true;

  /** @param {number} duration seconds; what is shown stays, but all of it if all was shown */
  setDuration(duration) {
    const all = !this.zoomed;
    this.duration = duration;
    this.span = all ? duration : Math.min(this.span, duration);
    this.#scroll(this.start);
  }

  get zoomed() {
    return this.span < this.duration;
  }

  get closest() {
    return this.span <= Math.min(CLOSEST, this.duration);
  }

  /**
   * @param {number} seconds
   * @returns {number} 0 at the first moment shown, 1 at the last
   */
  fraction(seconds) {
    return this.span ? (seconds - this.start) / this.span : 0;
  }

  /** @param {number} fraction as above */
  seconds(fraction) {
    return Math.min(Math.max(0, this.start + fraction * this.span), this.duration);
  }

  /** @param {number} seconds */
  shows(seconds) {
    return seconds >= this.start && seconds <= this.start + this.span;
  }

  /**
   * @param {number} factor above 1: closer
   * @param {number} at the moment, in seconds, that stays where it is
   */
  zoom(factor, at) {
    const fraction = this.fraction(at);
    this.span = Math.min(Math.max(this.span / factor, CLOSEST), this.duration);
    this.#scroll(at - fraction * this.span);
  }

  /** Scroll by hand; the playhead is followed again when it is in view. @param {number} start */
  scrollTo(start) {
    this.#scroll(start);
    this.#following = false;
  }

  /**
   * The playhead moved: keep it in view. While it plays, the view glides until the playhead is in
   * the middle.
   * @param {number} from seconds
   * @param {number} to
   * @param {boolean} glide otherwise the view moves only when the playhead has left it
   */
  follow(from, to, glide) {
    if (!this.zoomed) return;
    const step = to - from;
    const plays = step > 0 && step < JUMP;
    if (this.shows(to)) this.#following = true;
    // Scrolled away by hand while it plays: left alone.
    else if (!this.#following && plays) return;
    if (!this.shows(to)) this.#scroll(to - this.span * (glide || !plays ? 0.5 : 0.05));
    else if (glide && plays) {
      const way = to - this.span / 2 - this.start;
      if (way > 0) this.#scroll(this.start + way * EASE);
    }
  }

  /** @param {number} start */
  #scroll(start) {
    this.start = Math.min(Math.max(0, start), this.duration - this.span);
  }
}

/**
 * Where a ruler has its marks: round times, not closer together than `least`.
 * @param {number} least seconds
 * @returns {number} seconds
 */
export function markEvery(least) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
  return steps.find((step) => step >= least) ?? 3600 * Math.ceil(least / 3600);
}
