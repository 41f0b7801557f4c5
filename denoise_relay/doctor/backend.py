"""The backend: does the upstream accept our key, or does the local engine work?"""

from __future__ import annotations

import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from random import Random

from denoise_relay import backends, engine
from denoise_relay.backends.local import LocalBackend
from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.errors import NotSent, OutcomeUnknown, Refused
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.conf import RelaySettings, relay_settings
from denoise_relay.doctor.run import Finding, fail, ok, warn
from denoise_relay.exceptions import ProtocolError, RelayError

RATE = 48_000
#: Seconds of processing for a second of sound; more is reported as slow.
SLOW = 1.0


async def backend() -> Sequence[Finding]:
    """Test the configured backend, if it is one of ours."""
    settings = relay_settings()
    found = backends.backend_class(settings)
    if issubclass(found, UpstreamBackend):
        return [await _upstream(settings), *_validation()]
    if issubclass(found, LocalBackend):
        return [await _engine()]
    return [ok(f"{settings.BACKEND} is not ours: it was loaded, but not asked.")]


async def _upstream(settings: RelaySettings) -> Finding:
    """Send one small request of the contract, which shows whether the key is accepted."""
    url = settings.UPSTREAM_URL
    http = HttpClient()
    begun = time.perf_counter()
    try:
        await UpstreamClient(settings, http).check_key()
    except Refused as error:
        return _refusal(error, url)
    except NotSent as error:
        return fail(
            f"{url} cannot be reached ({error}).",
            "Is UPSTREAM_URL right? Does this machine reach it (DNS, firewall)? Proxies of the "
            "environment are not used.",
        )
    except OutcomeUnknown as error:
        return fail(f"{url} answers badly ({error}).", "Jobs are tried again until it does.")
    except ProtocolError as error:
        return fail(
            f"What answers at {url} does not speak the contract ({error}).",
            "Look at the path of UPSTREAM_URL: `/denoise` is added to it.",
        )
    finally:
        await http.aclose()
    took = time.perf_counter() - begun
    return ok(f"{url} accepts the key and answers in {took * 1000:.0f} ms.")


def _refusal(error: Refused, url: str) -> Finding:
    match error.status:
        case 401 | 403:
            return fail(f"{url} refuses the key ({error}).", "Set API_KEY to a valid one.")
        case 402:
            return fail(f"{url} wants money first ({error}).", "Add credit to its account.")
        case 429 | 503:
            return warn(f"{url} is busy ({error}).", "Jobs wait for it; look again later.")
        case _:
            return fail(f"{url} answers with {error}.", "Is UPSTREAM_URL right, path included?")


def _validation() -> Sequence[Finding]:
    if engine.available():
        return []
    return [
        warn(
            "The engine is not installed: uploads are judged by size and ending only.",
            'To have their content checked, too: pip install "denoise-relay[local]"',
        )
    ]


async def _engine() -> Finding:
    """Denoise a second of noise, in a child process as for a job."""
    with tempfile.TemporaryDirectory(prefix="denoise-doctor-") as folder:
        source, target = Path(folder, "noise.wav"), Path(folder, f"clean{engine.OUTPUT_SUFFIX}")
        _write_noise(source)
        begun = time.perf_counter()
        try:
            measured = await engine.denoise(source, target, on_progress=lambda _pct, _text: None)
        except (RelayError, engine.EngineUnavailable, engine.EngineCrashed) as error:
            return fail(
                f"The local engine does not work ({type(error).__name__}: {error}).",
                'Install it anew: pip install --force-reinstall "denoise-relay[local]"',
            )
        except engine.MediaRejected as error:
            return fail(f"The local engine refused a good file ({error}).", "Report this, please.")
        took = time.perf_counter() - begun
    text = f"The local engine cleaned {measured.duration_seconds:g} s of sound in {took:.1f} s."
    if took <= SLOW + 2.0:  # the start of the child takes part of it
        return ok(text)
    return warn(text, "This machine is slow or busy; give it cores, or lower MAX_ENGINES.")


def _write_noise(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(Random(1).randbytes(2 * RATE))  # noqa: S311 - noise, not a secret
