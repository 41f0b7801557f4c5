"""`manage.py denoise` takes each kind of recording that was once refused, with both backends."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.models import Job
from denoise_relay.testing import ScriptedUpstream
from tests import corpus

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.mark.parametrize("backend", ["upstream", "local"])
@pytest.mark.parametrize("name", corpus.ONCE_REFUSED)
def test_in_the_shell(
    name: str, backend: str, upstream: ScriptedUpstream, settings: Settings, tmp_path: Path
) -> None:
    settings.DENOISE_RELAY = {
        "BACKEND": backend,
        "WORKER": "embedded",
        "UPSTREAM_URL": upstream.url,
        "API_KEY": upstream.key,
        "ALLOWED_RESULT_HOSTS": (upstream.netloc,),
        "VERIFY_RESULTS": backend == "local",
        "ANALYSE_RESULTS": False,
    }
    path = tmp_path / name
    path.write_bytes(corpus.content(name))
    out, err = StringIO(), StringIO()
    call_command("denoise", str(path), stdout=out, stderr=err)
    (written,) = out.getvalue().splitlines()
    assert Path(written).stat().st_size
    job = Job.objects.get()
    assert (job.status, job.backend) == ("done", backend)
    if backend == "upstream":
        (record,) = upstream.records
        assert record.file_name.rpartition(".")[2] in ("flac", "ogg", "m4a")
