"""What an upload leaves on disk: the spooled part, and then the recording of a job."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.live.cluster import SqliteCluster
from tests.live.uploads.tus_client import Upload


def spool(cluster: SqliteCluster) -> Path:
    """The folder of unfinished uploads."""
    return Path(cluster.environ["MEDIA_ROOT"]) / ".denoise-uploads"


def the_part(cluster: SqliteCluster) -> Path:
    """The file of the only unfinished upload."""
    (part,) = spool(cluster).glob("*.part")
    return part


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digest(cluster: SqliteCluster, job: str) -> str:
    """The digest of a job's recording, as it is on disk."""
    return digest(Path(cluster.environ["MEDIA_ROOT"]) / cluster.job(job)["original"])


def finish_and_check(cluster: SqliteCluster, upload: Upload) -> str:
    """Make the job, and return its id; its recording is the file, and the spool is empty."""
    answer = upload.finish()
    assert answer.status_code == 201, f"{answer.text}\n{cluster.logs()}"
    job: str = answer.json()["job"]
    assert stored_digest(cluster, job) == digest(upload.file)
    assert list(spool(cluster).iterdir()) == []
    return job
