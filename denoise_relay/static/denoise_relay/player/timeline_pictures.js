/**
 * What a time line shows: the waveforms, the overview, the spectrograms, the playhead. While it plays,
 * only transforms change; pictures are drawn when the waveform, the zoom, the colours or the size
 * change, and once in a while when the view scrolls on.
 */

import { part } from "../parts.js";
import { drawRuler, drawShape, scaleOf, surface } from "./waveform_canvas.js";

/** @typedef {import("./waveform_data.js").WaveformData} WaveformData */

export class TimelinePictures {
  /** @type {WaveformData|null} */
  original = null;
  /** @type {WaveformData|null} */
  denoised = null;
  #root;
  #view;
  #parts;
  /** @type {HTMLCanvasElement} */
  #canvas;
  /** @type {HTMLImageElement[]} */
  #spectrograms;
  /** Pixels of the time line and of the overview, measured when they change: not with each frame. */
  #width = 0;
  #stripWidth = 0;
  /** The stretch that is on the canvas, in seconds; it begins before the view, and ends after it. */
  #drawn = { from: 0, to: 0, span: -1 };

  /**
   * @param {HTMLElement} root
   * @param {import("./time_view.js").TimeView} view
   */
  constructor(root, view) {
    this.#root = root;
    this.#view = view;
    this.#canvas = part(root, "waveform").querySelector("canvas");
    this.#spectrograms = [...root.querySelectorAll("img")];
    const names = ["overview", "shown", "playhead", "zoom-in", "zoom-out"];
    this.#parts = Object.fromEntries(names.map((name) => [name, part(root, name)]));
  }

  /** Nothing that is drawn is right any more: another size, other colours, other waveforms. */
  forget() {
    this.#drawn.span = -1;
  }

  /** Draw what has to be. */
  show(/** @type {number} */ position) {
    if (this.#drawn.span < 0) {
      this.#width = part(this.#root, "waveform").clientWidth;
      this.#stripWidth = this.#parts.overview.clientWidth;
      this.#drawOverview();
    }
    this.place(position);
    this.#scroll();
  }

  /** Only the playhead moved. */
  place(/** @type {number} */ position) {
    move(this.#parts.playhead, this.#view.fraction(position) * this.#width);
  }

  #scroll() {
    const { start, span, duration } = this.#view;
    if (!this.#width || !span) return;
    if (span !== this.#drawn.span) this.#showZoom();
    if (span !== this.#drawn.span || start < this.#drawn.from || start + span > this.#drawn.to) this.#draw();
    const second = this.#width / span;
    const round = (/** @type {number} */ x) => Math.round(x * devicePixelRatio) / devicePixelRatio;
    move(this.#canvas, round((this.#drawn.from - start) * second));
    for (const picture of this.#spectrograms) move(picture, -start * second, `scaleX(${duration / span})`);
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
    const scale = scaleOf(this.original, this.denoised);
    const { outlineColor, color } = target.style;
    if (this.original) drawShape(target, this.original, { ...stretch, scale, color: outlineColor });
    if (this.denoised) drawShape(target, this.denoised, { ...stretch, scale, color });
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
