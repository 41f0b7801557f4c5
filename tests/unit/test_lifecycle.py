from __future__ import annotations

import itertools

import pytest

from denoise_relay.exceptions import IllegalTransition
from denoise_relay.lifecycle import ACTIVE, TERMINAL, TRANSITIONS, Status, advance


def test_every_status_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert set(Status) == ACTIVE | TERMINAL
    assert {Status.DONE, Status.ERROR, Status.CANCELED} == TERMINAL


@pytest.mark.parametrize(("current", "target"), list(itertools.product(Status, Status)))
def test_advance_follows_the_table(current: Status, target: Status) -> None:
    if target in TRANSITIONS[current]:
        assert advance(current, target) is target
    else:
        with pytest.raises(IllegalTransition, match=f"{current} may not become {target}"):
            advance(current, target)


@pytest.mark.parametrize("ended", sorted(TERMINAL))
def test_an_ended_job_never_changes_again(ended: Status) -> None:
    with pytest.raises(IllegalTransition, match="nothing: it has ended"):
        advance(ended, ended)


@pytest.mark.parametrize("active", sorted(ACTIVE))
def test_every_active_job_can_end_any_way(active: Status) -> None:
    assert TRANSITIONS[active] >= TERMINAL
