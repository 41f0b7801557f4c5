/**
 * The time line of a player: two waveforms and two spectrograms, a playhead, zoom, and a slider for
 * keys and screen readers. The markup is `_timeline.html`; the look is `waveform.css`.
 *
 * While it plays, only transforms change; pictures are drawn when the waveform, the zoom, the colours or
 * the size change, and once in a while when the view scrolls on.
 */

import { clock, fill } from "../format.js";
import { part } from "../parts.js";
import { listenToPointers } from "./timeline_pointer.js";
import { TimeView } from "./time_view.js";
import { drawRuler, drawShape, scaleOf, surface, watchLook } from "./waveform_canvas.js";

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
  /** @type {HTMLCanvasElement} */
  #canvas;
  /** @type {HTMLImageElement[]} */
  #pictures;
  #parts;
  #view = new TimeView();
  /** @type {WaveformData|null} */
  #original = null;
  /** @type {WaveformData|null} */
  #denoised = null;
  #position = 0;
  /** Pixels of the time line and of the overview, measured when they change: not with each frame. */
  #width = 0;
  #stripWidth = 0;
  #glides = true;
  /** The stretch that is on the canvas, in seconds; it begins before the view, and ends after it. */
  #drawn = { from: 0, to: 0, span: -1 };
  #frame = 0;
  #dragging = false;
  #sought = 0;
  /** @type {AbortController|null} */
  #listeners = null;

  /**
   * @param {HTMLElement} root the element with `data-part="waveform"`, in a `data-part="timeline"`
   * @param {{onSeek: (seconds: number) => void}} options
   */
  constructor(root, { onSeek }) {
    this.#root = /** @type {HTMLElement} */ (root.closest('[data-part="timeline"]'));
    this.#onSeek = onSeek;
    this.#slider = /** @type {HTMLElement} */ (root.querySelector('[role="slider"]'));
    this.#canvas = /** @type {HTMLCanvasElement} */ (this.#slider.querySelector("canvas"));
    this.#pictures = [...this.#root.querySelectorAll("img")];
    const names = ["lanes", "overview", "shown", "playhead", "zoom-in", "zoom-out", "spectrogram"];
    this.#parts = Object.fromEntries(names.map((name) => [name, part(this.#root, name)]));
  }

  connect() {
    if (this.#listeners) return;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const { lanes, overview, "zoom-in": closer, "zoom-out": wider } = this.#parts;
    const seek = (/** @type {number} */ fraction, /** @type {boolean} */ done) =>
      this.#drag(this.#view.seconds(fraction), done);
    const pan = (/** @type {number} */ fraction) => {
      this.#view.scrollTo(this.#view.start + fraction * this.#view.span);
      this.#change();
    };
    listenToPointers(
      lanes,
      { seek, pan, zoom: (factor, at) => this.#zoom(factor, this.#view.seconds(at)), zoomed: () => this.#view.zoomed },
      signal,
    );
    const scroll = (/** @type {number} */ fraction) => {
      this.#view.scrollTo(fraction * this.#view.duration - this.#view.span / 2);
      this.#change();
    };
    listenToPointers(overview, { seek: scroll, pan, zoom() {}, zoomed: () => true }, signal);
    this.#root.addEventListener("keydown", (event) => this.#key(event), { signal });
    closer.addEventListener("click", () => this.zoomIn(), { signal });
    wider.addEventListener("click", () => this.zoomOut(), { signal });
    for (const picture of this.#pictures) {
      picture.addEventListener("error", () => this.#without(picture), { signal });
    }
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
    this.#original = original;
    this.#denoised = denoised;
    this.#redraw();
  }

  /** Load the pictures, which the server has by now. */
  showSpectrograms() {
    this.#parts.spectrogram.hidden = false;
    for (const picture of this.#pictures) picture.src ||= picture.dataset.src ?? "";
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

  /** @param {HTMLImageElement} picture that could not be loaded */
  #without(picture) {
    /** @type {HTMLElement} */ (picture.closest("figure")).hidden = true;
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
    this.#place(start !== this.#view.start);
  }

  #say() {
    const { duration } = this.#view;
    const text = this.#root.dataset.text ?? "{now}";
    this.#slider.setAttribute("aria-valuenow", String(Math.floor(Math.min(this.#position, duration))));
    this.#slider.setAttribute("aria-valuetext", fill(text, { now: clock(this.#position), total: clock(duration) }));
  }

  /** The pictures are not right any more. */
  #redraw() {
    this.#drawn.span = -1;
    this.#change();
  }

  /** What is shown changed: bring it to the screen with the next frame. */
  #change() {
    if (!this.#listeners) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#drawn.span < 0) {
        this.#width = this.#slider.clientWidth;
        this.#stripWidth = this.#parts.overview.clientWidth;
        this.#glides = !matchMedia("(prefers-reduced-motion: reduce)").matches;
        this.#drawOverview();
      }
      this.#place(true);
    });
  }

  /** @param {boolean} scrolled whether more than the playhead moved */
  #place(scrolled) {
    move(this.#parts.playhead, this.#view.fraction(this.#position) * this.#width);
    const { start, span, duration } = this.#view;
    if (!scrolled || !this.#width || !span) return;
    if (span !== this.#drawn.span) this.#showZoom();
    if (span !== this.#drawn.span || start < this.#drawn.from || start + span > this.#drawn.to) this.#draw();
    const second = this.#width / span;
    const round = (/** @type {number} */ x) => Math.round(x * devicePixelRatio) / devicePixelRatio;
    move(this.#canvas, round((this.#drawn.from - start) * second));
    for (const picture of this.#pictures) move(picture, -start * second, `scaleX(${duration / span})`);
    move(this.#parts.shown, (start / duration) * this.#stripWidth);
  }

  #showZoom() {
    const { span, duration, zoomed, closest } = this.#view;
    const { shown, "zoom-in": closer, "zoom-out": wider } = this.#parts;
    this.#root.toggleAttribute("data-zoomed", zoomed);
    shown.style.inlineSize = `${(span / duration) * 100}%`;
    closer.setAttribute("aria-disabled", String(closest));
    wider.setAttribute("aria-disabled", String(!zoomed));
  }

  /** Draw more than is shown, so that scrolling a little draws nothing. */
  #draw() {
    const { start, span, duration, zoomed } = this.#view;
    this.#canvas.style.inlineSize = zoomed ? "200%" : "100%";
    const target = surface(this.#canvas);
    if (!target) return;
    const length = zoomed ? span * 2 : span;
    // A multiple of a column: the shape does not flicker while it scrolls.
    const column = length / target.width;
    const from = zoomed ? Math.floor((start - span / 8) / column) * column : 0;
    this.#drawn = { from, to: from + length, span };
    const below = drawRuler(target, { from, to: from + length, until: duration });
    this.#drawBoth(target, { from, to: from + length, below });
  }

  #drawOverview() {
    const target = surface(this.#parts.overview.querySelector("canvas"));
    if (target) this.#drawBoth(target, { from: 0, to: this.#view.duration });
  }

  /**
   * @param {import("./waveform_canvas.js").Surface} target
   * @param {{from: number, to: number, below?: number}} stretch
   */
  #drawBoth(target, stretch) {
    if (stretch.to <= stretch.from) return;
    const scale = scaleOf(this.#original, this.#denoised);
    const { outlineColor, color } = target.style;
    if (this.#original) drawShape(target, this.#original, { ...stretch, scale, color: outlineColor });
    if (this.#denoised) drawShape(target, this.#denoised, { ...stretch, scale, color });
  }
}

/**
 * @param {HTMLElement} element
 * @param {number} x pixels
 * @param {string} more
 */
function move(element, x, more = "") {
  element.style.transform = `translateX(${x}px) ${more}`;
}
