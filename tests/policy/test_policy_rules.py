"""The rules over one launch, each at its edges and each indispensable."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import Clearance, Consent, Waiver
from reconciler.observed import Campaign
from reconciler.policy import judge as judging
from reconciler.policy.case import Case, Crowd, Totals
from reconciler.policy.finding import Level
from reconciler.policy.judge import Layer, judge
from reconciler.policy.scope import not_after
from reconciler.spec.config.policy import Policy
from reconciler.spec.schedule import normalise
from tests.policy.launches import launch_of

if TYPE_CHECKING:
    from reconciler.policy.judge import Judgement, Rule

NOW = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
INDIA = Campaign(
    "cmp_1",
    timezone="Asia/Kolkata",
    status="active",
    working_hours_enforced=False,
    concurrency_limit=10,
)


def case(people: int = 10, **others: Any) -> Case:
    """Give a launch that starts at once."""
    fields: dict[str, Any] = {"campaign_id": "cmp_1", **others.pop("fields", {})}
    crowd = Crowd(
        people=people,
        regions=Counter({"IN": people}),
        zones=Counter({("Asia/Kolkata",): people}),
        variables=Counter({"callee_name": people}),
    )
    usual = {"fields": fields, "campaign": INDIA, "totals": Totals(people=people, batches=1)}
    return replace(launch_of(crowd, NOW, **usual), **others)


def verdict(launch: Case, policy: dict[str, Any], **pack: Any) -> Judgement:
    """Judge a launch by a policy as somebody writes it."""
    return judge(launch, [Layer(policy=Policy.model_validate(policy), **pack)], [launch.crowd])


def refused(launch: Case, policy: dict[str, Any]) -> list[str]:
    """Name the rules that refuse a launch."""
    return [finding.rule for finding in verdict(launch, policy).refusals]


WRONG: dict[str, tuple[Case, dict[str, Any]]] = {
    "max_contacts.batch": (case(11), {"max_contacts": {"batch": 10}}),
    "max_contacts.apply": (case(11), {"max_contacts": {"apply": 10}}),
    "max_contacts.day": (
        case(totals=Totals(people=10, batches=1, recent=1)),
        {"max_contacts": {"day": 10}},
    ),
    "max_batches": (case(totals=Totals(people=10, batches=3)), {"max_batches": 2}),
    "approval": (case(11), {"approval": {"above": 10}}),
    "campaigns": (case(), {"campaigns": ["cmp_2"]}),
    "organizations": (case(), {"organizations": ["org_1"]}),
    "countries": (case(), {"countries": ["US"]}),
    "call_variables": (case(), {"call_variables": {"required": ["plan"]}}),
    "scheduled_start": (case(), {"scheduled_start": {"required": "true"}}),
    "lead_time": (case(), {"scheduled_start": {"lead_time": "1s"}}),
    "consent": (case(), {"consent": {}}),
    "calling_hours": (case(), {"calling_hours": {"campaign": "20:00-21:00"}}),
    "holidays": (case(), {"calling_hours": {"extra_holidays": ["2026-05-12"]}}),
    "scrubbed": (case(scrubs=(date(2026, 5, 1),)), {"scrubbed": {"within": "10d"}}),
}
"""For each rule a launch that it alone refuses."""


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_refuses_what_it_is_for(name: str) -> None:
    """A launch that goes against one rule is refused by that rule and no other."""
    launch, policy = WRONG[name]
    (finding,) = verdict(launch, policy).refusals
    assert finding.rule == name
    assert finding.message
    assert finding.hint


@pytest.mark.parametrize("rule", judging.RULES)
def test_no_rule_is_idle(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking any rule away lets a launch through that it refuses: the table above would fail."""
    monkeypatch.setattr(judging, "RULES", tuple(each for each in judging.RULES if each != rule))
    assert [name for name, (launch, policy) in WRONG.items() if not refused(launch, policy)]


