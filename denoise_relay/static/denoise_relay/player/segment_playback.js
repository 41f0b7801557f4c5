/**
 * Plays a recording that is still being made, from the pieces that are there. They join without a
 * gap: each is scheduled at the very sample where the one before ends. At the end of what is there
 * it waits for the next. Needs no DOM; the AudioContext and the fetching are given.
 */

/** Pieces that are scheduled at once: a few seconds ahead, and little memory at any length. */
const AHEAD = 2;
/** Seconds. */
const LEAD = 0.05;
const FADE = 0.012;
/** Pieces in a row that are not there, when there is no use in asking for the next. */
const LOST = 3;

/** @typedef {{source: AudioBufferSourceNode, at: number, from: number}} Piece `at` of the context's time */

export class SegmentPlayback {
  #makeContext;
  #load;
  #onChange;
  /** @type {AudioContext|null} */
  #context = null;
  /** @type {GainNode|null} */
  #gain = null;
  /** @type {Piece[]} */
  #pieces = [];
  #count = 0;
  #seconds = 0;
  /** The number of the piece that comes next, and where in it to begin. */
  #next = 0;
  #offset = 0;
  /** When, in the context's time, everything scheduled has been played. */
  #end = 0;
  #from = 0;
  #playing = false;
  #loading = false;
  #lost = 0;
  /** Which call of `play` it is: what was asked for by earlier ones is thrown away. */
  #run = 0;

  /**
   * @param {object} options
   * @param {() => AudioContext} options.makeContext called with the first `play`. At the rate of the
   *   pieces nothing is resampled, so that they join exactly
   * @param {(number: number) => Promise<ArrayBuffer|null>} options.load null: this piece was lost
   * @param {() => void} options.onChange it plays, waits or stopped
   */
  constructor({ makeContext, load, onChange }) {
    this.#makeContext = makeContext;
    this.#load = load;
    this.#onChange = onChange;
  }

  get playing() {
    return this.#playing;
  }

  /** Whether it plays, but there is nothing to play yet. */
  get waiting() {
    return this.#playing && this.#pieces.length === 0;
  }

  /** Seconds. */
  get position() {
    const now = this.#context?.currentTime ?? 0;
    const piece = this.#playing ? this.#pieces.filter(({ at }) => at <= now).at(-1) : undefined;
    if (piece) this.#from = Math.min(piece.from + now - piece.at, this.#count * this.#seconds);
    return this.#from;
  }

  /**
   * What is there by now.
   * @param {number} count pieces
   * @param {number} seconds of each but the last
   */
  setAvailable(count, seconds) {
    this.#count = count;
    this.#seconds = seconds;
    this.#fill();
  }

  /**
   * Call it in the handler of a click: browsers let no context begin elsewhere.
   * @param {number} from seconds; a place that is not there yet becomes the end of what is there
   * @returns {Promise<void>} rejects when the browser refuses
   */
  async play(from = this.position) {
    if (!this.#count) return;
    this.#halt();
    this.#context ??= this.#makeContext();
    const context = this.#context;
    this.#playing = true;
    this.#from = Math.min(Math.max(0, from), this.#count * this.#seconds);
    this.#next = Math.floor(this.#from / this.#seconds);
    this.#offset = this.#from - this.#next * this.#seconds;
    this.#end = 0;
    this.#lost = 0;
    const run = this.#run;
    this.#onChange();
    try {
      await context.resume();
    } catch (error) {
      if (run === this.#run) this.pause();
      throw error;
    }
    if (run !== this.#run) return;
    this.#gain = context.createGain();
    this.#gain.connect(context.destination);
    this.#gain.gain.setValueAtTime(0, context.currentTime);
    this.#gain.gain.linearRampToValueAtTime(1, context.currentTime + LEAD + FADE);
    this.#fill();
  }

  pause() {
    if (!this.#playing) return;
    this.#from = this.position;
    this.#halt();
    this.#playing = false;
    this.#onChange();
  }

  /** Stop for good and give everything back. */
  close() {
    this.pause();
    this.#context?.close().catch(() => {});
    this.#context = null;
  }

  #halt() {
    this.#run += 1;
    this.#loading = false;
    const context = this.#context;
    if (context && this.#gain) {
      const now = context.currentTime;
      // A ramp to silence: a cut would click.
      this.#gain.gain.cancelScheduledValues(now);
      this.#gain.gain.setTargetAtTime(0, now, FADE / 3);
      for (const { source } of this.#pieces) source.stop(now + FADE);
    }
    this.#gain = null;
    this.#pieces = [];
  }

  async #fill() {
    const context = this.#context;
    const gain = this.#gain;
    const run = this.#run;
    if (!this.#playing || !context || !gain || this.#loading) return;
    if (this.#next >= this.#count || this.#pieces.length >= AHEAD) return;
    this.#loading = true;
    const number = this.#next;
    const buffer = await this.#decoded(context, number);
    if (run !== this.#run) return;
    this.#loading = false;
    this.#next = number + 1;
    if (buffer) this.#schedule(context, gain, buffer, number * this.#seconds);
    this.#lost = buffer ? 0 : this.#lost + 1;
    if (!buffer) this.#offset = 0;
    if (this.#lost >= LOST) this.pause();
    else this.#fill();
  }

  /**
   * @param {AudioContext} context
   * @param {number} number
   */
  async #decoded(context, number) {
    try {
      const bytes = await this.#load(number);
      return bytes && (await context.decodeAudioData(bytes));
    } catch {
      return null;
    }
  }

  /**
   * @param {AudioContext} context
   * @param {GainNode} gain
   * @param {AudioBuffer} buffer
   * @param {number} start of the piece in the recording, seconds
   */
  #schedule(context, gain, buffer, start) {
    const offset = Math.min(this.#offset, buffer.duration);
    const at = Math.max(this.#end, context.currentTime + LEAD);
    const source = context.createBufferSource();
    const piece = { source, at, from: start + offset };
    source.buffer = buffer;
    source.connect(gain);
    source.onended = () => this.#ended(piece);
    source.start(at, offset);
    const waited = this.#pieces.length === 0;
    this.#pieces.push(piece);
    this.#offset = 0;
    this.#end = at + buffer.duration - offset;
    if (waited) this.#onChange();
  }

  /** @param {Piece} piece */
  #ended(piece) {
    const place = this.#pieces.indexOf(piece);
    // One that was stopped. A context that runs costs power.
    if (place < 0 && !this.#playing) this.#context?.suspend();
    if (place < 0) return;
    this.#pieces.splice(place, 1);
    if (this.#pieces.length === 0) {
      this.#from = Math.min(this.#next * this.#seconds, this.#count * this.#seconds);
      this.#onChange();
    }
    this.#fill();
  }
}
