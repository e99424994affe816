"""The plan as data: ordered actions, each with why, whom it calls and when.

Every renderer and the engine consume this same value, so the preview cannot tell another story
than the run. `Reason` explains and is never used to decide; `Role` and `Refusal` are.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from reconciler.model import OnChange, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from reconciler.model import Diagnostic, Request, Spec
    from reconciler.observed import Batch, Campaign
    from reconciler.state.document import RequestRecord


AT_ONCE = timedelta(0)


class ActionKind(StrEnum):
    """What is done about one name. Closed: code that decides matches on it exhaustively."""

    CREATE = "create"
    REPLACE = "replace"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    MOVE = "move"
    ADOPT = "adopt"
    FORGET = "forget"
    NONE = "none"
    BLOCKED = "blocked"


class Reason(StrEnum):
    """Why, for people and for programs that sort what they show."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    NOT_CREATED = "not_created"
    CHANGED = "changed"
    RENAMED = "renamed"
    FOUND = "found"
    ALREADY_EXISTS = "already_exists"
    DUPLICATE = "duplicate"
    LIFECYCLE = "lifecycle"
    UNCHANGED = "unchanged"
    NOT_WANTED = "not_wanted"
    IN_DOUBT = "in_doubt"
    HELD = "held"
    KEY_CONFLICT = "key_conflict"
    NAME_IN_USE = "name_in_use"
    CONTENTS_IN_USE = "contents_in_use"
    START_NOT_KNOWN = "start_not_known"
    OTHER_ORGANIZATION = "other_organization"
    STARTS_IN_THE_PAST = "starts_in_the_past"
    ON_CHANGE_FORBIDS = "on_change_forbids"
    REVERTED = "reverted"
    REPLACED = "replaced"
    ABANDONED = "abandoned"
    REMOVED = "removed"
    PAUSED_BY_HAND = "paused_by_hand"
    CALLED_UNKNOWN = "called_unknown"
    FROZEN = "frozen"
    STOPPED_BY_HAND = "stopped_by_hand"
    POLICY = "policy"


class Role(StrEnum):
    """On whose behalf something is done. Decided by, where `Reason` only explains."""

    SPEC = "spec"
    """A spec asks for it, or its removal does."""
    BEGUN = "begun"
    """An earlier run began it: it is brought to its end, or undone."""
    DUPLICATE = "duplicate"
    """A second batch of a key came to light."""
    STOPPED = "stopped"
    """A person has stopped the name by hand, and this of it came to light since."""


class Refusal(StrEnum):
    """Of what kind a blocked action's obstacle is; it decides the exit status."""

    GUARD = "guard"
    """A guard said no."""
    FORBIDDEN = "forbidden"
    """The spec itself forbids what its change asks for: already the plan fails."""
    DOUBT = "doubt"
    """Nobody can know yet whether a batch exists."""
    CONFLICT = "conflict"
    """A batch exists that cannot be ours and carries our key: a person has to look."""
    MISTAKE = "mistake"
    """The spec is wrong, as validation would have said had it known the time."""


class Creation(Struct, frozen=True):
    """One request to be created: what is sent, under which key, after which earlier attempt.

    `previous` is the record of an attempt that was in doubt and is now taken for not created.
    `spec_contacts` is how many contacts the spec has, where `request` holds only some of them.
    """

    request: Request
    key: str
    previous: RequestRecord | None = None
    spec_contacts: int | None = None


class Adoption(Struct, frozen=True):
    """A batch that exists and is to be recorded for one part of a generation."""

    part: int
    batch: Batch
    key: str
    digest: str
    contacts: int


class FieldChange(Struct, frozen=True):
    """One field that differs between what is recorded and what the spec says."""

    field: str
    before: Any
    after: Any


class Target(Struct, frozen=True):
    """A batch that exists and that an action pauses, resumes or cancels."""

    batch_id: str
    generation: int
    part: int


