"""The policy over a whole plan, and again over each request just before it is sent.

The plan is judged with what is known when it is made; right before a POST everything is judged
once more, because minutes or hours may have gone by. Both ask the same rules. What nobody can tell
is refused when it is about to be sent, and only told where nothing was asked of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.errors import Refused
from reconciler.model import Clearance, Diagnostic, Severity
from reconciler.plan.actions import (
    Action,
    ActionKind,
    Excepted,
    LeftOut,
    Plan,
    Reason,
    Refusal,
    Role,
    Ruled,
)
from reconciler.plan.estimate import AVERAGE_CALL
from reconciler.plan.newcomers import repeated_calls
from reconciler.policy.case import Case, Crowd, Totals
from reconciler.policy.finding import Level
from reconciler.policy.frequency import continued
from reconciler.policy.judge import judge
from reconciler.policy.totals import Sizes, in_all, launched_of_late, with_one_more
from reconciler.spec.schedule import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from datetime import date, datetime, timedelta

    from reconciler.model import Contact, Request, Spec
    from reconciler.plan.actions import Callees, Creation
    from reconciler.policy.finding import Finding
    from reconciler.policy.judge import Judgement, Layer, SetAside
    from reconciler.state.document import State

    Locate = Callable[[Spec, tuple[str | int, ...]], tuple[str, int, int]]
    """Finds the file, line and column of a part of a spec; see `reconciler.spec.locate.locate`."""

_NO_CLEARANCE = Clearance()
_NOBODY = Crowd()
"""In place of the people whom a single layer is about, each of which has its own."""

_NO_TOTALS = Totals()
"""Where a launch is judged for itself."""


class Lists(Protocol):
    """What the rules know of single people. Counted in passes over them, never kept."""

    def crowds(self, requests: Sequence[Request]) -> tuple[Crowd, ...]:
        """Count the people of some requests whom each layer is about, as far as it asks."""

    def scrubs(self, campaign_id: str) -> tuple[date, ...]:
        """Give the days of the do-not-call lists that are for a campaign and can be read."""

    def findings(
        self, case: Case, requests: Sequence[Request], besides: Container[str] = ()
    ) -> Iterable[tuple[Layer | None, Finding]]:
        """Say which of these people may not be called, and why; or why nobody can tell.

        Without requests, only what may have changed since they were given. `besides` are keys of
        requests that the launch goes on with, so that their calls do not count.
        """

    def launched(self, case: Case, creations: Iterable[Creation]) -> None:
        """Count a launch of the plan that nothing refuses, for those that come after it."""

    def without(
        self, campaign_id: str, contacts: Sequence[Contact], *, readable: bool = False
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts without those whom a list leaves out, and how many each has.

        Raises `Refused` where a list cannot be asked; with `readable` only the others are.
        """


