"""Where a listener stands, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from denoise_relay.access import Viewer
from denoise_relay.comparison.readiness import audible
from denoise_relay.comparison.trials import Trial, trial_of
from denoise_relay.models import Answer, Comparison, ComparisonItem, Method, Vote

#: How often one listener may hear all recordings with one method.
ROUND_LIMIT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a listener stands with one method."""

    #: None when all recordings of the round that are ready have been answered.
    trial: Trial | None
    round: int
    answered: int
    total: int
    #: Whether they have answered anything; recordings may have been deleted since.
    voted: bool

    @property
    def finished(self) -> bool:
        """Whether a whole round has been answered."""
        return self.voted and (self.round > 1 or self.trial is None)

    @property
    def may_go_on(self) -> bool:
        """Whether another round may begin."""
        return self.total > 0 and self.trial is None and self.round < ROUND_LIMIT


def progress(
    viewer: Viewer, comparison: Comparison, method: Method, *, again: bool = False
) -> Progress:
    """Where the listener stands; with `again` in the next round, if one has been finished."""
    items = audible(viewer, comparison)
    answers = Vote.objects.filter(
        item__comparison=comparison, voter=_voter(viewer), method=method.value
    )
    answered = set(answers.values_list("item", "round"))
    current = max((number for _, number in answered), default=1)
    found = _in_round(viewer, comparison, method, items, answered, current)
    if again and found.may_go_on:
        return _in_round(viewer, comparison, method, items, answered, current + 1)
    return found


def _in_round(
    viewer: Viewer,
    comparison: Comparison,
    method: Method,
    items: Sequence[ComparisonItem],
    answered: set[tuple[int, int]],
    number: int,
) -> Progress:
    left = [item for item in items if (item.pk, number) not in answered]
    trials = [trial_of(comparison, _voter(viewer), item, method, number) for item in left]
    return Progress(
        trial=min(trials, key=lambda trial: trial.order, default=None),
        round=number,
        answered=len(items) - len(left),
        total=len(items),
        voted=bool(answered),
    )


def find_trial(
    viewer: Viewer, comparison: Comparison, method: Method, item_id: int, number: int
) -> Trial | None:
    """A trial that the listener has reached, answered or not; None for any other."""
    current = progress(viewer, comparison, method)
    if not 1 <= number <= current.round + current.may_go_on:
        return None
    for item in audible(viewer, comparison):
        if item.pk == item_id:
            return trial_of(comparison, _voter(viewer), item, method, number)
    return None


def vote(viewer: Viewer, trial: Trial, answer: Answer, milliseconds: int | None) -> None:
    """Keep an answer. The first one counts: repeated requests change nothing.

    Raises `ValueError` for "no difference" in A/B/X.
    """
    if trial.x and answer == Answer.SAME:
        raise ValueError("X is A or B")
    Vote.objects.get_or_create(
        item=trial.item,
        voter_id=_voter(viewer),
        method=trial.method.value,
        round=trial.round,
        defaults={
            "swapped": trial.swapped,
            "x": trial.x,
            "answer": answer.value,
            "correct": answer.value == trial.x if trial.x else None,
            "milliseconds": milliseconds,
        },
    )


def _voter(viewer: Viewer) -> Any:
    """The key of the listener, who is always logged in."""
    assert viewer.logged_in_user is not None  # noqa: S101 - the views ask first
    return viewer.logged_in_user.pk
