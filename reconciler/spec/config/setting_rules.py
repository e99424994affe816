"""What each setting of `reconciler.yaml` takes: one function a setting, as `rules` for specs.

Each raises `Unfit` for what its setting does not take. Imports no pydantic: a root's settings are
mostly a few words without a mistake, and are read without it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice
from reconciler.spec.yaml.scalars import at_least, fail, kind_of, text, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.spec.rules import Rules

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?) ?(?P<unit>s|m|h|d)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
MOST_PARALLEL = 64
_NEITHER = frozenset({"yes", "no", "on", "off", "y", "n", "0", "1", "none", "true", "false"})
"""What other readers of YAML take for true or false, and ours for text."""


def seconds(value: Any) -> float:
    """Take a duration: a number of seconds, or `90s`, `2m`, `1h`, `1d`. Gives seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        what = quoted(value) if isinstance(value, str) else kind_of(value)
        fail(f"is {what} where a duration is needed", "write seconds, or `90s`, `2m`, `1h`, `1d`")
    return float(match["number"]) * _SECONDS[match["unit"]]


def lasting(why: str, hint: str) -> Callable[[Any], float]:
    """Give what takes a duration of more than nothing; `why` says what that would break."""

    def take(value: Any) -> float:
        duration = seconds(value)
        if duration <= 0:
            fail(f"is 0; {why}", hint)
        return duration

    return take


def flag(value: Any) -> bool:
    """Take yes or no."""
    if value not in (True, False, "true", "false"):
        what = quoted(value) if isinstance(value, str) else kind_of(value)
        fail(f"is {what} where yes or no is needed", "write `true` or `false`")
    return value in (True, "true")


def freeze(value: Any) -> bool | str:
    """Take whether everything is stopped: yes, no, or the reason why it is."""
    if value in (True, False, "true", "false"):
        return value in (True, "true")
    reason = text(value)
    if reason.strip().lower() in _NEITHER:
        fail(f"is {quoted(reason)}, which could mean either", "write `true`, `false` or a reason")
    return reason


def state(value: Any) -> str:
    """Take where state lives."""
    return choice(value, ["file", "git"])


def state_remote(value: Any) -> str:
    """Take the name of a git remote."""
    name = text(value)
    if name.startswith("-"):
        fail(f"is {quoted(name)}, which git would take for an option", "name a remote: `origin`")
    return name


def unknown(value: Any) -> str:
    """Take what becomes of a create that cannot be found."""
    return choice(value, ["retry", "hold"])


def create_path(value: Any) -> str:
    """Take one of the API's two paths."""
    return choice(value, ["/batches/", "/batches/upload"])


def parallelism(value: Any) -> int:
    """Take how many requests are under way at once."""
    number = whole_number(value)
    if not 1 <= number <= MOST_PARALLEL:
        fail(f"is {number}; it can be 1 to {MOST_PARALLEL}")
    return number


lease = lasting("a lease must last", "write the default, `300s`")
"""Take how long an intent may be acted on."""

average_call = lasting("a call takes time", "write the default, `2m`")
"""Take how long a call lasts."""

chunk = at_least(1, "it can be 1 or more")
"""Take how many creates are recorded together."""


RULES: Rules = {
    "state": state,
    "state_remote": state_remote,
    "state_branch": text,
    "require_reviewed_plan": flag,
    "reviewed_plan_author": text,
    "unknown": unknown,
    "create_path": create_path,
    "parallelism": parallelism,
    "verify_for": seconds,
    "settle": seconds,
    "lease": lease,
    "arm_delay": seconds,
    "average_call": average_call,
    "drain": seconds,
    "chunk": chunk,
    "freeze": freeze,
}
"""Setting → what it takes; those that are more than one value (`split`, `policy`) are left out."""