class Guard(Struct):
    """The policy of one root. Judging is pure but for what `lists` read, which is remembered."""

    layers: tuple[Layer, ...]
    lists: Lists
    locate: Locate
    organization_id: str | None = None
    average_call: timedelta = AVERAGE_CALL
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _sizes: Sizes = field(default_factory=Sizes)

    def review(self, plan: Plan, state: State, now: datetime) -> Plan:
        """Give the plan with what the policy refuses blocked, and what it warns of told."""
        launches = {id(a): self._without_listed(a) for a in plan.actions if a.creations}
        if not launches:
            return plan
        self._seen, self._sizes = {}, Sizes()
        judgements = {each: self._first_look(plan, launches[each], state, now) for each in launches}
        # What is not launched anyway is in nobody's way.
        able = [launches[each] for each in launches if not judgements[each].refusals]
        # Without a policy nobody asks, and all that is recorded need not be gone through.
        recent = launched_of_late(state, now) if self.layers else {}
        totals = in_all(able, recent)
        actions: list[Action] = []
        warnings: list[Diagnostic] = []
        excepted: list[Excepted] = []
        for action in plan.actions:
            if id(action) not in launches:
                actions.append(action)
                continue
            launch, judgement = launches[id(action)], judgements[id(action)]
            of_all = with_one_more(totals, launch, recent) if judgement.refusals else totals
            self._seen[action.name] = seen = replace(self._seen[action.name], totals=of_all)
            judgement = self._judge(seen, now, again=True).and_also(judgement)
            warnings += (self._told(launch, finding) for finding in judgement.warnings)
            excepted += (_excepted(launch, each) for each in judgement.set_aside)
            actions.append(self._blocked(launch, judgement) if judgement.refusals else launch)
        fewer = any(new is not old for new, old in zip(actions, plan.actions, strict=True))
        return replace(
            plan,
            actions=tuple(actions),
            repeated=repeated_calls(actions) if plan.repeated and fewer else plan.repeated,
            diagnostics=(*plan.diagnostics, *warnings),
            excepted=tuple(excepted),
        )

    def _first_look(self, plan: Plan, launch: Action, state: State, now: datetime) -> Judgement:
        """Judge a launch for itself, and remember what the rules see of it."""
        requests = [creation.request for creation in launch.creations]
        seen = _Seen(launch, plan, self.lists.crowds(requests), besides=continued(launch, state))
        self._sizes.planned(launch)
        self._seen[launch.name] = seen
        judgement = self._judge(seen, now)
        if not judgement.refusals:
            self.lists.launched(self._case(seen, now), launch.creations)
        return judgement

    def refusals(
        self, action: Action, now: datetime, creation: Creation | None = None
    ) -> tuple[Finding, ...]:
        """Judge a launch of the plan once more, as of now: what refuses it, or nothing.

        `creation` is what is about to be sent: of a changed spec that may be more people than the
        plan could know, because calls that were in flight then have failed meanwhile.
        Safe to call in several threads at once, after `review`.
        """
        seen = self._seen.get(action.name)
        if creation is not None:
            self._sizes.sending(creation)
        return self._judge(seen, now, again=True).refusals if seen is not None else ()

    def check(self, specs: Iterable[Spec], now: datetime) -> tuple[Diagnostic, ...]:
        """Say what would be refused of specs that are not launched yet: an error each.

        As far as that can be told without the API, and of each spec by itself.
        """
        found: list[Diagnostic] = []
        for spec in specs:
            case = self._case_of(spec, now)
            crowds = self.lists.crowds(spec.requests)
            more = self.lists.findings(case, spec.requests)
            judgement = judge(case, self.layers, crowds, more)
            found += (self._diagnostic(spec, each, Severity.ERROR) for each in judgement.refusals)
            found += (
                self._diagnostic(spec, each)
                for each in judgement.warnings
                if each.level is Level.WARN
            )
        return tuple(found)

    def ruled(self, action: Action, findings: Iterable[Finding]) -> tuple[Ruled, ...]:
        """Say what refuses a launch, each finding with the place where it can be mended."""
        return tuple(
            Ruled(
                rule=each.rule,
                message=each.message,
                where=self._where(action.spec, each),
                hint=each.hint,
                source=each.source,
            )
            for each in findings
        )

    def _judge(self, seen: _Seen, now: datetime, *, again: bool = False) -> Judgement:
        case = self._case(seen, now)
        requests = [] if again else [each.request for each in seen.action.creations]
        more = self.lists.findings(case, requests, seen.besides)
        return judge(case, self.layers, seen.crowds, more)

    def _case(self, seen: _Seen, now: datetime) -> Case:
        action = seen.action
        return Case(
            name=action.name,
            fields=self._fields(action.creations[0].request),
            crowd=_NOBODY,
            clearance=action.spec.clearance if action.spec else _NO_CLEARANCE,
            campaign=seen.plan.campaigns.get(action.campaign_id),
            starts_at=_starts_at(action, now),
            now=now,
            parts=self._sizes.parts(action),
            spec_people=action.spec.contacts if action.spec else 0,
            totals=self._sizes.grown(seen.totals),
            scrubs=self.lists.scrubs(action.campaign_id),
            average_call=self.average_call,
            offline=seen.plan.offline,
        )

    def _case_of(self, spec: Spec, now: datetime) -> Case:
        return Case(
            name=spec.name,
            fields=self._fields(spec.requests[0]),
            crowd=_NOBODY,
            clearance=spec.clearance,
            campaign=None,
            starts_at=_moment(spec, now),
            now=now,
            parts=tuple(len(request.contacts) for request in spec.requests),
            spec_people=spec.contacts,
            scrubs=self.lists.scrubs(spec.campaign_id),
            average_call=self.average_call,
            offline=True,
        )

    def _fields(self, request: Request) -> Mapping[str, object]:
        if request.fields.get("organization_id") is not None or self.organization_id is None:
            return request.fields
        return {**request.fields, "organization_id": self.organization_id}

    def _without_listed(self, action: Action) -> Action:
        """Leave out whom a list of the policy has; a changed spec's people are counted later."""
        if action.kind is not ActionKind.CREATE:
            return action
        left_out: dict[str, int] = {}
        creations = []
        for creation in action.creations:
            request = creation.request
            try:
                # The rule refuses because of a list that cannot be read; where it is excepted or
                # only warns, whoever is on the others is left out all the same.
                contacts, out = self.lists.without(
                    action.campaign_id, request.contacts, readable=True
                )
            except Refused:
                return action  # the contacts cannot be read, and are not sent
            for each in out:
                left_out[each.of] = left_out.get(each.of, 0) + each.people
            if out:
                of = creation.spec_contacts or len(request.contacts)
                fewer = replace(request, contacts=contacts)
                creations.append(replace(creation, request=fewer, spec_contacts=of))
            else:
                creations.append(creation)
        if not left_out:
            return action
        people = sum(len(creation.request.contacts) for creation in creations)
        return replace(
            action,
            creations=tuple(creations),
            contacts=people,
            callees=action.callees and _at_most(action.callees, people),
            left_out=tuple(LeftOut(of=of, people=n) for of, n in left_out.items()),
        )

    def _blocked(self, action: Action, judgement: Judgement) -> Action:
        rules = self.ruled(action, judgement.refusals)
        message, hint = in_words(rules)
        if action.replacement is not None and action.replacement.paused:
            message += "; the batch before it stays paused"
        begun = all(creation.previous for creation in action.creations)
        return replace(
            action,
            kind=ActionKind.BLOCKED,
            role=Role.BEGUN if begun else action.role,
            reason=Reason.POLICY,
            refusal=Refusal.GUARD,
            creations=(),
            rules=rules,
            message=message,
            hint=hint,
        )

    def _told(self, action: Action, finding: Finding) -> Diagnostic:
        if action.spec is not None:
            return self._diagnostic(action.spec, finding)
        message = f"{finding.rule}: {_cited(finding)}"
        return Diagnostic(Severity.WARNING, "", 0, 0, action.name, message, finding.hint)

    def _diagnostic(
        self, spec: Spec, finding: Finding, severity: Severity = Severity.WARNING
    ) -> Diagnostic:
        file, line, column = self.locate(spec, finding.path) if finding.path else (spec.file, 0, 0)
        field_name = ".".join(str(step) for step in finding.path)
        message = f"{finding.rule}: {_cited(finding)}"
        return Diagnostic(severity, file, line, column, field_name, message, finding.hint)

    def _where(self, spec: Spec | None, finding: Finding) -> str:
        if spec is None or not finding.path:
            return ""
        file, line, column = self.locate(spec, finding.path)
        return f"{file}:{line}:{column}" if line else ""


