/**
 * Hands each job on the page to a connection: a lone job gets a socket of its own, several
 * share one. However many elements a page has, it opens two sockets at the most (per hundred).
 */

import { browser } from "./browser.js";
import { Connection } from "./connection.js";
import { LoneRoute, SharedRoute } from "./routes.js";

/** What the server allows on one shared socket (MAX_WATCHES). */
const SHARED_LIMIT = 100;

export class Watchers {
  #env;
  #lone = null;
  /** @type {Set<{route: SharedRoute, connection: Connection}>} */
  #shared = new Set();
  /** @type {Set<object>} */
  #waiting = new Set();

  /** @param {() => import("./browser.js").Environment} env */
  constructor(env = browser) {
    this.#env = env;
  }

  /**
   * Watch a job until it ends or until the returned function is called.
   * @param {import("./routes.js").Watcher} watcher
   * @param {{sharedUrl: string, shared?: boolean}} options `shared`: never alone
   * @returns {() => void}
   */
  watch(watcher, { sharedUrl, shared = false }) {
    const request = { watcher, sharedUrl, shared, leave: () => {} };
    // All elements of a page upgrade in one go; only then is it known how many there are.
    if (this.#waiting.size === 0) queueMicrotask(() => this.#assign());
    this.#waiting.add(request);
    return () => {
      this.#waiting.delete(request);
      request.leave();
    };
  }

  #assign() {
    const requests = [...this.#waiting];
    this.#waiting.clear();
    const alone = requests.length === 1 && this.#lone === null && this.#shared.size === 0;
    for (const request of requests) {
      request.leave = alone && !request.shared ? this.#watchAlone(request) : this.#join(request);
    }
  }

  #watchAlone({ watcher }) {
    const connection = new Connection(
      new LoneRoute(watcher),
      (state) => {
        if (state === "gone" || state === "stopped") this.#lone = null;
        if (state !== "stopped") watcher.link(state);
      },
      this.#env(),
    );
    this.#lone = connection;
    connection.start();
    return () => connection.stop();
  }

  #join({ watcher, sharedUrl }) {
    const hub =
      [...this.#shared].find(({ route }) => route.has(watcher.job) || route.size < SHARED_LIMIT) ??
      this.#openShared(sharedUrl);
    hub.route.add(watcher);
    hub.connection.start();
    return () => {
      hub.route.remove(watcher);
      if (hub.route.finished()) hub.connection.stop();
    };
  }

  #openShared(url) {
    const route = new SharedRoute(url);
    const hub = { route, connection: null };
    hub.connection = new Connection(
      route,
      (state) => {
        if (state === "gone" || state === "stopped") this.#shared.delete(hub);
        if (state !== "stopped") route.link(state);
      },
      this.#env(),
    );
    this.#shared.add(hub);
    return hub;
  }
}

/** The page's own. */
export const watchers = new Watchers();
