"""Durations and yes-or-no, as settings write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from reconciler.spec.config.setting_rules import flag, seconds

__all__ = ["DURATION_SCHEMA", "Duration", "Flag", "seconds"]

DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})? ?[smhd]?$"},
    ],
    "examples": [90, "90s", "2m", "1h", "1d"],
}

Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(DURATION_SCHEMA)]
"""A duration; seconds."""
Flag = Annotated[bool, BeforeValidator(flag)]
"""Yes or no."""
