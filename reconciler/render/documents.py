"""The shapes of what `--format json` prints: the contract with programs that read it.

`reconciler.render.structured` and the commands build them; the schemas of `plan`, `validate`,
`state list` and `stop` are generated from here.
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


class ContactChangesDocument(TypedDict):
    """How many people differ from those of the batches before. Examples are masked."""

    added: int
    removed: int
    changed: int
    examples: list[str]


class ReplacementDocument(TypedDict):
    """How a changed spec's new batch takes the place of earlier ones.

    `batches` are those that are paused first and cancelled afterwards. `reverts_to` is the earlier
    generation that the spec says again.
    """

    on_change: Literal["remaining", "everyone", "added", "forbid"]
    batches: list[str]
    reverts_to: int | None


class RuledDocument(TypedDict):
    """A rule of the policy that refuses an action; `where` is file:line:column.

    `source` cites the law that a pack has the rule from.
    """

    rule: str
    message: str
    where: str | None
    hint: str
    source: str | None


class LeftOutDocument(TypedDict):
    """How many people of a spec are not called because a list of the policy, `of`, has them."""

    of: str
    people: int


class ExceptionDocument(TypedDict):
    """An exception from a rule of the policy that a plan makes use of.

    `finding` is what the rule says, `until` the last day of the exception, `source` the law that a
    pack has the rule from.
    """

    name: str
    rule: str
    finding: str
    reason: str
    until: str
    source: str | None


class ActionDocument(TypedDict):
    """What is, or was, done about one name.

    `contacts` is how many people the batch has, `people` how many are called by this action,
    `called_again` how many of those were called before. `already_called` counts the people of the
    spec who were called before, be they called again or not; by earlier batches of its name, or by
    batches whose spec is gone or has changed. With `at_most` the API was not asked: `people` and
    `called_again` are upper bounds, and `already_called` is left out.
    `requests` is how many batches are created, where that is more than one: the spec is split.

    `starts_at` is in UTC; `arm_delay` is in seconds after the creation. `first_call` and
    `last_call_about` are estimated within the campaign's working hours, in UTC, null where nobody
    can tell. `targets` are existing batches that are paused, resumed or cancelled. `rules` are the
    policy's that refuse it. The fields from `outcome` on are there after an apply.
    """

    name: str
    action: Literal[
        "create", "replace", "pause", "resume", "cancel", "move", "adopt", "forget", "blocked"
    ]
    reason: str
    campaign_id: str
    contacts: int
    people: int
    requests: NotRequired[int]
    called_again: NotRequired[int]
    already_called: NotRequired[int]
    at_most: NotRequired[bool]
    generation: int
    scheduled_start: str | None
    starts_at: str | None
    arm_delay: NotRequired[float]
    first_call: NotRequired[str | None]
    last_call_about: NotRequired[str | None]
    file: NotRequired[str]
    batch_id: NotRequired[str | None]
    targets: NotRequired[list[str]]
    moved_from: NotRequired[str]
    replaces: NotRequired[ReplacementDocument]
    changes: NotRequired[list[ChangeDocument]]
    contact_changes: NotRequired[ContactChangesDocument]
    rules: NotRequired[list[RuledDocument]]
    left_out: NotRequired[list[LeftOutDocument]]
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
    """A plan, or with `outcomes` what an apply did. `actions` lists everything but none.

    `people` is how many are called, `called_again` how many of them were called before; with
    `at_most` both are upper bounds. Who is in several new batches is counted in each; `repeated` is
    by how much that is more than there are people, left out for 0. `plan_hash` stands for all that
    a reviewer agrees to: it does not change with time, counters or the order in files.
    """

    format_version: Literal["1.0"]
    actions: list[ActionDocument]
    summary: dict[str, int]
    diagnostics: list[DiagnosticDocument]
    plan_hash: NotRequired[str]
    people: NotRequired[int]
    called_again: NotRequired[int]
    at_most: NotRequired[bool]
    repeated: NotRequired[int]
    offline: NotRequired[bool]
    state: NotRequired[StateReference]
    exceptions: NotRequired[list[ExceptionDocument]]
    essence: NotRequired[list[dict[str, Any]]]
    outcomes: NotRequired[dict[str, int]]
    interrupted: NotRequired[bool]


class ValidationDocument(TypedDict):
    """What `validate` found. `files` counts the spec files, sound or not."""

    format_version: Literal["1.0"]
    diagnostics: list[DiagnosticDocument]
    files: int


class StateRowDocument(TypedDict):
    """One request of a name's current generation, as it is recorded.

    `status` is `creating` while nobody knows whether the batch exists, and `complete` where nobody
    was left to call, so that none was needed: then there is no `batch_id`.
    """

    name: str
    batch_id: str | None
    status: Literal["creating", "created", "complete"]
    campaign_id: str
    contacts: int
    generation: int
    key: str
    part: int


class StateListDocument(TypedDict):
    """What `state list --format json` prints. `diagnostics` say why it failed."""

    format_version: Literal["1.0"]
    batches: list[StateRowDocument]
    diagnostics: NotRequired[list[DiagnosticDocument]]


class StopRowDocument(TypedDict):
    """One batch that `stop` found, or a name for which it found none: `batch_id` is null then."""

    name: str
    batch_id: str | None
    outcome: Literal["paused", "cancelled", "failed", "in_doubt"]
    message: str


class StopDocument(TypedDict):
    """What `stop --format json` prints: the calls are stopped whether or not that is `recorded`.

    `problem` is why it is not; null where nothing is in the way. `diagnostics` say why nothing was
    done at all.
    """

    format_version: Literal["1.0"]
    batches: list[StopRowDocument]
    recorded: bool
    problem: str | None
    diagnostics: NotRequired[list[DiagnosticDocument]]
