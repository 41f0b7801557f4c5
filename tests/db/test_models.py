"""The tables: names of files, texts of rows, and the migration."""

from __future__ import annotations

import ast
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.db import connection
from django.db.models import AutoField, Model
from pytest_django import Settings

from denoise_relay import migrations, models
from denoise_relay.lifecycle import Status
from denoise_relay.models import Event, Job, StatusChoices
from tests.db.factories import make_job

pytestmark = pytest.mark.django_db


def test_the_migration_matches_the_models() -> None:
    output = StringIO()
    call_command("makemigrations", "denoise_relay", check=True, dry_run=True, stdout=output)

    assert "No changes detected" in output.getvalue()


def test_migrations_import_little_of_ours() -> None:
    """What they import may never be renamed."""
    (folder,) = migrations.__path__
    imported = {
        alias.name
        for path in Path(folder).glob("0*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }

    assert {name for name in imported if name.startswith("denoise_relay")} == {
        "denoise_relay.models"
    }


def test_every_status_has_a_label() -> None:
    assert [choice.value for choice in StatusChoices] == [status.value for status in Status]


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.WAV", "wav"), ("a.b.mp3", "mp3"), ("voice", ""), ("صوت.ogg", "ogg"), (".wav", "wav")],
)
def test_extension(name: str, extension: str) -> None:
    assert Job(file_name=name).extension == extension


def test_names_in_the_storage_cannot_be_guessed() -> None:
    job = make_job()

    names = {models.media_name(job, "My secret talk.WAV") for _ in range(100)}

    assert len(names) == 100
    assert all("secret" not in name and name.endswith(".wav") for name in names)
    assert all(len(name) <= 255 for name in names)


def test_the_storage_named_after_the_app_is_preferred(settings: Settings) -> None:
    assert not isinstance(models.media_storage(), InMemoryStorage)
    settings.STORAGES = settings.STORAGES | {
        "denoise_relay": {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    }

    assert isinstance(models.media_storage(), InMemoryStorage)


def test_texts() -> None:
    job = make_job()

    assert str(job) == "voice.wav"
    assert str(job.events.get()) == f"{job.pk} #1 processing"
    assert not job.ended


def test_the_version_before_can_write_while_a_site_is_updated() -> None:
    """Its INSERTs do not name the columns that are new."""
    added = {
        "denoise_relay_job": {
            "backend", "excerpt_start_seconds", "preset", "warning", "whole",
            "whole_duration_seconds", "whole_name",
        },
        "denoise_relay_event": {"warning"},
    }  # fmt: skip
    job = make_job()
    key = uuid4()
    new_values: dict[str, dict[str, object]] = {
        "denoise_relay_job": {"id": key.hex if connection.vendor == "sqlite" else str(key)},
        "denoise_relay_event": {"seq": 2},
    }
    both: list[type[Model]] = [Job, Event]
    for model in both:
        table = model._meta.db_table
        columns = [
            str(field.column)
            for field in model._meta.concrete_fields
            if field.column not in added[table] and not isinstance(field, AutoField)
        ]
        changed = new_values[table]
        values = ", ".join("%s" if name in changed else f'"{name}"' for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}",
                [changed[name] for name in columns if name in changed],
            )
    copy = Job.objects.exclude(pk=job.pk).get()
    assert (copy.warning, copy.preset, copy.backend, copy.whole.name) == ("", "", "", "")
    assert Event.objects.get(seq=2).warning == ""
