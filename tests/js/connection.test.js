import assert from "node:assert/strict";
import { test } from "node:test";

import {
  backoff,
  Connection,
  SOCKET_TRIES,
  STREAM_TRIES,
  TIMES,
} from "../../denoise_relay/static/denoise_relay/connection.js";
import { LoneRoute } from "../../denoise_relay/static/denoise_relay/routes.js";
import { done, frame, JOB, Network, settle } from "./fakes.js";

/** One job over one connection; what it saw is in `seen`. */
function watching({ seq = 0 } = {}) {
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
function live(network) {
  network.socket.opens();
  network.socket.says({ pong: 1 });
}

/** Long enough for the first few back-offs, too short for any other clock to strike. */
const SOON = 5_000;

async function failSockets(network, times = SOCKET_TRIES) {
  for (let i = 0; i < times; i += 1) {
    network.socket.closes(1006);
    await network.clock.pass(SOON);
  }
}

test("starts with a socket that resumes after what the page shows", () => {
  const { network } = watching({ seq: 7 });
  assert.equal(network.socket.path, "/ws/denoise/x/?after=7");
});

test("frames arrive, and the end stops everything", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(1));
  network.socket.says(done(2));
  assert.deepEqual(seen.frames, [1, 2]);
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(clock.pending, 0);
  assert.equal(network.listening, false);
  await clock.pass(10 * TIMES.cap);
  assert.equal(network.sockets.length, 1);
});

test("reconnects after a cut, from where it was", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(3));
  network.socket.closes(1006);
  await clock.pass(TIMES.base);
  assert.equal(network.sockets.length, 2);
  assert.equal(network.socket.path, "/ws/denoise/x/?after=3");
  live(network);
  network.socket.says(frame(4));
  assert.deepEqual(seen.frames, [3, 4]);
});

