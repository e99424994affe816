"""The shape of `policy.frequency`: how many calls a number may get within how long."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler.spec.config.durations import DURATION_SCHEMA
from reconciler.spec.config.setting_rules import seconds
from reconciler.spec.fields import Model
from reconciler.spec.yaml.scalars import at_least, fail, kind_of

LONGEST = 400 * 86_400.0
"""Seconds of the longest window: a year, and a month to look back on it."""
_MOST = 20


_calls = at_least(1, "at least 1 is needed", "to call nobody, write no spec")


def _within(value: Any) -> float:
    duration = seconds(value)
    if not 0 < duration <= LONGEST:
        fail("is no window: from 1 second to 400 days", "write how long calls count: `7d`")
    return duration


def _several(value: Any) -> Any:
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list) or not value:
        fail(f"is {kind_of(value)} where a limit is needed", "write `{calls: 3, within: 7d}`")
    if len(value) > _MOST:
        fail(f"has {len(value):,} entries; {_MOST} are the most")
    return value


class Frequency(Model):
    """Most calls that a number gets within some time, by all batches of this root."""

    calls: Annotated[int, Field(ge=1), BeforeValidator(_calls)]
    """How many calls. Each batch that a number is in counts as one."""
    within: Annotated[float, BeforeValidator(_within), WithJsonSchema(DURATION_SCHEMA)]
    """Within how long."""


_ONE = {
    "type": "object",
    "required": ["calls", "within"],
    "additionalProperties": False,
    "properties": {"calls": {"type": "integer", "minimum": 1}, "within": DURATION_SCHEMA},
}

Frequencies = Annotated[
    tuple[Frequency, ...],
    BeforeValidator(_several),
    WithJsonSchema(
        {
            "anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1, "maxItems": _MOST}],
            "examples": [{"calls": 3, "within": "7d"}],
        }
    ),
]
"""One limit, or several that all hold."""
