"""Indexes for the lists of owners, API keys and visitors, and for the admin's search.

On PostgreSQL they are made concurrently, so jobs go on meanwhile, and processes of the version
before need not know them. A migration that is broken off may be run again.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import Error, migrations, models, transaction

SEARCH = 'relay_job_search'


class AddIndexConcurrently(migrations.AddIndex):
    """`AddIndex` without a lock that writers wait for. (Django's own needs psycopg on any site.)"""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            concurrently = concurrent(schema_editor)
            # What an earlier run left, of which this migration has no transaction to get rid.
            name = schema_editor.quote_name(self.index.name)
            schema_editor.execute(f'DROP INDEX {"CONCURRENTLY" if concurrently else ""} IF EXISTS {name}')
            schema_editor.add_index(model, self.index, **concurrently)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, **concurrent(schema_editor))


def concurrent(schema_editor: Any) -> dict[str, bool]:
    return {'concurrently': True} if schema_editor.connection.vendor == 'postgresql' else {}


def add_search(apps: Any, schema_editor: Any) -> None:
    """SQLite reads all names for a part of one, but only names, in the order in which jobs are
    listed. PostgreSQL finds it by its trigrams, where it lets us have `pg_trgm`.

    No index of the model: each database has its own, and only the time of a search depends on it.
    """
    connection = schema_editor.connection
    table = schema_editor.quote_name(apps.get_model('denoise_relay', 'Job')._meta.db_table)
    if connection.vendor == 'sqlite':
        schema_editor.execute(
            f'CREATE INDEX IF NOT EXISTS {SEARCH} ON {table} '
            '(created_at DESC, id DESC, file_name, upstream_id, owner_id)'
        )
    if connection.vendor != 'postgresql':
        return
    try:
        with transaction.atomic(using=connection.alias):
            schema_editor.execute('CREATE EXTENSION IF NOT EXISTS pg_trgm')
        schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {SEARCH}')
        # The expression of Django's `icontains`.
        schema_editor.execute(
            f'CREATE INDEX CONCURRENTLY {SEARCH} ON {table} '
            'USING gin (UPPER(file_name::text) gin_trgm_ops)'
        )
    except Error as error:
        print(f'\n    No index for the search by file names: {error}'.rstrip())


def remove_search(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor in ('postgresql', 'sqlite'):
        how = 'CONCURRENTLY' if concurrent(schema_editor) else ''
        schema_editor.execute(f'DROP INDEX {how} IF EXISTS {SEARCH}')


class Migration(migrations.Migration):

    atomic = False

    dependencies: ClassVar = [
        ('denoise_relay', '0011_room_for_updates'),
    ]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('owner__isnull', False)), fields=['owner', '-created_at', '-id'], name='relay_job_owner'),
        ),
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('api_key__isnull', False)), fields=['api_key', '-created_at', '-id', 'owner'], name='relay_job_key'),
        ),
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(fields=['visitor', '-created_at', '-id', 'owner'], name='relay_job_visitors'),
        ),
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(fields=['upstream_id'], name='relay_job_upstream', opclasses=['varchar_pattern_ops']),
        ),
        migrations.RunPython(add_search, remove_search, atomic=False),
    ]
