/** Which key does what. Pure. */

/**
 * @typedef {object} Commands
 * @property {() => void} toggle play or pause
 * @property {(seconds: number) => void} step
 * @property {(end: 0|1) => void} jump to the start or to the end
 * @property {(side: import("./gains.js").Side) => void} select
 * @property {() => void} swap before and after
 * @property {() => void} zoomIn
 * @property {() => void} zoomOut
 * @property {() => void} help
 */

const STEP_SECONDS = 5;
const FINE_STEP_SECONDS = 1;

/**
 * What a key press means; null if nothing, or if the element that has the focus uses it itself.
 * @param {KeyboardEvent} event
 * @param {Commands} commands
 * @returns {(() => void)|null}
 */
export function commandOf(event, commands) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return null;
  const { key } = event;
  const used = event.target instanceof Element ? keysOf(event.target) : [];
  if (used.some((it) => key.startsWith(it))) return null;
  const step = event.shiftKey ? FINE_STEP_SECONDS : STEP_SECONDS;
  /** @type {Record<string, () => void>} */
  const table = {
    " ": commands.toggle,
    ArrowLeft: () => commands.step(-step),
    ArrowRight: () => commands.step(step),
    Home: () => commands.jump(0),
    End: () => commands.jump(1),
    1: () => commands.select("original"),
    2: () => commands.select("denoised"),
    3: () => commands.select("removed"),
    m: () => commands.select("mix"),
    b: commands.swap,
    "+": commands.zoomIn,
    "=": commands.zoomIn,
    "-": commands.zoomOut,
    "?": commands.help,
  };
  return table[key.length === 1 ? key.toLowerCase() : key] ?? null;
}

/**
 * The beginnings of the keys that an element needs. A radio button that is chosen does nothing with
 * space, and the time line's range would move by steps of its own.
 * @param {Element} target
 */
function keysOf(target) {
  if (target.matches("input[type=radio]")) return ["Arrow"];
  if (target.matches("input[type=range]:not([data-part=seek])")) return ["Arrow", "Home", "End", "Page"];
  return target.closest("button, a, summary, input[type=checkbox], select") ? [" ", "Enter"] : [];
}
