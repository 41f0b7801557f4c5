"""The management commands, run in this process with a backend that takes milliseconds."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from denoise_relay import access, engine
from denoise_relay.backends.base import Result
from denoise_relay.lifecycle import Status
from denoise_relay.management.progress_bar import Progress, ProgressBar
from denoise_relay.models import ApiKey, Job
from tests.db.factories import finish
from tests.db.presets import TWO_PRESETS
from tests.waiting import wait_for

# create_api_key


@pytest.mark.django_db
def test_key_and_nothing_else_is_printed() -> None:
    out, err = StringIO(), StringIO()
    call_command("create_api_key", "site", stdout=out, stderr=err)

    secret = out.getvalue().strip()
    key = ApiKey.objects.get()
    assert out.getvalue() == f"{secret}\n"
    assert err.getvalue() == ""
    assert (key.name, key.user) == ("site", None)
    assert async_to_sync(access.aget_api_key)(secret) == key


@pytest.mark.django_db
def test_key_may_belong_to_a_user() -> None:
    user = User.objects.create_user("ann")

    call_command("create_api_key", "hers", user="ann", stdout=StringIO())

    assert ApiKey.objects.get().user == user


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("site", "--user", "nobody"), "There is no user 'nobody'."),
        ((" ",), "NAME must have 1 to 100 characters."),
        (("x" * 101,), "NAME must have 1 to 100 characters."),
    ],
)
def test_no_key_is_made_by_mistake(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("create_api_key", *arguments)

    assert not ApiKey.objects.exists()


# denoise


@pytest.fixture
def shell(
    settings: Settings, tmp_path: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder to work in, and a quick backend run by the command itself."""
    monkeypatch.setattr(engine, "available", lambda *_: False)  # only names are checked
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DENOISE_RELAY = {
        "BACKEND": "tests.db.scripted_backends.QuickBackend",
        "WORKER": "embedded",
    }
    folder = tmp_path / "shell"
    folder.mkdir()
    return folder


def recording(folder: Path, name: str, content: bytes = b"speech") -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def denoise(*arguments: str) -> tuple[list[str], list[str]]:
    """Lines of stdout and stderr."""
    out, err = StringIO(), StringIO()
    try:
        call_command("denoise", *arguments, stdout=out, stderr=err)
    finally:
        lines = out.getvalue().splitlines(), err.getvalue().splitlines()
    return lines


def test_result_is_written_beside_the_file(shell: Path) -> None:
    out, err = denoise(recording(shell, "talk.wav"))

    assert out == [str(shell / "talk-denoised.flac")]
    assert (shell / "talk-denoised.flac").read_bytes() == b"SPEECH"
    assert "talk.wav: 100% Done" in err
    assert sorted(path.name for path in shell.iterdir()) == ["talk-denoised.flac", "talk.wav"]


def test_output_names_a_file(shell: Path) -> None:
    out, _err = denoise(recording(shell, "talk.wav"), "-o", str(shell / "new" / "clean.flac"))

    assert out == [str(shell / "new" / "clean.flac")]
    assert (shell / "new" / "clean.flac").read_bytes() == b"SPEECH"


def test_output_names_a_folder_in_which_nothing_is_replaced(shell: Path) -> None:
    one = recording(shell, "one/talk.wav", b"first")
    two = recording(shell, "two/talk.wav", b"second")

    out, _err = denoise(one, two, "-o", str(shell / "out"))

    assert out == [
        str(shell / "out" / "talk-denoised.flac"),
        str(shell / "out" / "talk-denoised-2.flac"),
    ]
    assert [Path(path).read_bytes() for path in out] == [b"FIRST", b"SECOND"]


def test_one_failure_leaves_the_others_alone_and_fails_the_command(shell: Path) -> None:
    files = [
        recording(shell, "good.wav"),
        recording(shell, "bad.wav", b"fail"),
        recording(shell, "notes.txt"),
    ]
    out, err = StringIO(), StringIO()

    with pytest.raises(CommandError, match=r"2 of 3 failed\.") as raised:
        call_command("denoise", *files, stdout=out, stderr=err)

    assert raised.value.returncode == 1
    assert out.getvalue().splitlines() == [str(shell / "good-denoised.flac")]
    assert f"{files[1]}: No speech found." in err.getvalue()
    assert f"{files[2]}: This kind of file cannot be processed." in err.getvalue()


def test_arguments_are_checked_before_anything_is_submitted(shell: Path) -> None:
    talk, other = recording(shell, "talk.wav"), recording(shell, "other.wav")

    with pytest.raises(CommandError, match=r"There is no file 'missing\.wav'"):
        denoise(talk, "missing.wav")
    with pytest.raises(CommandError, match="several results need a folder"):
        denoise(talk, other, "-o", other)
    assert not Job.objects.exists()


def test_a_preset_is_chosen_for_all_files_or_refused_before_any(
    shell: Path, settings: Settings
) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS | {"WORKER": "embedded"}
    talk = recording(shell, "talk.wav")

    with pytest.raises(CommandError, match=r"There is no preset “gone”\. There are: fine, swift\."):
        denoise(talk, "--preset", "gone")
    assert not Job.objects.exists()

    denoise(talk, "--preset", "swift")
    assert (shell / "talk-denoised.flac").read_bytes() == b"swift"


def test_result_that_stays_upstream_is_told_by_its_url(
    shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(shell, "talk.wav")
    monkeypatch.setattr(
        "tests.db.scripted_backends.Result", lambda file: Result(url="https://cdn.example/1.wav")
    )

    out, _err = denoise(str(shell / "talk.wav"))

    assert out == ["https://cdn.example/1.wav"]


def test_jobs_of_external_workers_are_followed(shell: Path, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "WORKER": "external"}
    talk = recording(shell, "talk.wav")
    lines: list[list[str]] = []

    def run() -> None:
        lines.extend(denoise(talk))
        connections.close_all()  # of this thread

    command = threading.Thread(target=run, name="denoise-command")
    command.start()
    try:
        job = wait_for(Job.objects.first)
        assert (job.status, job.lease_owner) == (Status.QUEUED, "")
    finally:
        finish(Job.objects.get(), b"by another")
        command.join(20)

    assert lines[0] == [str(shell / "talk-denoised.flac")]
    assert (shell / "talk-denoised.flac").read_bytes() == b"by another"


# The progress bar


def rows(pct: float, *, ended: bool = False) -> dict[str, Progress]:
    return {"1": Progress(name="talk.wav", pct=pct, message="Cleaning", ended=ended)}


def test_without_a_terminal_a_line_per_ten_percent() -> None:
    lines: list[str] = []
    progress_bar = ProgressBar(lines.append, moves=False)

    for pct in range(100):
        progress_bar.show(rows(pct))
    progress_bar.show(rows(100, ended=True))

    assert len(lines) == 11
    assert lines[1] == "talk.wav: 10% Cleaning\n"


def test_bars_move_in_place_and_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    drawn: list[str] = []
    progress_bar = ProgressBar(drawn.append, moves=True)

    progress_bar.show(rows(0))
    progress_bar.show(rows(50))

    assert drawn[0].startswith("\x1b[2Ktalk.wav ")
    assert drawn[1].startswith("\x1b[1A\x1b[2Ktalk.wav ")
    assert drawn[1].count("█") == drawn[1].count("░") == 12
    assert all(len(text.rpartition("\x1b[2K")[2].rstrip("\n")) < 60 for text in drawn)
