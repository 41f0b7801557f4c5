/**
 * The time line of a player: two waveforms and two spectrograms, a playhead, zoom, and a slider for
 * keys and screen readers. The markup is `_timeline.html`; the look is `waveform.css`.
 */

import { clock, fill } from "../format.js";
import { part } from "../parts.js";
import { TimeView } from "./time_view.js";
import { TimelinePictures } from "./timeline_pictures.js";
import { listenToPointers } from "./timeline_pointer.js";
import { watchLook } from "./waveform_canvas.js";

/** @typedef {import("./waveform_data.js").WaveformData} WaveformData */

const STEP = 5;
const SMALL_STEP = 1;
const LARGE_STEP = 30;
const ZOOM_STEP = 2;
/** Of seeking while a pointer is dragged. */
const SEEK_MS = 100;

export class Timeline {
  #root;
  #onSeek;
  /** @type {HTMLElement} */
  #slider;
  #view = new TimeView();
  #pictures;
  #position = 0;
  #frame = 0;
  #dragging = false;
  #sought = 0;
  #glides = true;
  /** @type {AbortController|null} */
  #listeners = null;

  /**
   * @param {HTMLElement} root the element with `data-part="waveform"`, in a `data-part="timeline"`
   * @param {{onSeek: (seconds: number) => void}} options
   */
  constructor(root, { onSeek }) {
    this.#root = /** @type {HTMLElement} */ (root.closest('[data-part="timeline"]'));
    this.#slider = /** @type {HTMLElement} */ (root.querySelector('[role="slider"]'));
    this.#pictures = new TimelinePictures(this.#root, this.#view);
    this.#onSeek = onSeek;
  }

  connect() {
    if (this.#listeners) return;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const lanes = part(this.#root, "lanes");
    const pan = (/** @type {number} */ fraction) => this.#scrollTo(this.#view.start + fraction * this.#view.span);
    listenToPointers(
      lanes,
      {
        seek: (fraction, done) => this.#drag(this.#view.seconds(fraction), done),
        zoom: (factor, fraction) => this.#zoom(factor, this.#view.seconds(fraction)),
        pan,
        zoomed: () => this.#view.zoomed,
      },
      signal,
    );
    const seek = (/** @type {number} */ fraction) =>
      this.#scrollTo(fraction * this.#view.duration - this.#view.span / 2);
    listenToPointers(part(this.#root, "overview"), { seek, pan, zoom() {}, zoomed: () => true }, signal);
    this.#root.addEventListener("keydown", (event) => this.#key(event), { signal });
    part(this.#root, "zoom-in").addEventListener("click", () => this.zoomIn(), { signal });
    part(this.#root, "zoom-out").addEventListener("click", () => this.zoomOut(), { signal });
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const readMotion = () => (this.#glides = !still.matches);
    still.addEventListener("change", readMotion, { signal });
    readMotion();
    watchLook(lanes, () => this.#redraw(), signal);
    this.#say();
    this.#redraw();
  }

  disconnect() {
    this.#listeners?.abort();
    this.#listeners = null;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /** @param {number} seconds */
  setDuration(seconds) {
    if (seconds === this.#view.duration || !Number.isFinite(seconds)) return;
    this.#view.setDuration(seconds);
    this.#slider.setAttribute("aria-valuemax", String(Math.round(seconds * 10) / 10));
    this.#say();
    this.#redraw();
  }

  /**
   * @param {WaveformData|null} original
   * @param {WaveformData|null} denoised
   */
  setWaveforms(original, denoised) {
    Object.assign(this.#pictures, { original, denoised });
    this.#redraw();
  }

  /** Load the spectrograms, which the server has by now. One that cannot be loaded takes no room. */
  showSpectrograms() {
    part(this.#root, "spectrogram").hidden = false;
    for (const picture of this.#root.querySelectorAll("img")) {
      const figure = /** @type {HTMLElement} */ (picture.closest("figure"));
      picture.onerror = () => (figure.hidden = true);
      picture.src ||= picture.dataset.src ?? "";
    }
  }

  /** Where it plays: may be called with each frame. @param {number} seconds */
  setPosition(seconds) {
    if (!this.#dragging) this.#moveTo(seconds);
  }

  /** @param {string} side `original`, `denoised`, `removed` or `mix`, which changes the colours */
  setSide(side) {
    if (this.#root.dataset.side === side) return;
    this.#root.dataset.side = side;
    this.#redraw();
  }

  zoomIn() {
    this.#zoom(ZOOM_STEP, this.#middle());
  }

  zoomOut() {
    this.#zoom(1 / ZOOM_STEP, this.#middle());
  }

  /** The playhead, or the middle while it is not in view. */
  #middle() {
    return this.#view.shows(this.#position) ? this.#position : this.#view.seconds(0.5);
  }

  /**
   * @param {number} factor
   * @param {number} at
   */
  #zoom(factor, at) {
    this.#view.zoom(factor, at);
    this.#change();
  }

  /** @param {number} start */
  #scrollTo(start) {
    this.#view.scrollTo(start);
    this.#change();
  }

  /**
   * @param {number} seconds
   * @param {boolean} done
   */
  #drag(seconds, done) {
    if (!this.#view.duration) return;
    this.#dragging = !done;
    this.#moveTo(seconds);
    const now = performance.now();
    if (!done && now - this.#sought < SEEK_MS) return;
    this.#sought = now;
    this.#onSeek(seconds);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { duration } = this.#view;
    const step = event.shiftKey ? SMALL_STEP : STEP;
    /** @type {Record<string, number>} */
    const places = {
      ArrowRight: this.#position + step,
      ArrowUp: this.#position + step,
      ArrowLeft: this.#position - step,
      ArrowDown: this.#position - step,
      PageUp: this.#position + LARGE_STEP,
      PageDown: this.#position - LARGE_STEP,
      Home: 0,
      End: duration,
    };
    if (event.key === "+" || event.key === "=") this.zoomIn();
    else if (event.key === "-") this.zoomOut();
    else if (event.target === this.#slider && event.key in places) {
      this.#drag(Math.min(Math.max(0, places[event.key]), duration), true);
    } else return;
    event.preventDefault();
  }

  /** @param {number} seconds */
  #moveTo(seconds) {
    const before = this.#position;
    if (seconds === before) return;
    this.#position = seconds;
    const { start } = this.#view;
    this.#view.follow(before, seconds, this.#glides);
    if (Math.floor(seconds) !== Math.floor(before)) this.#say();
    if (start === this.#view.start) this.#pictures.place(seconds);
    else this.#pictures.show(seconds);
  }

  #say() {
    const { duration } = this.#view;
    const text = this.#root.dataset.text ?? "{now}";
    this.#slider.setAttribute("aria-valuenow", String(Math.floor(Math.min(this.#position, duration))));
    this.#slider.setAttribute("aria-valuetext", fill(text, { now: clock(this.#position), total: clock(duration) }));
  }

  #redraw() {
    this.#pictures.forget();
    this.#change();
  }

  /** Bring what changed to the screen with the next frame. */
  #change() {
    if (!this.#listeners) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#pictures.show(this.#position);
    });
  }
}
