"""Launches as the rules see them, in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model import Clearance
from reconciler.policy.case import Case, Crowd

if TYPE_CHECKING:
    from datetime import datetime


def launch_of(crowd: Crowd, now: datetime, **others: Any) -> Case:
    """Give the launch of one batch that begins now, by a campaign that nobody knows."""
    plain: dict[str, Any] = {
        "name": "welcome",
        "fields": {"campaign_id": "cmp_1"},
        "crowd": crowd,
        "clearance": Clearance(),
        "campaign": None,
        "starts_at": now,
        "now": now,
        "parts": (crowd.people,),
    }
    return Case(**{**plain, **others})
