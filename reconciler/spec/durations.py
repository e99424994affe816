"""Durations and yes-or-no, as settings write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from reconciler.spec.problems import quoted
from reconciler.spec.scalars import fail, kind_of

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?) ?(?P<unit>s|m|h|d)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})? ?[smhd]?$"},
    ],
    "examples": [90, "90s", "2m", "1h", "1d"],
}


def seconds(value: Any) -> float:
    """Take a duration: a number of seconds, or `90s`, `2m`, `1h`, `1d`. Gives seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        what = quoted(value) if isinstance(value, str) else kind_of(value)
        fail(f"is {what} where a duration is needed", "write seconds, or `90s`, `2m`, `1h`, `1d`")
    return float(match["number"]) * _SECONDS[match["unit"]]


def flag(value: Any) -> bool:
    """Take yes or no."""
    if value not in (True, False, "true", "false"):
        what = quoted(value) if isinstance(value, str) else kind_of(value)
        fail(f"is {what} where yes or no is needed", "write `true` or `false`")
    return value in (True, "true")


Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(DURATION_SCHEMA)]
"""A duration; seconds."""
Flag = Annotated[bool, BeforeValidator(flag)]
"""Yes or no."""
