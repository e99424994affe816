"""The shape of `reconciler.yaml`: what each setting means, what it takes, and its JSON Schema.

Needed only where such a file has a mistake, or more in it than single values: the defaults are
those of `spec.config.settings`, what each setting takes is in `spec.config.setting_rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler.spec.config import setting_rules as rules
from reconciler.spec.config.durations import DURATION_SCHEMA, Duration, Flag
from reconciler.spec.config.policy import Policy
from reconciler.spec.config.settings import Settings
from reconciler.spec.fields import Model, Text
from reconciler.spec.models import Split

_Average = Annotated[float, BeforeValidator(rules.average_call), WithJsonSchema(DURATION_SCHEMA)]
_Freeze = Annotated[
    bool | str,
    BeforeValidator(rules.freeze),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 1}]}),
]
_Lease = Annotated[float, BeforeValidator(rules.lease), WithJsonSchema(DURATION_SCHEMA)]


_USUAL = Settings()


class SettingsFile(Model):
    """Settings of one batches root. Durations are in seconds."""

    state: Annotated[Literal["file", "git"], BeforeValidator(rules.state)] = _USUAL.state
    """Where recorded state lives: `state.json` in the root, or commits on a branch."""
    state_remote: Annotated[Text, BeforeValidator(rules.state_remote)] = _USUAL.state_remote
    """The git remote that state is pushed to."""
    state_branch: Text | None = _USUAL.state_branch
    """The branch that holds state; default: the current one."""
    require_reviewed_plan: Flag = _USUAL.require_reviewed_plan
    """Whether apply begins only what stands in the plan's comment on a merged pull request."""
    reviewed_plan_author: Text = _USUAL.reviewed_plan_author
    """Who the workflow writes that comment as; comments of anybody else do not count."""
    unknown: Annotated[Literal["retry", "hold"], BeforeValidator(rules.unknown)] = _USUAL.unknown
    """What becomes of a create with an unknown outcome that cannot be found: created again with
    the same key (`retry`), or left to a person (`hold`)."""
    create_path: Annotated[
        Literal["/batches/", "/batches/upload"],
        BeforeValidator(rules.create_path),
    ] = _USUAL.create_path
    """The API's path for creating a batch."""
    parallelism: Annotated[
        int, Field(ge=1, le=rules.MOST_PARALLEL), BeforeValidator(rules.parallelism)
    ] = _USUAL.parallelism
    """How many requests are under way at the same time."""
    verify_for: Duration = _USUAL.verify_for
    """How long to look for a batch whose outcome is unknown before leaving it in doubt."""
    settle: Duration = _USUAL.settle
    """How old an attempt must be before a batch that was not found is created again."""
    lease: _Lease = _USUAL.lease
    """How long an intent belongs to its run alone."""
    arm_delay: Duration = _USUAL.arm_delay
    """How far ahead a batch without scheduled_start is created, so that a duplicate or a mistake
    can be cancelled before any phone rings; 0 calls at once."""
    average_call: _Average = _USUAL.average_call
    """How long a call takes on average, for the estimate of when everybody has been called."""
    drain: Duration = _USUAL.drain
    """How long the calls in flight of a batch that is replaced are waited for; what is still in
    flight then counts as called."""
    split: Split | None = _USUAL.split
    """Cut lists that are too long for one batch into several, where a spec says nothing itself."""
    chunk: Annotated[int, Field(ge=1), BeforeValidator(rules.chunk)] = _USUAL.chunk
    """How many creates are recorded together."""
    freeze: _Freeze = _USUAL.freeze
    """Stops every create and every resume at once: `true`, or the reason why. So does a file
    called FREEZE beside this one."""
    policy: Policy | None = _USUAL.policy
    """Who may be called, when, how often and how many: what no launch may go against."""

    @classmethod
    def _needs(cls, name: str) -> bool:
        """Take a policy without a line below it for a mistake: its rules may have got lost."""
        return name == "policy" or super()._needs(name)
