"""What the database says about jobs, read past the app; waiting for what it should say."""

from __future__ import annotations

from typing import Any

from tests.waiting import eventually

TERMINAL = ("done", "error", "canceled")


class JobRows:
    """Reads jobs and their events. Subclasses implement `rows` for their database."""

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Run one statement, with `%s` for each value."""
        raise NotImplementedError

    def logs(self) -> str:
        """The output of every process, for error messages."""
        raise NotImplementedError

    def job(self, job: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT * FROM denoise_relay_job WHERE id = %s", job)
        return row

    def journal(self, job: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM denoise_relay_event WHERE job_id = %s ORDER BY seq", job)

    async def reached(self, job: str, *, seq: int = 0, pct: float = 0.0, status: str = "") -> None:
        """Wait until a job has come this far, or ended."""

        def there() -> bool:
            row = self.job(job)
            return row["status"] in TERMINAL or (
                row["seq"] >= seq and row["pct"] >= pct and status in ("", row["status"])
            )

        await eventually(there, within=20)

    async def all_ended(self, within: float = 30.0) -> None:
        """Wait until no job is active."""
        marks = ", ".join(f"'{status}'" for status in TERMINAL)
        count = f"SELECT count(*) AS n FROM denoise_relay_job WHERE status NOT IN ({marks})"
        try:
            await eventually(lambda: self.rows(count)[0]["n"] == 0, within=within)
        except TimeoutError:
            jobs = self.rows("SELECT id, status, seq, lease_owner, epoch FROM denoise_relay_job")
            raise AssertionError(f"jobs that have not ended: {jobs}\n{self.logs()}") from None

    def copy_job(self, job: str, copies: int) -> list[str]:
        """Queue more jobs with the same recording, in one statement; return their ids.

        PostgreSQL only.
        """
        own = {
            "id": "gen_random_uuid()",
            "status": "'queued'",
            "stage": "'processing'",
            "created_at": "now() + n * interval '1 microsecond'",
            "pct": "0",
            "seq": "1",
            "attempt": "0",
            "epoch": "0",
            "upstream_id": "''",
            "result": "''",
            "lease_owner": "''",
            **dict.fromkeys(("lease_until", "submitted_at", "started_at", "finished_at"), "NULL"),
        }
        columns = [str(column) for column in self.job(job)]
        chosen = ", ".join(f"{own.get(name, f'j.{name}')}" for name in columns)
        rows = self.rows(
            f"WITH made AS (INSERT INTO denoise_relay_job ({', '.join(columns)}) "
            f"SELECT {chosen} FROM denoise_relay_job j, generate_series(1, {copies}) n "
            "WHERE j.id = %s RETURNING id), "
            "told AS (INSERT INTO denoise_relay_event (job_id, seq, stage, pct, message, url, at) "
            "SELECT id, 1, 'processing', 0, 'Queued', '', now() FROM made) SELECT id FROM made",
            job,
        )
        return [str(row["id"]) for row in rows]

    def add_events(self, job: str, newest: int) -> None:
        """Extend a job's journal up to the seq `newest`, as a chatty upstream would over hours.

        PostgreSQL only.
        """
        self.rows(
            "INSERT INTO denoise_relay_event (job_id, seq, stage, pct, message, url, at) "
            f"SELECT %s, n, 'processing', 0, repeat('x', 200), '', now() "
            f"FROM generate_series(%s, {newest}) n",
            job,
            self.job(job)["seq"] + 1,
        )
        self.rows("UPDATE denoise_relay_job SET seq = %s WHERE id = %s", newest, job)
