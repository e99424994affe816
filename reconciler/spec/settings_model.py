"""The shape of `reconciler.yaml`: what each setting means, what it takes, and its JSON Schema.

Needed only where there is such a file: the defaults are those of `reconciler.spec.settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler.spec.durations import DURATION_SCHEMA, Duration, Flag, seconds
from reconciler.spec.fields import Model, Text
from reconciler.spec.models import Split
from reconciler.spec.policy import Policy
from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice
from reconciler.spec.scalars import fail, text, whole_number
from reconciler.spec.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


def _lease(value: Any) -> float:
    duration = seconds(value)
    if duration <= 0:
        fail("is 0; a lease must last", "write the default, `300s`")
    return duration


def _average(value: Any) -> float:
    duration = seconds(value)
    if duration <= 0:
        fail("is 0; a call takes time", "write the default, `2m`")
    return duration


def _remote(value: Any) -> str:
    name = text(value)
    if name.startswith("-"):
        fail(f"is {quoted(name)}, which git would take for an option", "name a remote: `origin`")
    return name


def _between(low: int, high: int | None) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = whole_number(value)
        if number < low or (high is not None and number > high):
            fail(f"is {number}; it can be {low} {'or more' if high is None else f'to {high}'}")
        return number

    return check


def _one_of(*allowed: str) -> Callable[[Any], str]:
    return lambda value: choice(value, list(allowed))


_Average = Annotated[float, BeforeValidator(_average), WithJsonSchema(DURATION_SCHEMA)]
_Lease = Annotated[float, BeforeValidator(_lease), WithJsonSchema(DURATION_SCHEMA)]


class SettingsFile(Model):
    """Settings of one batches root. Durations are in seconds."""

    state: Annotated[Literal["file", "git"], BeforeValidator(_one_of("file", "git"))] = (
        Settings.state
    )
    """Where recorded state lives: `state.json` in the root, or commits on a branch."""
    state_remote: Annotated[Text, BeforeValidator(_remote)] = Settings.state_remote
    """The git remote that state is pushed to."""
    state_branch: Text | None = Settings.state_branch
    """The branch that holds state; default: the current one."""
    require_reviewed_plan: Flag = Settings.require_reviewed_plan
    """Whether apply begins only what stands in the plan's comment on a merged pull request."""
    reviewed_plan_author: Text = Settings.reviewed_plan_author
    """Who the workflow writes that comment as; comments of anybody else do not count."""
    unknown: Annotated[Literal["retry", "hold"], BeforeValidator(_one_of("retry", "hold"))] = (
        Settings.unknown
    )
    """What becomes of a create with an unknown outcome that cannot be found: created again with
    the same key (`retry`), or left to a person (`hold`)."""
    create_path: Annotated[
        Literal["/batches/", "/batches/upload"],
        BeforeValidator(_one_of("/batches/", "/batches/upload")),
    ] = Settings.create_path
    """The API's path for creating a batch."""
    parallelism: Annotated[int, Field(ge=1, le=64), BeforeValidator(_between(1, 64))] = (
        Settings.parallelism
    )
    """How many requests are under way at the same time."""
    verify_for: Duration = Settings.verify_for
    """How long to look for a batch whose outcome is unknown before leaving it in doubt."""
    settle: Duration = Settings.settle
    """How old an attempt must be before a batch that was not found is created again."""
    lease: _Lease = Settings.lease
    """How long an intent belongs to its run alone."""
    arm_delay: Duration = Settings.arm_delay
    """How far ahead a batch without scheduled_start is created, so that a duplicate or a mistake
    can be cancelled before any phone rings; 0 calls at once."""
    average_call: _Average = Settings.average_call
    """How long a call takes on average, for the estimate of when everybody has been called."""
    drain: Duration = Settings.drain
    """How long the calls in flight of a batch that is replaced are waited for; what is still in
    flight then counts as called."""
    split: Split | None = Settings.split
    """Cut lists that are too long for one batch into several, where a spec says nothing itself."""
    chunk: Annotated[int, Field(ge=1), BeforeValidator(_between(1, None))] = Settings.chunk
    """How many creates are recorded together."""
    policy: Policy | None = Settings.policy
    """Who may be called, when, how often and how many: what no launch may go against."""
