"""The shapes of what `--format json` prints: the contract with programs that read it.

`reconciler.render.structured` builds them; `schemas/plan.schema.json` is generated from here.
Fields may be added within a `format_version`; none is taken away or changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12


class DiagnosticDocument(TypedDict):
    """Something wrong or odd. Lines and columns count from 1; 0 is the whole file."""

    severity: Literal["error", "warning"]
    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str


class ChangeDocument(TypedDict):
    """A field that differs between what is recorded and the spec; null is an absence."""

    field: str
    before: Any
    after: Any


class ProblemDocument(TypedDict):
    """A complaint of the API about one place in the request."""

    path: list[str | int]
    message: str


class ActionDocument(TypedDict):
    """What is, or was, done about one name.

    `contacts` is how many people the batch has, `people` how many are called by this action.
    `starts_at` is in UTC; `arm_delay` is in seconds after the creation. The fields from `outcome`
    on are there after an apply.
    """

    name: str
    action: Literal[
        "create", "replace", "pause", "resume", "cancel", "move", "adopt", "forget", "blocked"
    ]
    reason: str
    campaign_id: str
    contacts: int
    people: int
    generation: int
    scheduled_start: str | None
    starts_at: str | None
    arm_delay: NotRequired[float]
    file: NotRequired[str]
    batch_id: NotRequired[str | None]
    moved_from: NotRequired[str]
    changes: NotRequired[list[ChangeDocument]]
    message: NotRequired[str]
    hint: NotRequired[str]
    outcome: NotRequired[
        Literal["created", "rejected", "unknown", "blocked", "skipped", "done", "failed"]
    ]
    batch_ids: NotRequired[list[str]]
    warnings: NotRequired[list[str]]
    problems: NotRequired[list[ProblemDocument]]


class StateReference(TypedDict):
    """Which state a plan was made against."""

    lineage: str
    serial: int


class PlanDocument(TypedDict):
    """A plan, or with `outcomes` what an apply did. `actions` lists everything but none."""

    format_version: Literal["1.0"]
    actions: list[ActionDocument]
    summary: dict[str, int]
    diagnostics: list[DiagnosticDocument]
    people: NotRequired[int]
    offline: NotRequired[bool]
    state: NotRequired[StateReference]
    essence: NotRequired[list[dict[str, Any]]]
    outcomes: NotRequired[dict[str, int]]
    interrupted: NotRequired[bool]