test("says reconnecting after a second, not for a blink", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.closes(1006);
  await clock.pass(TIMES.base * 0.6);
  live(network);
  await clock.pass(TIMES.quiet * 3);
  assert.ok(!seen.states.includes("reconnecting"));
  network.chance = 0.99;
  network.socket.closes(1006);
  await clock.pass(TIMES.quiet - 20);
  assert.ok(!seen.states.includes("reconnecting"));
  await clock.pass(40);
  assert.equal(seen.states.at(-1), "reconnecting");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("backs off exponentially with full jitter, capped", () => {
  const most = [0, 1, 2, 3, 4, 5, 6, 40].map((n) => backoff(n, () => 1));
  assert.deepEqual(most, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  assert.equal(backoff(5, () => 0), 0);
  assert.equal(backoff(2, () => 0.25), 1000);
});

test("each failure waits longer; something heard starts over", async () => {
  const { network, clock } = watching();
  network.chance = 0.999;
  const waits = [];
  const lose = async () => {
    const before = network.sockets.length;
    const from = clock.now;
    network.socket.closes(1006);
    while (network.sockets.length === before) await clock.pass(100);
    waits.push(Math.round((clock.now - from) / 1000));
  };
  await lose();
  await lose();
  live(network);
  await lose();
  assert.deepEqual(waits, [1, 2, 1]);
});

test("pings every 20 s and takes any message for an answer", async () => {
  const { network, clock } = watching();
  live(network);
  assert.equal(network.socket.pings, 1);
  await clock.pass(TIMES.ping);
  assert.equal(network.socket.pings, 2);
  network.socket.says(frame(1));
  await clock.pass(TIMES.pong + 1);
  assert.equal(network.sockets.length, 1);
  assert.equal(network.socket.closedWith, null);
});

test("a dead socket is found by the missing pong and replaced", async () => {
  const { network, clock, seen } = watching();
  live(network);
  const dead = network.socket;
  await clock.pass(TIMES.ping + TIMES.pong + TIMES.base);
  assert.equal(dead.closedWith, 1000);
  assert.equal(network.sockets.length, 2);
  // Its late words count no more.
  dead.says(frame(9));
  assert.deepEqual(seen.frames, []);
});

test("a socket that never opens is given up", async () => {
  const { network, clock } = watching();
  await clock.pass(TIMES.open + TIMES.base);
  assert.equal(network.sockets.length, 2);
});

test("a socket given up while connecting is closed once it opens", async () => {
  const { network, clock } = watching();
  const slow = network.socket;
  await clock.pass(TIMES.open);
  assert.equal(slow.closedWith, null);
  slow.opens();
  assert.equal(slow.closedWith, 1000);
});

test("online and visible reconnect at once", async () => {
  for (const name of ["online", "visibilitychange"]) {
    const { network, clock } = watching();
    network.chance = 0.999;
    await failSockets(network, 2);
    live(network);
    network.socket.closes(1006);
    const before = network.sockets.length;
    network.emit(name);
    assert.equal(network.sockets.length, before + 1, name);
    assert.ok(clock.pending > 0);
  }
});

test("a hidden page does not wake up", async () => {
  const { network } = watching();
  live(network);
  network.socket.closes(1006);
  network.isVisible = false;
  network.emit("visibilitychange");
  assert.equal(network.sockets.length, 1);
});

test("coming back to a live socket checks it with a ping", async () => {
  const { network, clock } = watching();
  live(network);
  const { pings } = network.socket;
  network.emit("visibilitychange");
  assert.equal(network.socket.pings, pings + 1);
  network.emit("visibilitychange");
  assert.equal(network.socket.pings, pings + 1, "one question at a time");
  await clock.pass(TIMES.pong + TIMES.base);
  assert.equal(network.sockets.length, 2);
});

test("offline cuts at once, and online heals", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.isOnline = false;
  network.emit("offline");
  network.chance = 0.999;
  await clock.pass(TIMES.quiet);
  assert.equal(seen.states.at(-1), "reconnecting");
  network.isOnline = true;
  network.socket.closes(1006);
  network.emit("online");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("being offline teaches nothing about sockets: no fallback", async () => {
  const { network } = watching();
  network.isOnline = false;
  network.chance = 0.01;
  await failSockets(network, 6);
  assert.equal(network.sockets.length, 7);
  assert.equal(network.streams.length, 0);
  assert.equal(network.fetched.length, 0);
});

test("4404 stops for good and says so", async () => {
  const { network, clock, seen } = watching();
  network.socket.opens();
  network.socket.closes(4404);
  assert.equal(seen.states.at(-1), "gone");
  network.emit("online");
  await clock.pass(10 * TIMES.cap);
  assert.equal(network.sockets.length, 1);
});

test("1000 before the end asks the status, then reconnects", async () => {
  const { network, clock, seen } = watching();
  network.answer = () => ({ status: 200, body: frame(5) });
  live(network);
  network.socket.closes(1000);
  await settle();
  assert.deepEqual(network.fetched, ["/jobs/x/status/"]);
  assert.deepEqual(seen.frames, [5]);
  await clock.pass(TIMES.base);
  assert.equal(network.socket.path, "/ws/denoise/x/?after=5");
});

test("1000 before the end, and the status has the end: finished", async () => {
  const { network, clock, seen } = watching();
  network.answer = () => ({ status: 200, body: done(6) });
  live(network);
  network.socket.closes(1000);
  await settle();
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(clock.pending, 0);
});

test("4012 comes back later than a cut would, and is no failure of sockets", async () => {
  const { network, clock } = watching();
  network.chance = 0.999;
  for (let i = 0; i < 5; i += 1) {
    live(network);
    network.socket.closes(4012);
    const before = network.sockets.length;
    await clock.pass(3900);
    assert.equal(network.sockets.length, before);
    await clock.pass(100);
    assert.equal(network.sockets.length, before + 1);
  }
  assert.equal(network.streams.length, 0);
});

test("sockets that fail again and again give way to SSE", async () => {
  const { network, seen } = watching({ seq: 2 });
  await failSockets(network);
  assert.equal(network.sockets.length, SOCKET_TRIES);
  assert.equal(network.stream.path, "/jobs/x/events/?after=2");
  network.stream.onopen();
  assert.equal(seen.states.at(-1), "live");
  network.stream.says(frame(3));
  network.stream.says(done(4));
  assert.deepEqual(seen.frames, [3, 4]);
  assert.equal(seen.states.at(-1), "stopped");
  assert.ok(network.stream.closed);
});

test("a forbidden socket (an exception) is a failure like any other", async () => {
  const network = new Network();
  const environment = network.environment();
  environment.openSocket = () => {
    throw new Error("SecurityError");
  };
  const watcher = {
    job: JOB,
    socketUrl: "/ws/",
    eventsUrl: "/events/",
    statusUrl: "/status/",
    seq: () => 0,
    ended: () => false,
    frame() {},
    snapshot() {},
  };
  new Connection(new LoneRoute(watcher), () => {}, environment).start();
  await network.clock.pass(2 * SOON);
  assert.equal(network.streams.length, 1);
});

test("a silent stream is checked against the status, and dropped when that fails", async () => {
  const { network, clock, seen } = watching();
  network.answer = () => ({ status: 200, body: frame(2) });
  await failSockets(network);
  network.stream.onopen();
  await clock.pass(TIMES.streamSilence);
  assert.deepEqual(seen.frames, [2]);
  assert.equal(network.stream.closed, false);
  network.answer = () => {
    throw new Error("down");
  };
  const first = network.stream;
  await clock.pass(TIMES.streamSilence);
  assert.ok(first.closed);
});

test("a stream that ends with 404 behind it is gone", async () => {
  const { network, seen } = watching();
  await failSockets(network);
  network.answer = () => ({ status: 404, body: null });
  network.stream.onerror();
  await settle();
  assert.equal(seen.states.at(-1), "gone");
});

async function polling() {
  const it = watching();
  await failSockets(it.network);
  for (let i = 0; i < STREAM_TRIES; i += 1) {
    it.network.stream.onerror();
    await it.clock.pass(3 * SOON);
  }
  return it;
}

test("streams that fail too give way to polling", async () => {
  const { network, clock, seen } = await polling();
  assert.equal(network.streams.length, STREAM_TRIES);
  network.answer = () => ({ status: 200, body: frame(4) });
  await clock.pass(TIMES.cap);
  assert.equal(seen.states.at(-1), "live");
  const before = network.fetched.length;
  network.answer = () => ({ status: 200, body: done(5) });
  await clock.pass(TIMES.poll);
  assert.equal(network.fetched.length, before + 1);
  assert.deepEqual(seen.frames, [4, 5]);
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(clock.pending, 0);
});

test("polling gives sockets another chance now and then", async () => {
  const { network, clock } = await polling();
  network.answer = () => ({ status: 200, body: frame(4) });
  const before = network.sockets.length;
  await clock.pass(TIMES.probe + TIMES.cap);
  assert.ok(network.sockets.length > before);
});

test("a server error while polling is retried, never taken for an end", async () => {
  const { network, clock, seen } = await polling();
  network.answer = () => ({ status: 503, body: null });
  const before = network.fetched.length;
  await clock.pass(2 * TIMES.cap);
  assert.ok(network.fetched.length > before);
  assert.ok(!seen.states.includes("gone"));
});

test("what is not JSON, or no object, is passed over", () => {
  const { network, seen } = watching();
  live(network);
  for (const noise of ["<html>", "", "null", "7", "[1]", '"x"']) network.socket.says(noise);
  network.socket.says(frame(1));
  assert.deepEqual(seen.frames, [1]);
});

test("the back/forward cache holds no connection, and returning starts again", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(2));
  network.emit("pagehide", { persisted: true });
  assert.equal(network.socket.closedWith, 1000);
  assert.equal(clock.pending, 0);
  network.emit("pageshow", { persisted: true });
  assert.equal(network.socket.path, "/ws/denoise/x/?after=2");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("a page that is really left keeps its socket to the browser", () => {
  const { network } = watching();
  live(network);
  network.emit("pagehide", { persisted: false });
  assert.equal(network.socket.closedWith, null);
});

test("a watcher that leaves at a frame is not told that it is live", () => {
  const network = new Network();
  const states = [];
  const watcher = {
    job: JOB,
    socketUrl: "/ws/",
    seq: () => 0,
    ended: () => false,
    frame: () => connection.stop(),
  };
  const connection = new Connection(
    new LoneRoute(watcher),
    (state) => states.push(state),
    network.environment(),
  );
  connection.start();
  network.socket.opens();
  network.socket.says(frame(1));
  assert.deepEqual(states, ["stopped"]);
});

test("stop closes and forgets, also in the middle of asking", async () => {
  const { network, clock, connection, seen } = watching();
  let release;
  network.answer = () =>
    new Promise((resolve) => {
      release = () => resolve({ status: 200, body: frame(8) });
    });
  live(network);
  network.socket.closes(1000);
  await settle();
  connection.stop();
  release();
  await clock.pass(10 * TIMES.cap);
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(network.sockets.length, 1);
  assert.equal(clock.pending, 0);
});
