"""The tables of blind comparisons: two variants, the recordings, and the votes of listeners."""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from denoise_relay.models.jobs import Job


class Method(models.TextChoices):
    """What a listener is asked."""

    PREFERENCE = "preference", _("Which sounds better?")
    ABX = "abx", _("Is X the same as A or as B?")


class Answer(models.TextChoices):
    """What a listener answers. `a` and `b` are what the page called so, not the variants."""

    A = "a", _("A")
    B = "b", _("B")
    SAME = "same", _("No difference")


class Comparison(models.Model):
    """Two variants (a backend with a preset), to be heard over the same recordings."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(_("title"), max_length=200)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("created by"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # As `Job.backend` and `Job.preset`.
    first_backend = models.CharField(max_length=32, blank=True)
    first_preset = models.CharField(max_length=32, blank=True)
    second_backend = models.CharField(max_length=32, blank=True)
    second_preset = models.CharField(max_length=32, blank=True)
    #: Secret: the order of the recordings and their sides follow from it.
    seed = models.CharField(max_length=64, default=secrets.token_hex, editable=False)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.title


class ComparisonItem(models.Model):
    """One recording: a job of it by each variant. Votes stay when the jobs are deleted."""

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="items")
    file_name = models.CharField(_("file name"), max_length=255)
    first = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")
    second = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("recording of a comparison")
        verbose_name_plural = _("recordings of a comparison")
        ordering = ("id",)

    def __str__(self) -> str:
        return self.file_name


class Vote(models.Model):
    """One answer of one listener about one recording, with what the page had shown."""

    item = models.ForeignKey(ComparisonItem, models.CASCADE, related_name="votes")
    voter = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    method = models.CharField(max_length=10, choices=Method)
    round = models.PositiveSmallIntegerField(default=1)
    #: Whether the page's A was the second variant.
    swapped = models.BooleanField()
    #: Which side X was; "" for a preference.
    x = models.CharField(max_length=1, blank=True, default="")
    answer = models.CharField(max_length=4, choices=Answer)
    #: Null for a preference.
    correct = models.BooleanField(null=True)
    #: From the moment when the recordings could be played to the answer; null if unknown.
    milliseconds = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        ordering = ("at", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["item", "voter", "method", "round"], name="relay_vote_once"
            ),
            models.CheckConstraint(
                condition=Q(method="abx", x__in=["a", "b"], correct__isnull=False)
                | Q(method="preference", x="", correct__isnull=True),
                name="relay_vote_correct_when_abx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.method} {self.answer}"

    @property
    def preferred(self) -> int | None:
        """1 or 2: the variant of the answer; 0: no difference; None where nobody was asked."""
        if self.method != Method.PREFERENCE:
            return None
        if self.answer == Answer.SAME:
            return 0
        return 2 if (self.answer == Answer.A) == self.swapped else 1
