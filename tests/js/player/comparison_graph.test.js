import assert from "node:assert/strict";
import { test } from "node:test";

import { ComparisonGraph } from "../../../denoise_relay/static/denoise_relay/player/comparison_graph.js";

/** Computes what a graph would play: each node makes a list of channels of its inputs. */
class Node {
  #inputs = [];

  constructor(process = (channels) => channels) {
    this.process = process;
  }

  connect(target, output, input = 0) {
    target.#inputs.push({ from: this, output, input });
    return target;
  }

  disconnect() {
    this.off = true;
  }

  channels() {
    if (this.off) return [];
    return this.process(this.#inputs.map(({ from, output, input }) => {
      const channels = from.channels();
      return { input, channels: output === undefined ? channels : [channels[output]] };
    }));
  }
}

const sum = (inputs) => {
  const width = Math.max(...inputs.map(({ channels }) => channels.length));
  return Array.from({ length: width }, (_, n) => inputs.reduce((all, it) => all + (it.channels[n] ?? 0), 0));
};

function play(samples, gains) {
  const context = {
    currentTime: 0,
    state: "suspended",
    destination: new Node(sum),
    createMediaElementSource: () => new Node(() => samples),
    createChannelSplitter: () => new Node((inputs) => sum(inputs)),
    createChannelMerger: () => new Node((inputs) => inputs.toSorted((a, b) => a.input - b.input).map((it) => it.channels[0])),
    createGain: () => {
      const node = new Node((inputs) => sum(inputs).map((it) => it * node.gain.value));
      node.gain = {
        value: 1,
        cancelScheduledValues() {},
        setValueAtTime(value) {
          this.value = value;
        },
      };
      return node;
    },
  };
  const graph = new ComparisonGraph(context, {}, samples.length, gains);
  return { graph, heard: () => context.destination.channels() };
}

test("of two channels, one is made", () => {
  const { graph, heard } = play([10, 3], { original: 1, denoised: 0 });
  assert.deepEqual(heard(), [10]);
  graph.set({ original: 1, denoised: -1 });
  assert.deepEqual(heard(), [7]);
  graph.set({ original: 0.5, denoised: 0.5 });
  assert.deepEqual(heard(), [6.5]);
});

test("of four channels, left and right stay apart", () => {
  const { graph, heard } = play([10, 20, 3, 4], { original: 0, denoised: 1 });
  assert.deepEqual(heard(), [3, 4]);
  graph.set({ original: 1, denoised: -1 });
  assert.deepEqual(heard(), [7, 16]);
});

test("the output is the last node, and is silent when it is closed", () => {
  const { graph, heard } = play([10, 3], { original: 1, denoised: 0 });
  assert.deepEqual(graph.output.channels(), [10]);
  graph.close();
  assert.deepEqual(heard().filter(Boolean), []);
});
