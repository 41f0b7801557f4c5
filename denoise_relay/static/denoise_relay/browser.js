/**
 * The parts of the browser that `Connection` leans on, in one object, so that tests can give
 * it a clock of their own and transports that fail on demand.
 */

const FETCH_MS = 10_000;

/**
 * @typedef {object} Environment
 * @property {(callback: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: unknown) => void} clearTimeout
 * @property {() => number} random in [0, 1)
 * @property {() => boolean} online false only when the browser is sure that there is no network
 * @property {() => boolean} visible
 * @property {(path: string) => WebSocket} openSocket
 * @property {(path: string) => EventSource} openStream
 * @property {(path: string) => Promise<{status: number, body: any}>} fetchJson
 * @property {(handlers: Record<string, (event: any) => void>) => () => void} listen to
 *   `online`, `offline`, `visibilitychange`, `pagehide`, `pageshow`; returns how to stop
 */

/** @returns {Environment} */
export function browser() {
  return {
    setTimeout: (callback, ms) => window.setTimeout(callback, ms),
    clearTimeout: (timer) => window.clearTimeout(timer),
    random: Math.random,
    online: () => navigator.onLine !== false,
    visible: () => document.visibilityState === "visible",
    openSocket: (path) => new WebSocket(socketUrl(path)),
    openStream: (path) => new EventSource(path),
    fetchJson,
    listen,
  };
}

/** WebSocket URLs could not be relative until 2024. */
function socketUrl(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

async function fetchJson(path) {
  const response = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(FETCH_MS),
  });
  return { status: response.status, body: response.ok ? await response.json() : null };
}

function listen(handlers) {
  const targetOf = (name) => (name === "visibilitychange" ? document : window);
  for (const [name, handler] of Object.entries(handlers)) {
    targetOf(name).addEventListener(name, handler);
  }
  return () => {
    for (const [name, handler] of Object.entries(handlers)) {
      targetOf(name).removeEventListener(name, handler);
    }
  };
}
