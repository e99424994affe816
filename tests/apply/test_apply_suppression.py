"""Whom a do-not-call list leaves out: in changed specs, in creates, and where nobody is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply.engine import Engine
from reconciler.errors import Refused
from reconciler.plan.actions import ActionKind, LeftOut, Plan
from reconciler.state.document import Status
from tests.apply.doubles import World, endings, the_record
from tests.core.builders import spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Contact, Spec

FIRST = spec(contents=1, n=4)
SECOND = spec(contents=2, n=4)
NUMBERS = [contact["phone_number"] for contact in FIRST.requests[0].contacts]


class Excluding:
    """A do-not-call list with some numbers on it, which may be out of order."""

    def __init__(self, *numbers: str, broken: bool = False) -> None:
        self.numbers = numbers
        self.broken = broken

    def without(
        self, campaign_id: str, contacts: Sequence[Contact]
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Leave them out."""
        assert campaign_id == "cmp_a"
        if self.broken:
            raise Refused("the list cannot be read", hint="mend it")
        kept = [each for each in contacts if each["phone_number"] not in self.numbers]
        gone = len(contacts) - len(kept)
        return kept, (LeftOut(of="dnd", people=gone),) if gone else ()

    def of(self, plan: Plan) -> Plan:
        """Do to creates what the guard of a plan does."""
        actions = []
        for action in plan.actions:
            creations = action.creations if action.kind is ActionKind.CREATE else ()
            shorter = tuple(
                replace(
                    each,
                    request=replace(
                        each.request,
                        contacts=self.without(action.campaign_id, each.request.contacts)[0],
                    ),
                    spec_contacts=len(each.request.contacts),
                )
                for each in creations
            )
            actions.append(replace(action, creations=shorter or action.creations))
        return replace(plan, actions=tuple(actions))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Excluding]:
    """Give the list that every run excludes by: the last one of these."""
    lists = [Excluding()]
    begin = Engine.__init__

    def with_list(self: Engine, *, plan: Plan, **others: object) -> None:
        begin(self, plan=lists[-1].of(plan), exclusion=lists[-1], **others)  # type: ignore[arg-type]  # the double's own

    monkeypatch.setattr(Engine, "__init__", with_list)
    return lists


def called(world: World, batch_id: str) -> list[str]:
    """Give the numbers of a batch."""
    return [person.phone_number for person in world.api.people[batch_id]]


def apply(world: World, of: Spec) -> dict[str, str]:
    """Apply a spec, and say how it ended."""
    return endings(world.apply(of))


def test_a_changed_spec_leaves_out_who_is_listed(listed: list[Excluding]) -> None:
    """The new batch has fewer people, its record says so, and the digest is the spec's own."""
    world = World()
    apply(world, FIRST)
    listed.append(Excluding(NUMBERS[0]))
    report = world.apply(SECOND)
    assert endings(report) == {"welcome replace": "created"}
    assert called(world, "bat_2") == NUMBERS[1:]
    record = the_record(world)
    assert (record.contacts, record.spec_contacts) == (3, 4)
    assert record.digest == SECOND.digest
    assert report.results[0].warnings == ("1 person is left out: on the do-not-call list dnd",)
    listed.append(Excluding())
    assert apply(world, SECOND) == {}
    assert len(world.api.batches) == 2


def test_a_changed_spec_with_nobody_left(listed: list[Excluding]) -> None:
    """No batch is made, the generation is complete, and the old batch is cancelled."""
    world = World()
    apply(world, FIRST)
    listed.append(Excluding(*NUMBERS))
    assert apply(world, SECOND) == {"welcome replace": "done"}
    assert the_record(world).status is Status.COMPLETE
    assert world.api.batches["bat_1"].status == "cancelled"
    assert apply(world, SECOND) == {}
    assert len(world.api.batches) == 1


def test_a_list_that_cannot_be_asked_stops_nobody_s_calls(listed: list[Excluding]) -> None:
    """Nothing is created by halves, and the old batch is not even paused."""
    world = World()
    apply(world, FIRST)
    listed.append(Excluding(broken=True))
    listed[-1].of = lambda plan: plan  # type: ignore[method-assign]  # the guard would refuse it
    assert apply(world, SECOND) == {"welcome replace": "blocked"}
    assert world.api.controls == []
    assert len(world.api.batches) == 1


def test_a_create_with_fewer_people(listed: list[Excluding]) -> None:
    """What was sent is what the API's count is compared with."""
    listed.append(Excluding(NUMBERS[0]))
    world = World()
    report = world.apply(FIRST)
    assert endings(report) == {"welcome create": "created"}
    assert report.results[0].warnings == ()
    assert called(world, "bat_1") == NUMBERS[1:]
    assert the_record(world).spec_contacts == 4


def test_a_create_with_nobody_left(listed: list[Excluding]) -> None:
    """No batch is made, and the spec does not look as if it were new ever after."""
    listed.append(Excluding(*NUMBERS))
    world = World()
    assert apply(world, FIRST) == {"welcome create": "done"}
    assert the_record(world).status is Status.COMPLETE
    assert apply(world, FIRST) == {}
    assert world.api.creates == []


@pytest.mark.parametrize("arrives", [False, True])
def test_a_list_that_grew_while_a_create_was_in_doubt(
    listed: list[Excluding],
    arrives: bool,  # noqa: FBT001 - a case
) -> None:
    """It is created again under its key for fewer people, and never twice."""
    world = World(welcome=["never"])
    assert apply(world, FIRST) == {"welcome create": "unknown"}
    listed.append(Excluding(NUMBERS[0]))
    if arrives:
        key = world.key_of("welcome")
        marker = {"key": key, "digest": FIRST.digest}
        contacts = list(FIRST.requests[0].contacts)
        body: dict[str, object] = {
            "campaign_id": "cmp_a",
            "contacts": contacts,
            "metadata": {"reconciler": marker},
        }
        world.api.add(body)
    world.clock.pass_by(3_600)
    apply(world, FIRST)
    assert len(world.api.batches) == 1
    assert world.recorded_ids() == {"bat_1"}
    assert called(world, "bat_1") == (NUMBERS if arrives else NUMBERS[1:])
