/** Shows the player that plays on the lock screen and to media keys. */

/**
 * @typedef {object} Controlled
 * @property {number} position
 * @property {number} duration
 * @property {boolean} playing
 * @property {() => unknown} play
 * @property {() => void} pause
 * @property {(seconds: number) => void} seek
 */

const STEP_SECONDS = 5;
/** @type {Controlled|null} */
let owner = null;

/**
 * Media keys act on this player from now on.
 * @param {Controlled} player
 * @param {string} title
 */
export function claim(player, title) {
  const session = navigator.mediaSession;
  if (!session) return;
  owner = player;
  session.metadata = new MediaMetadata({ title });
  const by = (/** @type {number} */ sign) => (/** @type {MediaSessionActionDetails} */ details) =>
    player.seek(player.position + sign * (details.seekOffset ?? STEP_SECONDS));
  /** @type {Partial<Record<MediaSessionAction, MediaSessionActionHandler>>} */
  const actions = {
    play: () => player.play(),
    pause: () => player.pause(),
    seekbackward: by(-1),
    seekforward: by(1),
    seekto: (details) => player.seek(details.seekTime ?? 0),
  };
  for (const [action, handler] of Object.entries(actions)) {
    try {
      session.setActionHandler(/** @type {MediaSessionAction} */ (action), handler);
    } catch {
      // A browser may not know all of them.
    }
  }
}

/** @param {Controlled} player has changed */
export function update(player) {
  const session = navigator.mediaSession;
  if (!session || owner !== player) return;
  session.playbackState = player.playing ? "playing" : "paused";
  const { duration } = player;
  if (duration > 0) {
    session.setPositionState?.({ duration, position: Math.min(player.position, duration), playbackRate: 1 });
  }
}

/** @param {Controlled} player is gone */
export function leave(player) {
  if (owner !== player) return;
  owner = null;
  navigator.mediaSession.metadata = null;
  navigator.mediaSession.playbackState = "none";
}
