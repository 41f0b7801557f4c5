/**
 * Several recordings in one clock, one of them audible. Needs no DOM but an AudioContext, so that
 * it can be tested without a browser.
 *
 * All run from the same moment in the same audio graph, and a switch moves the gain from one to
 * another: sample for sample in step. (`ABPlayback` of the player lets two media elements drift
 * by 80 ms, which would tell a listener that something was switched, and what.)
 */

/** Seconds of the cross-fade of a switch: no click, and nothing to hear of it. */
const FADE = 0.008;
/** Seconds from the call to the first sample, so that all begin at the same moment. */
const LEAD = 0.02;

export class Deck {
  /** @type {AudioContext|null} */
  #context = null;
  /** @type {Map<string, {buffer: AudioBuffer, gain: number}>} */
  #recordings;
  /** @type {Map<string, {source: AudioBufferSourceNode, volume: GainNode}>} */
  #nodes = new Map();
  #openContext;
  #side;
  /** Where it stands while it is paused, or stood when it began to play. */
  #offset = 0;
  /** The context's time at `#offset`. */
  #begun = 0;

  /**
   * @param {Map<string, {buffer: AudioBuffer, gain: number}>} recordings by side
   * @param {string} side audible at the beginning
   * @param {() => AudioContext} openContext called when it first plays: browsers allow sound only
   *   after somebody pressed something
   */
  constructor(recordings, side, openContext) {
    this.#recordings = recordings;
    this.#side = side;
    this.#openContext = openContext;
  }

  get side() {
    return this.#side;
  }

  get playing() {
    return this.#nodes.size > 0;
  }

  /** Seconds of the longest recording. */
  get duration() {
    return Math.max(0, ...[...this.#recordings.values()].map((it) => it.buffer.duration));
  }

  /** Seconds. */
  get position() {
    if (!this.playing || this.#context === null) return this.#offset;
    const played = Math.max(0, this.#context.currentTime - this.#begun);
    return Math.min(this.duration, this.#offset + played);
  }

  /** @returns {Promise<void>} rejects when the browser refuses to play */
  async play() {
    if (this.playing) return;
    this.#context ??= this.#openContext();
    await this.#context.resume();
    if (this.playing) return; // called twice
    if (this.#offset >= this.duration) this.#offset = 0;
    this.#start(this.#context);
  }

  pause() {
    this.#offset = this.position;
    this.#stop();
  }

  toggle() {
    if (!this.playing) return this.play();
    this.pause();
    return Promise.resolve();
  }

  /** @param {number} seconds is clamped to the recording */
  seek(seconds) {
    const goesOn = this.playing;
    this.#stop();
    this.#offset = Math.min(Math.max(0, seconds), this.duration);
    if (goesOn && this.#context !== null) this.#start(this.#context);
  }

  /** @param {string} side which is loaded */
  switchTo(side) {
    if (!this.#recordings.has(side)) return;
    this.#side = side;
    const now = this.#context?.currentTime ?? 0;
    for (const [name, { volume }] of this.#nodes) {
      volume.gain.cancelScheduledValues(now);
      volume.gain.setTargetAtTime(this.#volumeOf(name), now, FADE / 4);
    }
  }

  /** Call now and then while playing: stops at the end. */
  tick() {
    if (this.playing && this.position >= this.duration) this.pause();
  }

  /** Stop, and free the audio device. */
  close() {
    this.pause();
    void this.#context?.close();
    this.#context = null;
  }

  /** @param {AudioContext} context */
  #start(context) {
    this.#begun = context.currentTime + LEAD;
    for (const [name, { buffer }] of this.#recordings) {
      const source = context.createBufferSource();
      const volume = context.createGain();
      source.buffer = buffer;
      volume.gain.value = this.#volumeOf(name);
      source.connect(volume).connect(context.destination);
      source.start(this.#begun, this.#offset);
      this.#nodes.set(name, { source, volume });
    }
  }

  #stop() {
    for (const { source, volume } of this.#nodes.values()) {
      source.stop();
      source.disconnect();
      volume.disconnect();
    }
    this.#nodes.clear();
  }

  /** @param {string} name */
  #volumeOf(name) {
    return name === this.#side ? (this.#recordings.get(name)?.gain ?? 0) : 0;
  }
}
