/**
 * `<denoise-waveform>`: the recording of a job that runs, painted over by the clean one from left to
 * right, as far as that has come; where there are pieces of it, they can be heard.
 *
 * Progress and percent are said by the job's progress bar: this is a picture of the same, and a button.
 */

import { clock, fill } from "./format.js";
import { part } from "./parts.js";
import { SegmentPlayback } from "./player/segment_playback.js";
import { drawShape, scaleOf, surface, watchLook } from "./player/waveform_canvas.js";
import { WaveformData, growWaveform, loadWaveform } from "./player/waveform_data.js";

/** At most one question to the server in that time. */
const ASK_MS = 1000;
const STEP_SECONDS = 5;
/** Pieces of a recording have at most this rate. */
const PREVIEW_RATE = 24_000;

export class DenoiseWaveform extends HTMLElement {
  /** @type {WaveformData|null} */
  #original = null;
  #denoised = new WaveformData();
  #pct = 0;
  #asked = -ASK_MS;
  #asking = false;
  #timer = 0;
  #frame = 0;
  /** @type {AbortController|null} */
  #listeners = null;
  /** @type {SegmentPlayback|null} */
  #playback = null;

  async connectedCallback() {
    const job = /** @type {HTMLElement|null} */ (this.closest("denoise-job"));
    if (this.#listeners || !job || !this.dataset.original) return;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const on = (/** @type {EventTarget} */ target, /** @type {string} */ name, /** @type {(event: any) => void} */ handler) =>
      target.addEventListener(name, handler, { signal });
    this.#playback = new SegmentPlayback({
      makeContext: () => this.#context(),
      load: (number) => this.#segment(number),
      onChange: () => this.#showPlayback(),
    });
    this.#pct = Number(job.dataset.pct);
    on(job, "denoise-job:change", (event) => this.#progress(event.detail.pct));
    on(job, "denoise-job:end", () => this.disconnectedCallback());
    const listen = part(this, "listen");
    on(listen, "click", () => (this.#playback?.playing ? this.#playback.pause() : this.#play()));
    on(listen, "keydown", (event) => this.#key(event));
    on(part(this, "paint"), "click", (event) => this.#click(event));
    on(document, "denoise-player:change", (event) => event.target.playing && this.#playback?.pause());
    this.#original = await loadWaveform(this.dataset.original);
    if (signal.aborted) return;
    if (this.#original === null) {
      this.hidden = true;
      return;
    }
    watchLook(this, () => this.#draw(), signal);
    this.#draw();
    this.dataset.known = "";
    await this.#grow();
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
    this.#playback?.close();
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#timer = this.#frame = 0;
  }

  /** @param {number} pct */
  #progress(pct) {
    this.#pct = pct;
    this.#showFrontier();
    // A hidden page need not be painted, but may be listened to.
    if (!document.hidden || this.#playback?.playing) this.#grow();
  }

  async #grow() {
    const wait = this.#asked + ASK_MS - performance.now();
    if (this.#asking || this.#timer || this.#denoised.complete) return;
    if (wait > 0) {
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        this.#grow();
      }, wait);
      return;
    }
    this.#asked = performance.now();
    this.#asking = true;
    const before = this.#denoised.length;
    const known = await growWaveform(this.#denoised, this.dataset.denoised ?? "");
    this.#asking = false;
    if (!known || !this.#listeners) return;
    this.#showFrontier();
    if (this.#denoised.length !== before) this.#drawClean();
    const { segments, segmentSeconds } = this.#denoised;
    this.#playback?.setAvailable(segments, segmentSeconds);
    if (segments) part(this, "listen").hidden = false;
  }

  #draw() {
    const target = surface(part(this, "noisy"));
    if (target && this.#original) this.#shape(target, this.#original);
    this.#showFrontier();
    this.#drawClean();
  }

  /** Without a clean shape, the frontier sweeps over the original's in the colour of the clean one. */
  #drawClean() {
    const target = surface(part(this, "clean"));
    const shape = this.#denoised.length ? this.#denoised : this.#original;
    if (target && shape) this.#shape(target, shape);
  }

  /**
   * @param {import("./player/waveform_canvas.js").Surface} target
   * @param {WaveformData} shape
   */
  #shape(target, shape) {
    const noisy = shape === this.#original && target.context.canvas === part(this, "noisy");
    const { color, outlineColor } = target.style;
    const to = this.#original?.duration ?? 0;
    drawShape(target, shape, { from: 0, to, scale: scaleOf(this.#original), color: noisy ? outlineColor : color });
  }

  /** Before the clean shape is drawn: its colour says whether it is real. */
  #showFrontier() {
    const total = this.#original?.duration;
    if (!total) return;
    const real = this.#denoised.duration;
    // What will be known is not guessed: the frontier would go back.
    const guess = this.dataset.grows === undefined ? this.#pct / 100 : 0;
    const fraction = real ? Math.min(1, real / total) : guess;
    this.dataset.real = String(real > 0);
    this.style.setProperty("--denoise-frontier", `${fraction * 100}%`);
    // Not a second less for a rounding error.
    const now = clock(Math.min(total, (real || fraction * total) + 0.001));
    part(this, "reached").textContent = fill(this.dataset.text ?? "", { now, total: clock(total) });
  }

  // Listening

  async #play(/** @type {number|undefined} */ from = undefined) {
    try {
      await this.#playback?.play(from);
    } catch {
      // The browser refuses: the button says "Listen" again.
    }
  }

  #context() {
    const sampleRate = Math.min(PREVIEW_RATE, this.#denoised.sampleRate);
    try {
      return new AudioContext({ sampleRate });
    } catch {
      return new AudioContext();
    }
  }

  /** @param {number} number */
  async #segment(number) {
    const url = (this.dataset.preview ?? "").replace(/[^/]*\/$/, `${number}/`);
    const response = await fetch(url, { credentials: "same-origin", signal: AbortSignal.timeout(10_000) });
    return response.ok ? response.arrayBuffer() : null;
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const { left, width } = part(this, "paint").getBoundingClientRect();
    const seconds = ((event.clientX - left) / width) * (this.#original?.duration ?? 0);
    const { segments, segmentSeconds } = this.#denoised;
    if (seconds < segments * segmentSeconds) this.#play(seconds);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowLeft: -STEP_SECONDS, ArrowRight: STEP_SECONDS }[event.key];
    if (!step || !this.#playback?.playing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#play(this.#playback.position + step);
  }

  #showPlayback() {
    const playback = /** @type {SegmentPlayback} */ (this.#playback);
    const listen = part(this, "listen");
    this.dataset.playing = String(playback.playing);
    this.dataset.waiting = String(playback.waiting);
    part(listen, "listen-text").textContent = playback.playing ? listen.dataset.pause : listen.dataset.listen;
    cancelAnimationFrame(this.#frame);
    this.#follow();
  }

  #follow = () => {
    const playback = /** @type {SegmentPlayback} */ (this.#playback);
    const total = this.#original?.duration || 1;
    const x = (playback.position / total) * part(this, "paint").clientWidth;
    part(this, "heard").style.transform = `translateX(${x}px)`;
    this.#frame = playback.playing ? requestAnimationFrame(this.#follow) : 0;
  };
}