@pytest.mark.parametrize("name", WRONG)
def test_a_policy_that_does_not_say_a_rule_has_it_off(name: str) -> None:
    """What is not written refuses nothing."""
    launch, _ = WRONG[name]
    assert verdict(launch, {}).refusals == ()


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_may_be_set_to_warn(name: str) -> None:
    """`warn` turns a refusal of the root's own policy into a warning."""
    launch, policy = WRONG[name]
    judgement = verdict(launch, {**policy, "warn": [name]})
    assert judgement.refusals == ()
    assert [(each.rule, each.level) for each in judgement.warnings] == [(name, Level.WARN)]


@pytest.mark.parametrize("name", WRONG)
def test_a_pack_cannot_be_loosened(name: str) -> None:
    """What a pack refuses stays refused whatever the root's policy says, and cites its source."""
    launch, policy = WRONG[name]
    own = Layer(policy=Policy.model_validate({"warn": [name]}))
    pack = Layer(policy=Policy.model_validate(policy), pack="some", sources={name: "§ 1 (2020)"})
    (finding,) = judge(launch, [own, pack], [launch.crowd] * 2).refusals
    assert (finding.rule, finding.source) == (name, "§ 1 (2020)")
    assert "some" in finding.message


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("days", [-1, 0, 1])
def test_an_exception_holds_through_its_last_day(name: str, days: int) -> None:
    """An exception sets one rule's refusal aside until its day is over, and says so."""
    launch, policy = WRONG[name]
    until = NOW.date() + timedelta(days=days)
    waiver = Waiver(rule=name, reason="agreed with legal", until=until)
    judgement = verdict(
        replace(launch, clearance=replace(launch.clearance, exceptions=(waiver,))), policy
    )
    if days < 0:
        (finding,) = judgement.refusals
        assert "is over" in finding.message
        assert judgement.set_aside == ()
    else:
        assert judgement.refusals == ()
        assert [each.waiver for each in judgement.set_aside] == [waiver]


@pytest.mark.parametrize("name", WRONG)
def test_an_exception_is_from_one_rule_only(name: str) -> None:
    """An exception from every other rule leaves this one's refusal."""
    launch, policy = WRONG[name]
    until = NOW.date() + timedelta(days=9)
    others = tuple(Waiver(rule=each, reason="r", until=until) for each in WRONG if each != name)
    excepted = replace(launch, clearance=replace(launch.clearance, exceptions=others))
    assert refused(excepted, policy) == [name]


