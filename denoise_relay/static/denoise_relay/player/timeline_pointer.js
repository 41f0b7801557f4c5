/** Mouse, pen, fingers and wheel on a time line, as what they mean. */

/** Pixels that a finger may move and still tap. */
const TAP = 6;
const LINE = 16;

/**
 * Fractions are of the element's width, from its left edge.
 * @typedef {object} Meanings
 * @property {(fraction: number, done: boolean) => void} seek `done`: it is where the pointer was let go
 * @property {(factor: number, fraction: number) => void} zoom about a place
 * @property {(fraction: number) => void} pan to what is further right, by so much
 * @property {() => boolean} zoomed whether there is anything to pan
 */

/**
 * @param {HTMLElement} element has `touch-action: pan-y`: the browser scrolls the page, up and down
 * @param {Meanings} meanings
 * @param {AbortSignal} signal ends it
 */
export function listenToPointers(element, meanings, signal) {
  /**
   * Where each pointer is that is down.
   * @type {Map<number, number>}
   */
  const down = new Map();
  // A finger that was put down may be about to scroll the page: it seeks when it moves or is lifted.
  let state = /** @type {"none"|"tap"|"seek"|"pinch"} */ ("none");
  const place = (/** @type {number} */ x) => {
    const { left, width } = element.getBoundingClientRect();
    return (x - left) / (width || 1);
  };
  const spread = () => {
    const [a, b] = [...down.values()];
    return { middle: (a + b) / 2, distance: Math.max(20, Math.abs(a - b)) };
  };
  const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler) =>
    element.addEventListener(name, handler, { signal, passive: false });

  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (down.size < 2) down.set(event.pointerId, event.clientX);
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // Up again already.
    }
    if (down.size === 2) state = "pinch";
    else if (event.pointerType === "touch") state = "tap";
    else {
      state = "seek";
      meanings.seek(place(event.clientX), false);
    }
  });
  on("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (before === undefined) return;
    if (state === "tap" && Math.abs(event.clientX - before) > TAP) state = "seek";
    if (state === "tap") return;
    const last = state === "pinch" && down.size === 2 ? spread() : null;
    down.set(event.pointerId, event.clientX);
    if (state === "seek") meanings.seek(place(event.clientX), false);
    else if (last) {
      const now = spread();
      meanings.pan(place(last.middle) - place(now.middle));
      meanings.zoom(now.distance / last.distance, place(now.middle));
    }
  });
  on("pointerup", (event) => {
    if (down.delete(event.pointerId) && (state === "tap" || state === "seek")) {
      meanings.seek(place(event.clientX), true);
    }
    if (down.size === 0) state = "none";
  });
  on("pointercancel", (event) => {
    const last = down.get(event.pointerId);
    down.delete(event.pointerId);
    if (state === "seek" && last !== undefined) meanings.seek(place(last), true);
    if (down.size === 0) state = "none";
  });
  on("wheel", (event) => {
    const unit = event.deltaMode === 1 ? LINE : 1;
    const across = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    if (event.ctrlKey) {
      event.preventDefault();
      // A notch of a mouse is 100 or more, a step of a touch pad a few.
      const amount = Math.max(-60, Math.min(60, event.deltaY * unit));
      meanings.zoom(Math.exp(-amount / 100), place(event.clientX));
    } else if (meanings.zoomed() && Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
      event.preventDefault();
      meanings.pan((across * unit) / (element.clientWidth || 1));
    }
  });
}
