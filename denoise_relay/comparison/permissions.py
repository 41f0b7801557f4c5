"""Who may make, hear and reveal comparisons. Who may hear a recording is for `access` to say."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from django.http import Http404

from denoise_relay.access import Viewer
from denoise_relay.models import Comparison


def may(viewer: Viewer, action: Literal["add", "view", "change"]) -> bool:
    """Staff with the model permission; who may change one may view it."""
    user = viewer.logged_in_user
    if user is None or not getattr(user, "is_staff", False):
        return False
    names = ("view", "change") if action == "view" else (action,)
    return any(user.has_perm(f"denoise_relay.{name}_comparison") for name in names)  # type: ignore[attr-defined]


def get_comparison(viewer: Viewer, comparison_id: UUID) -> Comparison:
    """Return the comparison; the same `Http404` for an unknown one and for a forbidden one."""
    found = Comparison.objects.filter(pk=comparison_id).first() if may(viewer, "view") else None
    if found is None:
        raise Http404("No such comparison.")
    return found
