"""Several cores on one recording: the same result, in order, whichever of them is faster."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from denoise_relay.engine.child import lanes, passages
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.deepfilternet import DELAY, DeepFilterNet
from denoise_relay.engine.child.model import MODEL_RATE
from denoise_relay.engine.child.parallel import ParallelDeepFilterNet
from tests.unit.engine import material


class Copy:
    """Stands in for a state of the model: returns what it hears, as late as the model does."""

    made = 0

    def __init__(self) -> None:
        Copy.made += 1
        self._late = np.zeros(DELAY, np.float32)

    def process(self, samples: Samples, cleaned: Samples) -> None:
        heard = np.concatenate([self._late, samples])
        cleaned[:] = heard[: len(samples)]
        self._late = heard[len(samples) :]

    def close(self) -> None:
        Copy.made -= 1


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lanes, "Channel", Copy)
    Copy.made = 0
    yield
    assert Copy.made == 0  # each state that was made was freed


def outputs(model: ParallelDeepFilterNet, samples: Samples, lengths: list[int]) -> list[Samples]:
    """All that comes out, pushed in pieces of these lengths, over and over."""
    found: list[Samples] = []
    position = 0
    try:
        for length in itertools.cycle(lengths):
            if position >= samples.shape[1]:
                break
            found += model.stream(samples[:, position : position + length])
            position += length
        found += model.rest()
    finally:
        model.close()
    return found


@pytest.mark.usefixtures("copies")
@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [0, 0.01, 3.3, 34.9, 100.003, 250])
def test_passages_are_put_together_to_the_sample(
    seconds: float, channels: int, threads: int
) -> None:
    random = np.random.default_rng(1)
    count = round(seconds * MODEL_RATE)
    recording = random.standard_normal((channels, count), np.float32)
    model = ParallelDeepFilterNet(channels, threads=threads, seconds=seconds)

    parts = outputs(model, recording, [24_000, 317, 48_000])

    assert np.array_equal(np.concatenate([recording[:, :0], *parts], axis=1), recording)
    assert max((part.shape[1] for part in parts), default=0) <= MODEL_RATE


@pytest.mark.usefixtures("copies")
@pytest.mark.parametrize("announced", [40.0, 200.0])
def test_a_recording_may_be_longer_or_shorter_than_announced(announced: float) -> None:
    recording = np.random.default_rng(1).standard_normal((1, 120 * MODEL_RATE), np.float32)
    model = ParallelDeepFilterNet(1, threads=2, seconds=announced)
    parts = outputs(model, recording, [24_000])
    assert np.array_equal(np.concatenate(parts, axis=1), recording)


@pytest.mark.usefixtures("copies")
def test_no_more_is_held_than_a_passage_for_each_lane() -> None:
    """However far the decoder is ahead of the model."""
    seconds, piece = 600, np.zeros((1, MODEL_RATE), np.float32)
    model = ParallelDeepFilterNet(1, threads=2, seconds=seconds)
    pushed = returned = most = 0
    try:
        for _ in range(seconds):
            pushed += MODEL_RATE
            returned += sum(part.shape[1] for part in model.stream(piece))
            most = max(most, pushed - returned)
        assert most <= (2 * 82 + 12) * MODEL_RATE
    finally:
        model.close()


def test_two_channels_on_two_cores_are_what_one_core_makes_of_them() -> None:
    noisy = material.mix(material.speech(), 5).astype(np.float32)
    recording = np.stack([noisy, noisy[::-1]])
    alone = DeepFilterNet(2)
    one = np.concatenate([alone.push(recording), alone.finish()], axis=1)
    alone.close()

    both = outputs(ParallelDeepFilterNet(2, threads=2, seconds=4.0), recording, [5000])

    assert np.array_equal(one, np.concatenate(both, axis=1))


@pytest.mark.timeout(240)
def test_two_passages_sound_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hears a cut: neither a click, nor a change of the level."""
    monkeypatch.setattr(passages, "_LEAST_SECONDS", 6.0)
    seconds = 16
    noisy = material.mix(np.tile(material.speech(), seconds // 4), 5)
    recording = noisy.astype(np.float32)[None] * np.float32(0.5)
    (cut,) = passages.plan(seconds, at_once=2).cuts
    alone = DeepFilterNet(1)
    one = np.concatenate([alone.push(recording), alone.finish()], axis=1)[0]
    alone.close()

    model = ParallelDeepFilterNet(1, threads=2, seconds=seconds)
    two = np.concatenate(outputs(model, recording, [24_000]), axis=1)[0]

    until = cut - passages.REACH - MODEL_RATE // 10
    assert np.array_equal(one[:until], two[:until])
    assert not np.array_equal(one[cut + passages.REACH :], two[cut + passages.REACH :])
    assert _level(two - one) < _level(one) - 30
    around = slice(cut - 2 * MODEL_RATE, cut + 2 * MODEL_RATE)
    assert _level((two - one)[around]) < _level(one) - 25
    # Every 50 ms around the cut, where there is sound, within 1 dB.
    hops = [part.reshape(-1, MODEL_RATE // 20) for part in (one[around], two[around])]
    before, after = (10 * np.log10((hop.astype(float) ** 2).mean(axis=1) + 1e-9) for hop in hops)
    loud = before > _level(one) - 20
    assert loud.sum() > 20
    assert np.abs(after - before)[loud].max() < 1
    # No step from one sample to the next that the recording does not have.
    steps = [np.abs(np.diff(part[around])).max() for part in (one, two)]
    assert steps[1] < 1.1 * steps[0]


def _level(samples: Samples) -> float:
    return float(10 * np.log10((samples.astype(float) ** 2).mean() + 1e-12))


@pytest.mark.parametrize("seconds", [1.0, 34.9, 35.0, 60.0, 300.0, 3600.0])
@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_lanes_have_equally_much_to_do(seconds: float, cores: int) -> None:
    plan = passages.plan(seconds, at_once=cores)
    ends = [*plan.cuts, round(seconds * MODEL_RATE)]
    lengths = np.diff([0, *ends]) / MODEL_RATE
    work = lengths + [passages.lead_seconds(n, plan.at_once) for n in range(len(lengths))]

    assert 1 <= plan.at_once <= min(cores, passages.MAX_LANES)
    assert len(lengths) % plan.at_once == 0
    if plan.at_once == 1:
        assert not plan.cuts
        assert cores == 1 or seconds < 35
    else:
        assert lengths.min() >= 14.9
        assert work.max() - work.min() < 0.001
        assert work.max() <= 80 + passages.NEW_LEAD_SECONDS
        assert plan.longest == pytest.approx(work.max() * MODEL_RATE, abs=1)


def test_a_cut_is_where_it_is_quiet() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 96_000)).astype(np.float32)
    samples[1, 40_000:50_000] = 0  # one side speaks on
    samples[:, 70_000:80_000] *= 0.01
    assert 72_000 < passages.quietest(samples) < 78_000


class Counted:
    """Counts how many states are at work at the same time."""

    now = most = 0
    lock = threading.Lock()
    meet: threading.Barrier | None = None

    def process(self, samples: Samples, cleaned: Samples) -> None:
        with Counted.lock:
            Counted.now += 1
            Counted.most = max(Counted.most, Counted.now)
        if Counted.meet is not None:
            Counted.meet.wait(10)
        cleaned[:] = samples
        with Counted.lock:
            Counted.now -= 1

    def close(self) -> None:
        pass


def _served(served: lanes.Lanes, pieces: int) -> list[list[Samples]]:
    """Give two lanes so many pieces each, and take all of it."""
    piece = np.ones(48_000, np.float32)
    end = served.samples_done + 2 * pieces * len(piece)
    for number in range(pieces):
        for lane in (1, 0):
            served.put(lane, lanes.Piece(passage=lane, samples=piece * number, counts=True))
    while served.samples_done < end:
        served.wait(10)
    return [served.take(lane, 1, lane) for lane in (0, 1)]


def test_no_more_lanes_are_served_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "Channel", Counted)
    Counted.now = Counted.most = 0
    served = lanes.Lanes(2, threads=2)
    try:
        served.allow(1)
        for blocks in _served(served, 20):
            assert [int(block[0, 0]) for block in blocks] == list(range(20))
        assert Counted.most == 1
        # With both allowed, both are at work: each piece waits for one of the other lane.
        served.allow(2)
        Counted.meet = threading.Barrier(2)
        _served(served, 1)
        assert Counted.most == 2
    finally:
        Counted.meet = None
        served.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("denoise-lane")]


def test_an_error_in_a_thread_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("df_create returned no model")

    monkeypatch.setattr(lanes, "Channel", fails)
    model = ParallelDeepFilterNet(1, threads=2, seconds=4.0)
    with pytest.raises(RuntimeError, match="df_create"):
        outputs(model, np.zeros((1, 4 * MODEL_RATE), np.float32), [24_000])
