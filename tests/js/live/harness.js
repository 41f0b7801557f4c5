/** One job over one connection, over a network and a clock of the test's own. */

import { Connection } from "../../../denoise_relay/static/denoise_relay/live/connection.js";
import { SOCKET_TRIES } from "../../../denoise_relay/static/denoise_relay/live/fallback.js";
import { LoneRoute } from "../../../denoise_relay/static/denoise_relay/live/routes.js";
import { JOB, Network } from "../fakes.js";

/** One job over one connection; what it saw is in `seen`. */
export function watching({ seq = 0 } = {}) {
  const network = new Network();
  const seen = { frames: [], states: [], seq, ended: false };
  const take = (news) => {
    if (news.seq <= seen.seq) return;
    seen.frames.push(news.seq);
    seen.seq = news.seq;
    seen.ended ||= news.stage !== "processing";
  };
  const watcher = {
    job: JOB,
    socketUrl: "/ws/denoise/x/",
    eventsUrl: "/jobs/x/events/",
    statusUrl: "/jobs/x/status/",
    seq: () => seen.seq,
    ended: () => seen.ended,
    frame: take,
    snapshot: take,
  };
  const connection = new Connection(
    new LoneRoute(watcher),
    (state) => seen.states.push(state),
    network.environment(),
  );
  connection.start();
  return { network, clock: network.clock, connection, seen };
}

/** Open, and the first pong: the line is proven. */
export function live(network) {
  network.socket.opens();
  network.socket.says({ pong: 1 });
}

/** Long enough for the first few back-offs, too short for any other clock to strike. */
export const SOON = 5_000;

export async function failSockets(network, times = SOCKET_TRIES) {
  for (let i = 0; i < times; i += 1) {
    network.socket.closes(1006);
    await network.clock.pass(SOON);
  }
}
