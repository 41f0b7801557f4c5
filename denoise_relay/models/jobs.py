"""The table of jobs, and where their recordings are stored."""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.core.files.storage import Storage, default_storage, storages
from django.db import models, router
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from denoise_relay.events import MESSAGE_LIMIT, Stage
from denoise_relay.formats import extension_of
from denoise_relay.lifecycle import ACTIVE, TERMINAL, Status
from denoise_relay.models.api_keys import ApiKey
from denoise_relay.models.choices import StatusChoices, values


def media_storage() -> Storage:
    """The storage alias `denoise_relay` where the site has one, else the default storage."""
    # Looked up by name: a storage that is misconfigured must raise, not count as absent.
    return storages["denoise_relay"] if "denoise_relay" in storages.backends else default_storage


def media_name(job: Job, filename: str) -> str:
    """A name for the storage that nobody can guess. The uploaded file's own name is in the row."""
    suffix = filename.rpartition(".")[2].lower()
    return f"denoise/{secrets.token_hex(16)}/{job.pk.hex}.{suffix}"


class Job(models.Model):
    """One file to denoise. `pct`, `stage`, `message` and `seq` mirror its latest event.

    Columns that were added later have a default in the database, too (`db_default`): while a site
    is updated, processes of the version before go on to insert rows.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Who submitted it and may see it: a user, an anonymous visitor (a token in the session), or an
    # API key.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="denoise_jobs",
        verbose_name=_("owner"),
    )
    visitor = models.CharField(max_length=64, blank=True, default="", editable=False)
    api_key = models.ForeignKey(
        ApiKey, models.SET_NULL, null=True, blank=True, verbose_name=_("API key")
    )
    retry_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, verbose_name=_("retry of")
    )

    # The uploaded file.
    original = models.FileField(
        _("original"), upload_to=media_name, storage=media_storage, max_length=255
    )
    file_name = models.CharField(_("file name"), max_length=255)
    size_bytes = models.PositiveBigIntegerField(_("size"), default=0)
    duration_seconds = models.FloatField(_("duration"), null=True, blank=True)
    is_video = models.BooleanField(_("video"), default=False)
    # What was found in it, in FFmpeg's words; "" where nobody has looked.
    container = models.CharField(max_length=32, blank=True, default="", db_default="")
    codec = models.CharField(max_length=32, blank=True, default="", db_default="")
    # Whether a part of the file is missing, so that `duration_seconds` is of the rest, and what its
    # header announces; null if that is not known.
    damaged = models.BooleanField(_("damaged"), default=False, db_default=False)
    announced_seconds = models.FloatField(_("announced duration"), null=True, blank=True)
    # What the backend gets in its place, where it does not take it as it is: made once, so that
    # every submission, also of a retry, sends the same bytes. Other jobs may name the same file.
    sent = models.FileField(
        _("sent"),
        upload_to=media_name,
        storage=media_storage,
        max_length=255,
        blank=True,
        default="",
        db_default="",
    )
    # Set where `original` is an excerpt: the recording it was cut from, and where it begins. Other
    # jobs may name the same files.
    whole = models.FileField(
        _("whole recording"),
        upload_to=media_name,
        storage=media_storage,
        max_length=255,
        blank=True,
        default="",
        db_default="",
    )
    whole_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    whole_duration_seconds = models.FloatField(null=True, blank=True)
    excerpt_start_seconds = models.FloatField(_("excerpt from"), null=True, blank=True)

    # How it is done. The backend's default preset is "". `backend` is set when a runner begins.
    preset = models.CharField(_("preset"), max_length=32, blank=True, default="", db_default="")
    backend = models.CharField(_("backend"), max_length=32, blank=True, default="", db_default="")

    # What people chose for the result; null: nothing is changed.
    #: dB by which noise is lowered at the most.
    max_attenuation_db = models.FloatField(_("strength limit"), null=True, blank=True)
    #: Integrated loudness to which the result is brought (ITU-R BS.1770).
    loudness_lufs = models.FloatField(_("loudness target"), null=True, blank=True)

    # What viewers see.
    status = models.CharField(
        _("status"), max_length=10, choices=StatusChoices, default=Status.QUEUED.value
    )
    stage = models.CharField(max_length=10, default=Stage.PROCESSING.value)
    pct = models.FloatField(_("progress"), default=0.0)
    message = models.CharField(_("message"), max_length=MESSAGE_LIMIT, blank=True, default="")
    seq = models.PositiveIntegerField(default=0)
    #: Jobs ahead of it in the queue when last counted; null outside the queue.
    ahead = models.PositiveIntegerField(null=True, blank=True)

    # The result: a file stored here, or the URL of one that stays upstream.
    result = models.FileField(
        _("result"), upload_to=media_name, storage=media_storage, max_length=255, blank=True
    )
    result_url = models.TextField(_("upstream result"), blank=True, default="")
    # What people should know about a result that is kept all the same.
    warning = models.CharField(
        _("warning"), max_length=MESSAGE_LIMIT, blank=True, default="", db_default=""
    )
    error_detail = models.TextField(_("error for staff"), blank=True, default="")
    # Loudness, noise and so on, before and after; null until they have been measured.
    statistics = models.JSONField(_("statistics"), null=True, blank=True)

    # What a runner needs to continue after a crash.
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    submitted_at = models.DateTimeField(_("submitted"), null=True, blank=True)
    upstream_id = models.CharField(_("upstream id"), max_length=64, blank=True, default="")
    # Set when the job ends without a result that the upstream has, or may have in the end.
    fetchable = models.BooleanField(
        _("result may be fetched again"), default=False, db_default=False
    )

    # Its place in the queue (`jobs.turns`): who submitted it, and which turn of theirs it is.
    submitter = models.CharField(
        max_length=80, blank=True, default="", db_default="", editable=False
    )
    # A pseudonym of the address that it came from, for the limits; "" where there was none.
    address = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    turn = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)

    # The lease: which supervisor may write, until when, and its fencing number.
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    epoch = models.PositiveIntegerField(default=0)

    # Set with the job's end, until the site's receivers have been told of it; and until when some
    # process is telling them (`journal.outbox`).
    signal_pending = models.BooleanField(default=False, db_default=False, editable=False)
    signal_lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("-created_at", "-id")
        get_latest_by = "created_at"
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="relay_job_newest"),
            models.Index(fields=["status", "-created_at"], name="relay_job_status"),
            models.Index(fields=["visitor", "-created_at"], name="relay_job_visitor"),
            # Supervisors query this each second. It stays small, however many jobs have ended.
            models.Index(
                fields=["turn", "created_at", "id"],
                # Not by status: SQLite cannot prove that bound parameters are in a list.
                condition=Q(finished_at__isnull=True),
                name="relay_job_active",
            ),
            # So do they this one, which is empty most of the time.
            models.Index(
                fields=["finished_at"],
                condition=Q(signal_pending=True),
                name="relay_job_signals",
            ),
            # The turns served last, of all and of one submitter.
            models.Index(
                fields=["-turn"], condition=Q(started_at__isnull=False), name="relay_job_served"
            ),
            models.Index(fields=["submitter", "-turn"], name="relay_job_submitter"),
            # The lists of owners, API keys and visitors (`jobs.lists`), read without their rows.
            models.Index(
                fields=["owner", "-created_at", "-id"],
                condition=Q(owner__isnull=False),
                name="relay_job_owner",
            ),
            models.Index(
                # `owner`, because a job that is the owner's, too, is listed once.
                fields=["api_key", "-created_at", "-id", "owner"],
                condition=Q(api_key__isnull=False),
                name="relay_job_key",
            ),
            models.Index(
                fields=["visitor", "-created_at", "-id", "owner"], name="relay_job_visitors"
            ),
            # The admin's search, by the beginning of an upstream's id.
            models.Index(
                fields=["upstream_id"],
                opclasses=["varchar_pattern_ops"],
                name="relay_job_upstream",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=values(Status)), name="relay_job_status_valid"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=values(Stage)), name="relay_job_stage_valid"
            ),
            models.CheckConstraint(
                condition=Q(pct__gte=0.0, pct__lte=100.0), name="relay_job_pct_range"
            ),
            models.CheckConstraint(
                condition=Q(status__in=values(TERMINAL), finished_at__isnull=False)
                | Q(status__in=values(ACTIVE), finished_at__isnull=True),
                name="relay_job_finished_when_ended",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def ended(self) -> bool:
        return Status(self.status) in TERMINAL

    @property
    def extension(self) -> str:
        """Extension of the uploaded file, in lower case and without the dot; "" if none."""
        return extension_of(self.file_name)


def current_jobs() -> models.QuerySet[Job]:
    """Jobs in the database that is written to: a replica that lags knows neither a new job nor that
    one was submitted."""
    return Job.objects.using(router.db_for_write(Job))
