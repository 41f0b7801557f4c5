/** Draws waveforms on a canvas, in the colours and at the sharpness of the page as it is now. */

import { clock } from "../format.js";
import { markEvery } from "./time_view.js";

/** @typedef {import("./waveform_data.js").WaveformData} WaveformData */

/** Below 1, so that quiet parts, where the noise is seen, are taller than in the recording. */
const CURVE = 0.7;
/** Browsers draw nothing on wider canvases. */
const WIDEST = 8192;
const RULER_HEIGHT = 18;
const MARK_DISTANCE = 72;

/**
 * @typedef {object} Surface
 * @property {CanvasRenderingContext2D} context
 * @property {number} width in pixels of the device, as all of it
 * @property {number} height
 * @property {number} ratio pixels of the device for one of the page
 * @property {CSSStyleDeclaration} style of the canvas
 */

/**
 * Make a canvas as sharp as the screen, and empty.
 * @param {HTMLCanvasElement} canvas
 * @returns {Surface|null} null while it is not shown
 */
export function surface(canvas) {
  const { clientWidth, clientHeight } = canvas;
  const context = canvas.getContext("2d");
  if (!context || !clientWidth || !clientHeight) return null;
  const ratio = Math.min(devicePixelRatio || 1, WIDEST / clientWidth);
  // Setting the size empties it.
  canvas.width = Math.round(clientWidth * ratio);
  canvas.height = Math.round(clientHeight * ratio);
  return { context, width: canvas.width, height: canvas.height, ratio, style: getComputedStyle(canvas) };
}

/**
 * What the tallest of these waveforms reaches: the scale for all of them.
 * @param {(WaveformData|null)[]} waveforms
 */
export function scaleOf(...waveforms) {
  // Silence stays flat: its noise is not blown up.
  return Math.max(8, ...waveforms.map((it) => it?.peak ?? 0));
}

/**
 * Draw the shape of a stretch over the whole width.
 * @param {Surface} surface
 * @param {WaveformData} waveform
 * @param {{from: number, to: number, scale: number, color: string, below?: number}} options `from` and `to`
 *   in seconds; `scale` of `scaleOf`; `below`: pixels of the device to leave free at the bottom
 */
export function drawShape({ context, width, height, ratio }, waveform, { from, to, scale, color, below = 0 }) {
  const rate = waveform.pixelsPerSecond;
  const columns = new Float32Array(width * 2);
  waveform.columns(from * rate, to * rate, columns);
  const first = Math.max(0, Math.floor((-from / (to - from)) * width));
  const last = Math.min(width, Math.ceil(((waveform.duration - from) / (to - from)) * width));
  const middle = (height - below) / 2;
  const thin = ratio / 2;
  context.fillStyle = color;
  for (let x = first; x < last; x += 1) {
    const up = reach(columns[x * 2 + 1] / scale, middle, thin);
    const down = reach(-columns[x * 2] / scale, middle, thin);
    context.fillRect(x, middle - up, 1, up + down);
  }
}

/**
 * @param {number} value 0-1; what lies on the other side of zero is drawn as a line
 * @param {number} middle
 * @param {number} thin
 */
function reach(value, middle, thin) {
  return Math.max(thin, Math.min(1, Math.max(0, value)) ** CURVE * (middle - thin));
}

/**
 * Draw times along the bottom.
 * @param {Surface} surface
 * @param {{from: number, to: number, until: number}} options seconds; no marks after `until`
 * @returns {number} pixels of the device that this took
 */
export function drawRuler({ context, width, height, ratio, style }, { from, to, until }) {
  const second = width / (to - from);
  const every = markEvery((MARK_DISTANCE * ratio) / second);
  context.fillStyle = style.caretColor;
  context.font = `${11 * ratio}px ${style.fontFamily}`;
  for (let n = Math.max(0, Math.floor(from / every)); n * every <= Math.min(to, until); n += 1) {
    const x = Math.round((n * every - from) * second);
    const tenths = every < 1 ? `.${Math.round(n * every * 10) % 10}` : "";
    context.fillRect(x, height - 5 * ratio, ratio, 5 * ratio);
    context.fillText(clock(n * every + 0.01) + tenths, x + 4 * ratio, height - 2 * ratio);
  }
  return RULER_HEIGHT * ratio;
}

/**
 * Say when a picture must be drawn again: another size, other colours.
 * @param {Element} element
 * @param {() => void} redraw
 * @param {AbortSignal} signal ends it
 */
export function watchLook(element, redraw, signal) {
  const size = new ResizeObserver(redraw);
  size.observe(element);
  // A site may set its colours by an attribute of the root.
  const root = new MutationObserver(redraw);
  root.observe(document.documentElement, { attributes: true });
  signal.addEventListener("abort", () => {
    size.disconnect();
    root.disconnect();
  });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", redraw, { signal });
  }
  // Moved to another screen, or the page's own zoom.
  addEventListener("resize", redraw, { signal });
}
