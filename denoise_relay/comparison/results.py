"""What the votes of a comparison say, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from denoise_relay.comparison.statistics import guessing_test, sign_test, wilson_interval
from denoise_relay.comparison.variants import variants_of
from denoise_relay.models import Comparison, Method, Vote

#: A result that chance brings more rarely than this is called a difference.
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A part of some votes. Percentages are rounded, for people."""

    label: str
    votes: int
    of: int

    @property
    def percent(self) -> int:
        return round(100 * self.votes / self.of) if self.of else 0

    @property
    def interval(self) -> tuple[int, int]:
        """Wilson's interval of 95 %."""
        low, high = wilson_interval(self.votes, self.of)
        return round(100 * low), round(100 * high)

    @property
    def figures(self) -> dict[str, object]:
        """Values for a sentence."""
        low, high = self.interval
        return {
            "name": self.label,
            "k": self.votes,
            "n": self.of,
            "percent": self.percent,
            "low": low,
            "high": high,
        }


def p_text(p: float) -> str:
    """A p-value for people: `p = 0.115`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """Votes for one variant, for the other, and for neither."""

    shares: tuple[Share, Share]
    ties: int
    p: float

    @property
    def p_text(self) -> str:
        return p_text(self.p)

    @property
    def sentence(self) -> str:
        first, second = self.shares
        if not first.of:
            return _("Nobody has preferred one yet.")
        if first.votes == second.votes:
            return _("Both were preferred equally often.")
        ahead = max(self.shares, key=lambda share: share.votes)
        if self.p >= SIGNIFICANT:
            text = ngettext(
                "%(name)s was preferred in %(k)d of %(n)d vote (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): not enough votes to say.",
                "%(name)s was preferred in %(k)d of %(n)d votes (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): not enough votes to say.",
                ahead.of,
            )
        else:
            text = _(
                "%(name)s was preferred in %(k)d of %(n)d votes (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): more than chance explains."
            )
        return text % ahead.figures


@dataclass(frozen=True, kw_only=True, slots=True)
class Abx:
    """How often X was recognised."""

    share: Share
    p: float

    @property
    def p_text(self) -> str:
        return p_text(self.p)

    @property
    def sentence(self) -> str:
        if not self.share.of:
            return _("Nobody has been asked for X yet.")
        if self.p >= SIGNIFICANT:
            text = ngettext(
                "X was recognised in %(k)d of %(n)d trial (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): this does not show that the two can be told apart.",
                "X was recognised in %(k)d of %(n)d trials (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): this does not show that the two can be told apart.",
                self.share.of,
            )
        else:
            text = _(
                "X was recognised in %(k)d of %(n)d trials (%(percent)d%%, 95%% interval "
                "%(low)d–%(high)d%%): the two can be told apart."
            )
        return text % self.share.figures


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Everything that the page of results shows."""

    preference: Preference
    abx: Abx
    listeners: int


def results_of(comparison: Comparison) -> Results:
    """Count all votes of a comparison."""
    votes = list(Vote.objects.filter(item__comparison=comparison))
    return Results(
        preference=_preference(comparison, [vote.preferred for vote in votes]),
        abx=_abx([vote.correct for vote in votes if vote.method == Method.ABX]),
        listeners=len({vote.voter_id for vote in votes}),
    )


def _preference(comparison: Comparison, preferred: Sequence[int | None]) -> Preference:
    counts = preferred.count(1), preferred.count(2)
    of = sum(counts)
    first, second = (
        Share(label=variant.label, votes=count, of=of)
        for variant, count in zip(variants_of(comparison), counts, strict=True)
    )
    return Preference(shares=(first, second), ties=preferred.count(0), p=sign_test(*counts))


def _abx(answers: Sequence[bool | None]) -> Abx:
    right = answers.count(True)
    return Abx(
        share=Share(label=_("X recognised"), votes=right, of=len(answers)),
        p=guessing_test(right, len(answers)),
    )