@given(limit=st.integers(0, 50), parts=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_a_batch_has_at_most_as_many_as_allowed(limit: int, parts: list[int]) -> None:
    """Refused exactly if any single batch has more, however many there are in all."""
    launch = case(sum(parts), parts=tuple(parts))
    assert bool(refused(launch, {"max_contacts": {"batch": limit}})) == any(
        each > limit for each in parts
    )


@given(
    limit=st.integers(0, 50),
    mine=st.integers(1, 30),
    others=st.integers(0, 30),
    recent=st.integers(0, 30),
)
def test_a_run_and_a_day_have_at_most_as_many_as_allowed(
    limit: int, mine: int, others: int, recent: int
) -> None:
    """A run's limit counts all its launches, a day's those of the last 24 hours too."""
    launch = case(mine, totals=Totals(people=mine + others, batches=2, recent=recent))
    run = bool(refused(launch, {"max_contacts": {"apply": limit}}))
    day = bool(refused(launch, {"max_contacts": {"day": limit}}))
    assert run == (mine + others > limit)
    assert day == (mine + others + recent > limit)


def test_who_calls_nobody_is_not_counted() -> None:
    """A changed spec with nobody left to call is no launch that a run's limit could stop."""
    idle = case(0, parts=(0,), totals=Totals(people=99, batches=9))
    assert refused(idle, {"max_contacts": {"apply": 5, "day": 5}, "max_batches": 2}) == []


@given(
    approved=st.sets(st.sampled_from("abcdef")),
    approvers=st.sets(st.sampled_from("abcdef"), min_size=2),
    needed=st.integers(1, 2),
    people=st.integers(1, 4),
)
def test_approval_counts_only_the_approvers(
    approved: set[str], approvers: set[str], needed: int, people: int
) -> None:
    """Above the number, as many different approvers as needed have to be named."""
    launch = case(people, clearance=Clearance(approved_by=tuple(sorted(approved))))
    policy = {"approval": {"above": 2, "approvers": sorted(approvers), "needed": needed}}
    enough = people <= 2 or len(approved & approvers) >= needed
    assert (refused(launch, policy) == []) == enough


def test_without_approvers_anybody_counts_once() -> None:
    """One name is one approval."""
    policy = {"approval": {"above": 0, "needed": 2}}
    assert refused(case(clearance=Clearance(approved_by=("a",))), policy) == ["approval"]
    assert refused(case(clearance=Clearance(approved_by=("a", "b"))), policy) == []


@pytest.mark.parametrize(("named", "ok"), [("org_1", True), ("org_2", False), (None, False)])
def test_an_organisation_that_nobody_names_is_refused(named: str | None, *, ok: bool) -> None:
    """Guards fail closed: no name is not an allowed one."""
    fields = {} if named is None else {"organization_id": named}
    assert (refused(case(fields=fields), {"organizations": ["org_1"]}) == []) is ok


@pytest.mark.parametrize(
    ("countries", "ok"), [(["+91"], True), (["+1"], False), (["+1", "IN"], True), (["+999"], False)]
)
def test_a_calling_code_is_its_countries(countries: list[str], *, ok: bool) -> None:
    """`+1` is the United States, Canada and others."""
    assert (refused(case(), {"countries": countries}) == []) is ok
    crowd = Crowd(people=1, regions=Counter({"CA": 1}))
    assert (refused(case(crowd=crowd), {"countries": countries}) == []) is ("+1" in countries)


@given(st.dictionaries(st.sampled_from(["IN", "US", "", "GB"]), st.integers(0, 3), min_size=1))
def test_everybody_is_in_an_allowed_country(regions: dict[str, int]) -> None:
    """One person elsewhere, or nobody knows where, is enough."""
    people = sum(regions.values())
    launch = case(people, crowd=Crowd(people=people, regions=Counter(regions)))
    outside = any(count and region not in {"IN", "US"} for region, count in regions.items())
    assert bool(refused(launch, {"countries": ["IN", "US"]})) == outside


@pytest.mark.parametrize(("having", "rules"), [(0, []), (1, ["call_variables"])])
def test_a_forbidden_variable(having: int, rules: list[str]) -> None:
    """One contact that has it is enough."""
    crowd = Crowd(people=10, variables=Counter({"ssn": having}))
    assert refused(case(crowd=crowd), {"call_variables": {"forbidden": ["ssn"]}}) == rules


@pytest.mark.parametrize(("having", "rules"), [(10, []), (9, ["call_variables"])])
def test_a_required_variable(having: int, rules: list[str]) -> None:
    """One contact that lacks it is enough."""
    crowd = Crowd(people=10, variables=Counter({"plan": having}))
    assert refused(case(crowd=crowd), {"call_variables": {"required": ["plan"]}}) == rules


@given(lead=st.integers(0, 7_200), ahead=st.integers(-10, 7_300))
def test_the_lead_time_is_kept_to_the_second(lead: int, ahead: int) -> None:
    """Refused exactly if less time is left than asked for."""
    launch = case(starts_at=NOW + timedelta(seconds=ahead))
    policy = {"scheduled_start": {"lead_time": f"{lead}s"}}
    assert bool(refused(launch, policy)) == (ahead < lead)


@pytest.mark.parametrize("offline", [True, False])
def test_a_start_that_nobody_knows(offline: bool) -> None:  # noqa: FBT001 - parametrised
    """What cannot be told is refused where it counts, and told where it will be looked up."""
    launch = case(starts_at=None, offline=offline, campaign=None)
    judgement = verdict(launch, {"scheduled_start": {"lead_time": "1h"}})
    found = judgement.warnings if offline else judgement.refusals
    assert [each.rule for each in found] == ["lead_time"]
    assert len(judgement.warnings) + len(judgement.refusals) == 1


@pytest.mark.parametrize(
    ("basis", "bases", "ok"),
    [("a", [], True), ("a", ["a", "b"], True), ("c", ["a", "b"], False)],
)
def test_the_ground_must_be_one_that_counts(basis: str, bases: list[str], *, ok: bool) -> None:
    """A ground that is not on the list is none."""
    said = Clearance(consent=Consent(basis=basis, evidence="https://example.org/consent"))
    assert (refused(case(clearance=said), {"consent": {"bases": bases}}) == []) is ok


ZONES = sorted(available_timezones())


@given(
    zone=st.sampled_from([*ZONES, "Etc/GMT-14", "Etc/GMT+12", "Pacific/Kiritimati"]),
    local=st.datetimes(datetime(2024, 2, 27), datetime(2027, 11, 8)),  # noqa: DTZ001 - local
    offset=st.integers(-3, 3),
)
def test_not_after_is_a_moment_of_the_campaigns_place(
    zone: str, local: datetime, offset: int
) -> None:
    """Wherever the campaign is, a launch is refused from the second after on, and not before."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - shadowed otherwise

    last = local.replace(microsecond=0)
    moment = last.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    launch = case(
        campaign=replace(INDIA, timezone=zone),
        clearance=Clearance(not_after=normalise(last.isoformat())),
        now=moment + timedelta(seconds=offset),
    )
    assert bool(list(not_after(launch, None))) == (offset > 0)


def test_not_after_needs_no_policy() -> None:
    """What a spec says of itself holds in a root without a policy."""
    late = case(clearance=Clearance(not_after="2026-05-12T08:59:59Z"))
    assert [each.rule for each in judge(late, [], []).refusals] == ["not_after"]


def test_of_two_exceptions_the_longer_counts() -> None:
    """An exception that was renewed holds although the old one stands there too."""
    launch, policy = WRONG["approval"]
    until = [date(2026, 5, 1), date(2026, 6, 1)]
    waivers = tuple(Waiver(rule="approval", reason="r", until=each) for each in until)
    for order in (waivers, waivers[::-1]):
        excepted = replace(launch, clearance=Clearance(exceptions=order))
        assert refused(excepted, policy) == []


@pytest.mark.parametrize("pack", ["", "some"])
def test_a_pack_is_about_its_own_people_only(pack: str) -> None:
    """Where nobody of a launch is in a pack's scope, the pack says nothing of it."""
    layer = Layer(policy=Policy.model_validate({"consent": {}}), pack=pack)
    assert bool(judge(case(), [layer], [Crowd()]).refusals) is not bool(pack)
    assert judge(case(), [layer], [Crowd(people=1)]).refusals


@given(drawn=st.lists(st.integers(0, 40), max_size=3), within=st.integers(1, 30))
def test_the_newest_list_counts(drawn: list[int], within: int) -> None:
    """One list that is new enough will do; its day counts from its beginning."""
    days = tuple(NOW.date() - timedelta(days=each) for each in drawn)
    fresh = any(
        NOW - datetime(day.year, day.month, day.day, tzinfo=UTC) <= timedelta(days=within)
        for day in days
    )
    policy = {"scrubbed": {"within": f"{within}d"}}
    assert (refused(case(scrubs=days), policy) == []) == fresh


@given(left=st.integers(0, 5), whole=st.integers(5, 12), above=st.integers(0, 12))
def test_a_spec_does_not_become_small_by_pieces(left: int, whole: int, above: int) -> None:
    """Approval is asked for by all people of the spec; who calls nobody needs none."""
    launch = case(left, parts=(left,), spec_people=whole)
    needs = bool(refused(launch, {"approval": {"above": above}}))
    assert needs == (left > 0 and whole > above)
