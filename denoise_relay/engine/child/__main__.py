"""The child process: `python -m denoise_relay.engine.child probe|denoise …`. Speaks `protocol`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from denoise_relay.engine import protocol
from denoise_relay.engine.child import limits
from denoise_relay.engine.child.arguments import parse
from denoise_relay.engine.child.share import Share
from denoise_relay.engine.errors import MediaRejected

#: Where reading ends and writing starts, in percent of a denoising.
_READ_PCT: Final = 5.0
_DENOISED_PCT: Final = 99.0


class _Reporter:
    """Writes lines to the parent; progress only when it is news."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pct = -1.0
        self._message = ""
        self._at = 0.0

    def progress(self, pct: float, message: str) -> None:
        now = time.monotonic()
        too_soon = now < self._at + 1 / protocol.MAX_LINES_PER_SECOND
        if message == self._message and pct < 100 and (too_soon or pct < self._pct + 0.1):
            return
        self._pct, self._message, self._at = max(pct, self._pct), message, now
        self.send({"pct": round(self._pct, 1), "message": message})

    def send(self, line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


def main(arguments: list[str]) -> int:
    """Run one command. Exit status 0 whenever the last line is an outcome."""
    options = parse(arguments)
    limits.apply(cpu_seconds=options.cpu_seconds, parent_pid=options.parent)
    # What a native library prints must not get between our lines.
    reporter = _Reporter(os.dup(1))
    os.dup2(2, 1)
    try:
        record = _COMMANDS[options.command](options, reporter)
    except MediaRejected as exc:
        reporter.send({"rejected": {"code": exc.code, "message": str(exc)}})
    except ImportError as exc:
        reporter.send({"unavailable": str(exc.name or exc)})
    else:
        reporter.send({"result": dataclasses.asdict(record)})
    return 0


def _probe(options: argparse.Namespace, reporter: _Reporter) -> Any:
    # Brings native libraries with it: only now that the limits hold.
    from denoise_relay.engine.child.probe import probe_file

    probe = probe_file(
        options.source,
        max_duration_seconds=options.max_duration_seconds,
        rescue=options.rescue,
    )
    if options.peaks is None:
        return probe
    from denoise_relay.engine.child.peaks import write_peaks

    count = write_peaks(options.source, options.peaks, seconds=options.peaks_seconds)
    return dataclasses.replace(probe, samples_per_pixel=count)


def _denoise(options: argparse.Namespace, reporter: _Reporter) -> Any:
    share = Share(options.cores)
    if share.most > 1:
        share.listen(0)
        if options.preset == "best":
            from denoise_relay.engine.child import states

            # While all that follows is loaded, and the file is read.
            states.make_ahead()
    from denoise_relay.engine.child.pipeline import denoise_file, largest_result_bytes
    from denoise_relay.engine.child.probe import probe_file
    from denoise_relay.engine.child.segments import SegmentWriter

    def read(share: float) -> None:
        reporter.progress(share * _READ_PCT, protocol.READING)

    def denoised(share: float) -> None:
        pct = _READ_PCT + share * (_DENOISED_PCT - _READ_PCT)
        reporter.progress(pct, protocol.ISOLATING)

    def segments(rate: int) -> SegmentWriter:
        return SegmentWriter(
            options.segments,
            rate=rate,
            seconds=probe.duration_seconds,
            on_segment=lambda line: reporter.send({"segment": dataclasses.asdict(line)}),
        )

    read(0.0)
    probe = probe_file(options.source, on_progress=read)
    limits.bound_output(largest_result_bytes(probe))
    denoised(0.0)
    denoise_file(
        options.source,
        options.target,
        probe=probe,
        preset=options.preset,
        share=share,
        on_progress=denoised,
        on_writing=lambda: reporter.progress(_DENOISED_PCT, protocol.WRITING),
        segments=segments if options.segments else None,
    )
    reporter.progress(100.0, protocol.WRITING)
    return probe


def _verify(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.verify import verify_files

    return verify_files(options.before, options.after)


def _analyse(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.analyse import (
        analyse_files,
        announced_seconds,
        longest_seconds,
    )
    from denoise_relay.engine.child.comparison import largest_comparison_bytes

    announced = announced_seconds(options.before)
    limits.bound_output(largest_comparison_bytes(longest_seconds(announced)))
    return analyse_files(
        options.before,
        options.after,
        options.folder,
        announced=announced,
        loudness_changed=options.loudness_changed,
    )


def _excerpt(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.cut import cut_file, largest_cut_bytes
    from denoise_relay.engine.child.excerpt import find_passage

    seconds = options.seconds
    found = find_passage(options.source, seconds)
    largest = largest_cut_bytes(seconds, rate=found.rate, channels=found.channels)
    limits.bound_output(largest)
    start = round(found.start_seconds * found.rate)
    end = start + round(seconds * found.rate)
    duration = cut_file(options.source, options.target, start=start, end=end)
    return protocol.Excerpt(start_seconds=found.start_seconds, duration_seconds=duration)


def _convert(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.sound_file import make_sound_file

    return make_sound_file(
        options.source,
        options.target,
        copy=options.copy,
        on_read=lambda share: reporter.progress(share * _READ_PCT, protocol.READING),
        on_converted=lambda share: reporter.progress(
            _READ_PCT + share * (100.0 - _READ_PCT), protocol.CONVERTING
        ),
    )


def _plan(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.parts import plan_parts

    return plan_parts(
        options.source,
        max_seconds=options.max_seconds,
        max_bytes=options.max_bytes,
        overlap_seconds=options.overlap_seconds,
    )


def _cut(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.cut import cut_file

    limits.bound_output(options.max_bytes)
    seconds = cut_file(options.source, options.target, start=options.start, end=options.end)
    return protocol.Cut(duration_seconds=seconds)


def _join(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.cut import largest_cut_bytes
    from denoise_relay.engine.child.join import join_files

    seconds = options.total / options.rate
    limits.bound_output(largest_cut_bytes(seconds, rate=options.rate, channels=options.channels))
    join_files(
        options.source,
        options.results,
        options.target,
        rate=options.rate,
        channels=options.channels,
        total=options.total,
        cuts=options.cuts,
        overlap=options.overlap,
    )
    return protocol.Cut(duration_seconds=seconds)


def _render(options: argparse.Namespace, reporter: _Reporter) -> Any:
    from denoise_relay.engine.child.mix import share_of_recording
    from denoise_relay.engine.child.render import render_files

    return render_files(
        options.before,
        options.after,
        options.target,
        format=options.format,
        share=share_of_recording(options.mix, options.max_attenuation_db),
        loudness_lufs=options.loudness_lufs,
        on_progress=lambda share: reporter.progress(share * 100, protocol.WRITING),
    )


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace, _Reporter], Any]]] = {
    "probe": _probe,
    "denoise": _denoise,
    "verify": _verify,
    "analyse": _analyse,
    "excerpt": _excerpt,
    "convert": _convert,
    "plan": _plan,
    "cut": _cut,
    "join": _join,
    "render": _render,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