class ContactChanges(Struct, frozen=True, kw_only=True):
    """How a spec's contacts differ from those of the batches before it. Examples are masked."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    examples: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class RunningOn(Struct, frozen=True, kw_only=True):
    """Who may still be called by old batches that a change leaves alone, other than it says.

    `removed` are in the spec no more, `outdated` have other variables there. `batches` counts the
    batches.
    """

    removed: int
    outdated: int
    batches: int


class Replacement(Struct, frozen=True, kw_only=True):
    """How a new generation takes the place of the batches before it.

    `olds` are paused before and cancelled after its creation; `added` leaves them alone, so it has
    none. `paused` tells that they are paused by us, by their lifecycle or by a run that ended
    early; `held` are those that were seen paused by such a run. `reverts_to` is the earlier
    generation that the spec says again, None for none. `running_on` tells of those left alone, None
    where the API has not told who is in them.
    """

    on_change: OnChange
    olds: tuple[Target, ...] = ()
    paused: bool = False
    held: tuple[str, ...] = ()
    reverts_to: int | None = None
    running_on: RunningOn | None = None


class Callees(Struct, frozen=True, kw_only=True):
    """Who of a spec's people is called: the count, and how the others fared.

    A changed spec has this, and a new one that calls again whom a batch without a spec has called.
    `to_call` get a call from the new batch, `again` of them although an earlier batch has reached
    or exhausted them. `called` are the people of the spec whom earlier batches have reached,
    exhausted or skipped. `at_most` tells that the API was not asked: `to_call` is an upper bound,
    and the others are not known. `parts` is how many people each batch calls that is created; None
    where that is not known.
    """

    to_call: int
    called: int = 0
    again: int = 0
    at_most: bool = False
    parts: tuple[int, ...] | None = None


class LeftOut(Struct, frozen=True, kw_only=True):
    """People of a spec who are not called because a list of the policy has their numbers."""

    of: str
    people: int


class Ruled(Struct, frozen=True, kw_only=True):
    """A rule of the policy that refuses an action: what it says, and `where` (file:line:column).

    `where` is empty where no line is to blame. `source` cites the law that a pack has it from.
    """

    rule: str
    message: str
    where: str = ""
    hint: str = ""
    source: str = ""


class Excepted(Struct, frozen=True, kw_only=True):
    """A refusal of the policy that an exception in the spec sets aside, with all it says."""

    name: str
    rule: str
    finding: str
    reason: str
    until: date
    source: str = ""


class Action(Struct, frozen=True, kw_only=True):
    """What is done about one name, and all that a person needs to agree to it.

    `contacts` is how many people the action's batch has. `starts_at` is when the first call can go
    out, aware in UTC: None for at once, or when the campaign's timezone is not known. `part` tells
    which request a duplicate is of. `targets` are the batches that are paused, resumed or
    cancelled. `replacement` and `contact_changes` belong to a changed spec, and so does `callees`,
    but for a new one that calls people again. `arm_delay` is how long after its creation a batch
    without a scheduled start begins to call; zero is at once. `rules` are the policy's that refuse
    it, `left_out` those whom its lists leave out.
    """

    kind: ActionKind
    name: str
    reason: Reason
    campaign_id: str
    role: Role = Role.SPEC
    refusal: Refusal = Refusal.GUARD
    contacts: int
    generation: int = 1
    spec: Spec | None = None
    creations: tuple[Creation, ...] = ()
    adoptions: tuple[Adoption, ...] = ()
    batch_id: str | None = None
    part: int = 1
    targets: tuple[Target, ...] = ()
    replacement: Replacement | None = None
    callees: Callees | None = None
    contact_changes: ContactChanges | None = None
    moved_from: str | None = None
    changes: tuple[FieldChange, ...] = ()
    scheduled_start: str | None = None
    starts_at: datetime | None = None
    arm_delay: timedelta = AT_ONCE
    rules: tuple[Ruled, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    message: str = ""
    hint: str = ""

    @property
    def people(self) -> int:
        """How many people are called because of this action; at most, if `callees` says so."""
        if self.callees is not None and self.creations:
            return self.callees.to_call
        return sum(len(creation.request.contacts) for creation in self.creations)

    @property
    def parts(self) -> tuple[int, ...]:
        """How many people each of its new batches is for; for one with nobody there is none."""
        if self.callees is not None and self.callees.parts is not None:
            return self.callees.parts
        return tuple(len(creation.request.contacts) for creation in self.creations)

    @property
    def again(self) -> int:
        """How many people are called who were called before."""
        return self.callees.again if self.callees is not None and self.creations else 0


class Plan(Struct, frozen=True, kw_only=True):
    """Ordered actions over one version of the state.

    `actions` holds those of kind none too, but for `unread` specs: they are as recorded, and only
    counted. `offline` tells that nothing was asked of the API. `excepted` are the
    exceptions from the policy that it makes use of. `repeated` counts the calls of new batches to
    people whom another new one calls too, but for one call each.
    """

    actions: tuple[Action, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    lineage: str
    serial: int
    offline: bool = False
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    excepted: tuple[Excepted, ...] = ()
    unread: int = 0
    repeated: int = 0

    @property
    def pending(self) -> tuple[Action, ...]:
        """What there is to do or to tell: everything but none."""
        return tuple(a for a in self.actions if a.kind is not ActionKind.NONE)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What is wrong with specs that are otherwise sound (a start that is over)."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)

    @property
    def people(self) -> int:
        """How many people are called because of this plan; who is in several batches, by each."""
        return sum(action.people for action in self.actions)

    @property
    def again(self) -> int:
        """How many people are called because of this plan who were called before."""
        return sum(action.again for action in self.actions)

    @property
    def at_most(self) -> bool:
        """Whether `people` is an upper bound: the API was not asked who has been called."""
        return any(a.callees.at_most for a in self.actions if a.callees is not None)

    def summary(self) -> dict[str, int]:
        """Count the actions of every kind, zeros included. The one place that counts."""
        counts = Counter(action.kind for action in self.actions)
        counts[ActionKind.NONE] += self.unread
        return {kind.value: counts[kind] for kind in ActionKind}

    def essence(self) -> list[dict[str, Any]]:
        """Give what a reviewer agrees to: what is created for whom; nothing that drifts by itself.

        Two plans with the same essence do the same things to the same people.
        """
        return [
            {
                "action": action.kind.value,
                "name": action.name,
                "campaign_id": action.campaign_id,
                "generation": action.generation,
                "batch_id": action.batch_id,
                "digests": [c.request.digest for c in action.creations]
                or [a.digest for a in action.adoptions],
                "on_change": action.replacement.on_change.value if action.replacement else None,
                "targets": [target.batch_id for target in action.targets],
                **_exceptions(action),
            }
            for action in self.pending
        ]


def _exceptions(action: Action) -> dict[str, Any]:
    """Give what a launch's spec asks to be excepted from, in use or not; mostly nothing."""
    waivers = action.spec.clearance.exceptions if action.spec and action.creations else ()
    each = sorted([w.rule, w.reason, w.until.isoformat()] for w in waivers)
    return {"exceptions": each} if each else {}
