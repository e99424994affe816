"""All rules over one launch: what refuses it, what warns, and what an exception set aside. Pure.

A policy has layers: the root's own, and one for each pack. Every layer is judged by itself, so a
pack can only add refusals: nothing that the root's own policy says takes any away.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.policy import limits, scope
from reconciler.policy.calling_hours import calling_hours
from reconciler.policy.days_off import holidays
from reconciler.policy.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Waiver
    from reconciler.policy.case import Case, Crowd
    from reconciler.spec.config.policy import Policy

    Rule = Callable[[Case, Policy], Iterable[Finding]]


def _calling_hours(case: Case, policy: Policy) -> Iterator[Finding]:
    if policy.calling_hours is not None:
        yield from calling_hours(case, policy.calling_hours.rules, case.average_call)


def _holidays(case: Case, policy: Policy) -> Iterator[Finding]:
    if policy.calling_hours is not None:
        yield from holidays(case, policy.calling_hours.rules, case.average_call)


RULES: tuple[Rule, ...] = (
    limits.batch_contacts,
    limits.apply_contacts,
    limits.day_contacts,
    limits.batches,
    limits.approval,
    scope.campaigns,
    scope.organizations,
    scope.countries,
    scope.call_variables,
    scope.scheduled_start,
    scope.lead_time,
    scope.consent,
    _calling_hours,
    _holidays,
    scope.scrubbed,
)
"""Every rule that a policy can switch on, in the order in which findings are told."""


class Layer(Struct, frozen=True, kw_only=True):
    """One set of rules: the root's own, or a `pack` with the legal `sources` of its rules.

    A pack is about people of some `regions` (ISO 3166) or whose numbers begin with some `prefixes`,
    and about nobody else; where both are empty, about all.
    """

    policy: Policy
    pack: str = ""
    regions: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


class SetAside(Struct, frozen=True, kw_only=True):
    """A refusal that an exception in the spec set aside."""

    finding: Finding
    waiver: Waiver


class Judgement(Struct, frozen=True, kw_only=True):
    """What all rules say of one launch."""

    refusals: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    set_aside: tuple[SetAside, ...] = ()

    def and_also(self, other: Judgement) -> Judgement:
        """Give what either of two says, each thing once."""
        return Judgement(
            refusals=tuple(dict.fromkeys((*self.refusals, *other.refusals))),
            warnings=tuple(dict.fromkeys((*self.warnings, *other.warnings))),
            set_aside=tuple(dict.fromkeys((*self.set_aside, *other.set_aside))),
        )


def judge(
    case: Case,
    layers: Sequence[Layer],
    crowds: Sequence[Crowd],
    more: Iterable[tuple[Layer | None, Finding]] = (),
) -> Judgement:
    """Judge one launch. `crowds` are the people whom each layer is about.

    `more` are findings of rules that need more than a case to look at, each with its layer.
    """
    findings = list(scope.not_after(case, None))
    for layer, crowd in zip(layers, crowds, strict=True):
        if crowd.people or not layer.pack:
            theirs = replace(case, crowd=crowd)
            findings += (_as_of(layer, f) for rule in RULES for f in rule(theirs, layer.policy))
    findings += (_as_of(layer, finding) if layer else finding for layer, finding in more)
    return _sorted(case, findings)


def _sorted(case: Case, findings: Iterable[Finding]) -> Judgement:
    """Sort findings: by how bad they are, and by the exceptions that the spec has."""
    today = case.now.astimezone(UTC).date()
    refusals: list[Finding] = []
    warnings: list[Finding] = []
    set_aside: list[SetAside] = []
    for finding in dict.fromkeys(findings):
        waiver = _waiver(case, finding.rule)
        if finding.level is not Level.REFUSE:
            warnings.append(finding)
        elif waiver is None:
            refusals.append(finding)
        elif waiver.until < today:
            over = f"{finding.message}; its exception was until {waiver.until} and is over"
            refusals.append(replace(finding, message=over))
        else:
            set_aside.append(SetAside(finding=finding, waiver=waiver))
    return Judgement(refusals=tuple(refusals), warnings=tuple(warnings), set_aside=tuple(set_aside))


def _waiver(case: Case, rule: str) -> Waiver | None:
    """Give the exception from a rule; of several the one that holds longest."""
    mine = [each for each in case.clearance.exceptions if each.rule == rule]
    return max(mine, key=lambda each: each.until, default=None)


def _as_of(layer: Layer, finding: Finding) -> Finding:
    """Say whose rule it is. The root's own may be set to warn only, a pack's may not."""
    if layer.pack:
        source = layer.sources.get(finding.rule, "")
        message = f"{finding.message} ({layer.pack})"
        return replace(finding, source=source, message=message)
    warns = finding.rule in layer.policy.warn and finding.level is Level.REFUSE
    return replace(finding, level=Level.WARN) if warns else finding
