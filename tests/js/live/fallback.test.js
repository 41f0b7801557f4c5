import assert from "node:assert/strict";
import { test } from "node:test";

import { CAP_MS } from "../../../denoise_relay/static/denoise_relay/backoff.js";
import { Connection } from "../../../denoise_relay/static/denoise_relay/live/connection.js";
import { SOCKET_TRIES, STREAM_TRIES } from "../../../denoise_relay/static/denoise_relay/live/fallback.js";
import { LoneRoute } from "../../../denoise_relay/static/denoise_relay/live/routes.js";
import { TIMES } from "../../../denoise_relay/static/denoise_relay/live/transports.js";
import { JOB, Network, done, frame, settle } from "../fakes.js";
import { SOON, failSockets, live, watching } from "./harness.js";

async function polling() {
  const it = watching();
  await failSockets(it.network);
  for (let i = 0; i < STREAM_TRIES; i += 1) {
    it.network.stream.onerror();
    await it.clock.pass(3 * SOON);
  }
  return it;
}

test("being offline teaches nothing about sockets: no fallback", async () => {
  const { network } = watching();
  network.isOnline = false;
  network.chance = 0.01;
  await failSockets(network, 6);
  assert.equal(network.sockets.length, 7);
  assert.equal(network.streams.length, 0);
  assert.equal(network.fetched.length, 0);
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

test("streams that fail too give way to polling", async () => {
  const { network, clock, seen } = await polling();
  assert.equal(network.streams.length, STREAM_TRIES);
  network.answer = () => ({ status: 200, body: frame(4) });
  await clock.pass(CAP_MS);
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
  await clock.pass(TIMES.probe + CAP_MS);
  assert.ok(network.sockets.length > before);
});

test("a server error while polling is retried, never taken for an end", async () => {
  const { network, clock, seen } = await polling();
  network.answer = () => ({ status: 503, body: null });
  const before = network.fetched.length;
  await clock.pass(2 * CAP_MS);
  assert.ok(network.fetched.length > before);
  assert.ok(!seen.states.includes("gone"));
});