def in_words(rules: Sequence[Ruled]) -> tuple[str, str]:
    """Give what refuses a launch as a message and a hint. Of several rules only the names."""
    if len(rules) > 1:
        named = ", ".join(dict.fromkeys(each.rule for each in rules))
        return f"the policy refuses it: {named}", "`reconciler plan` says what each of these asks"
    (only,) = rules
    where = f" ({only.where})" if only.where else ""
    source = f" [{only.source}]" if only.source else ""
    return f"the policy refuses it: {only.rule}: {only.message}{source}{where}", only.hint


def _at_most(callees: Callees, people: int) -> Callees:
    """Give the counts for fewer people; which of those were called before is not looked up."""
    return replace(
        callees,
        to_call=people,
        called=min(callees.called, people),
        again=min(callees.again, people),
        parts=None,
    )


class _Seen(Struct, frozen=True):
    """A launch as the plan has it."""

    action: Action
    plan: Plan
    crowds: tuple[Crowd, ...]
    besides: frozenset[str]
    totals: Totals = _NO_TOTALS


def _starts_at(action: Action, now: datetime) -> datetime | None:
    if action.scheduled_start is None:
        return now + action.arm_delay
    return None if action.starts_at is None else max(action.starts_at, now)


def _moment(spec: Spec, now: datetime) -> datetime | None:
    start = spec.requests[0].scheduled_start
    return now if start is None else resolve(start, None)[0]


def _cited(finding: Finding) -> str:
    return f"{finding.message} [{finding.source}]" if finding.source else finding.message


def _excepted(action: Action, set_aside: SetAside) -> Excepted:
    finding, waiver = set_aside.finding, set_aside.waiver
    return Excepted(
        name=action.name,
        rule=finding.rule,
        finding=finding.message,
        reason=waiver.reason,
        until=waiver.until,
        source=finding.source,
    )
