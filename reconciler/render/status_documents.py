"""The shapes of what `status` and `explain` print with `--format json`: see `schemas/`.

Fields may be added within a `format_version`; none is taken away or changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from reconciler.render.documents import DiagnosticDocument  # noqa: TC001 - pydantic resolves it


class ProblemReadDocument(TypedDict):
    """Something that could not be read, and what to do about it."""

    message: str
    hint: str


class CampaignDocument(TypedDict):
    """A campaign that has recorded batches; null is what could not be read."""

    campaign_id: str
    name: str | None
    timezone: str | None
    status: str | None


class BatchDocument(TypedDict):
    """Where one recorded batch stands; null is what cannot be told.

    `status` is the API's, or `in_doubt`, `gone` or `unknown`; or `complete` where nobody was left
    to call: then `contacts` counts the spec's people, and is 0 while an earlier batch runs on.
    `counters` are as the API sends them. `done` counts the people who will not be called any more,
    `rate_per_hour` those done per hour in which calls were allowed. Times are in UTC. `parts` is
    how many batches there are to be of a spec that is cut; one that is not created has no row.
    """

    name: str
    batch_id: str | None
    status: str
    campaign_id: str
    contacts: int
    generation: int
    part: int
    counters: dict[str, Any]
    done: int | None
    starts_at: str | None
    created_at: str | None
    rate_per_hour: float | None
    ends_about: str | None
    parts: NotRequired[int]


class StatusDocument(TypedDict):
    """What `status --format json` prints. `diagnostics` are there when it failed altogether."""

    format_version: Literal["1.0"]
    campaigns: list[CampaignDocument]
    batches: list[BatchDocument]
    problems: list[ProblemReadDocument]
    diagnostics: NotRequired[list[DiagnosticDocument]]


class FindingDocument(TypedDict):
    """One reason why calls do not go out. `cause` is a word that never changes its meaning.

    `until` is when it ends by itself, in UTC; null when it does not, or nobody knows.
    """

    cause: str
    message: str
    hint: str
    until: str | None


class ExplainedBatchDocument(TypedDict):
    """One batch of the name: `findings` has at least one, the answer first.

    `generation` is there for a batch of an earlier one that still runs.
    """

    batch_id: str | None
    part: int
    status: str
    generation: NotRequired[int]
    findings: list[FindingDocument]


class ExplainDocument(TypedDict):
    """What `explain --format json` prints. `diagnostics` are there when it failed altogether."""

    format_version: Literal["1.0"]
    name: str
    generation: int | None
    campaign_id: str | None
    batches: list[ExplainedBatchDocument]
    problems: list[ProblemReadDocument]
    diagnostics: NotRequired[list[DiagnosticDocument]]
