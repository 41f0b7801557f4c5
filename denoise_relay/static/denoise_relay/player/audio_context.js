/** The AudioContext that all players of a page share. It runs while one of them plays. */

/** What was played last is still on its way to the loudspeaker. */
const LINGER_MS = 500;
/** A context that has not begun by then will not: there is no sound device, for one. */
const START_MS = 3000;

/** @type {AudioContext|null} */
let context = null;
/** @type {Set<object>} */
const users = new Set();

export const hasWebAudio = "AudioContext" in globalThis;

/** Make it with the first click on play: browsers let none begin before. */
export function sharedContext() {
  context ??= new AudioContext({ latencyHint: "interactive" });
  return context;
}

/**
 * Let it run for one player. Call it in the handler of a click, before anything is awaited.
 * @param {object} user
 * @returns {Promise<void>} rejects when it does not begin to run
 */
export async function resume(user) {
  users.add(user);
  const shared = sharedContext();
  // Safari: play also when the switch for silence is on, as other players do.
  const session = /** @type {any} */ (navigator).audioSession;
  if (session) session.type = "playback";
  const late = new Promise((_resolve, reject) => {
    setTimeout(() => reject(new DOMException("No sound device.", "TimeoutError")), START_MS);
  });
  await Promise.race([shared.resume(), late]);
}

/** @param {object} user plays no more */
export function release(user) {
  users.delete(user);
  setTimeout(() => {
    if (users.size === 0) context?.suspend();
  }, LINGER_MS);
}
