"""The gate before each POST and each resume: what it keeps back, and what is recorded of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply.gate import BrakeGate, Gates, Objection, frozen
from reconciler.model import Lifecycle
from tests.apply.doubles import World, endings
from tests.core.builders import spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.apply.gate import Gate
    from reconciler.apply.report import Report
    from reconciler.model import Spec
    from reconciler.plan.actions import Action, Creation

NO = Objection("no", "ask again", everything=True)


@dataclass
class Says:
    """A gate that answers what it is told to, and remembers what it was asked."""

    answer: Callable[[Action], Objection | None]
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def refuses(
        self,
        action: Action,
        creation: Creation | None,
        now: datetime,  # noqa: ARG002 - a gate's signature
    ) -> Objection | None:
        """Answer."""
        self.asked.append((action.name, creation is not None))
        return self.answer(action)


def run(world: World, gate: Gate, *specs: Spec) -> Report:
    """Apply specs with a gate."""
    engine = world.engine(world.plan(*specs))
    engine._workers.gate = gate
    report = engine.run()
    world.check()
    return report


def test_everything_is_kept_back() -> None:
    """After an objection to everything nobody is asked again, and no intent is left."""
    world = World()
    world.limits = replace(world.limits, parallelism=1)
    gate = Says(lambda action: NO if action.name == "b" else None)
    specs = [spec(name, i) for i, name in enumerate("abcdef", 1)]
    report = run(world, gate, *specs)
    assert [r.ending.value for r in report.results] == ["created", *["blocked"] * 5]
    assert (report.exit_code, report.halted) == (4, True)
    assert {(r.message, r.hint) for r in report.results[1:]} == {("no", "ask again")}
    assert gate.asked == [("a", True), ("b", True)]
    assert (len(world.api.creates), set(world.store.last.batches)) == (1, {"a"})
    assert world.told.lines == ["no; nothing more is sent"]
    assert set(endings(run(world, Gates(), *specs)).values()) == {"created"}
    assert len(world.api.batches) == 6


def test_one_is_kept_back() -> None:
    """An objection to one launch stops that one only."""
    world = World()
    gate = Says(lambda action: replace(NO, everything=False) if action.name == "b" else None)
    report = run(world, gate, *(spec(name, i) for i, name in enumerate("abcd", 1)))
    assert endings(report) == {
        "a create": "created",
        "b create": "blocked",
        "c create": "created",
        "d create": "created",
    }
    assert (report.exit_code, report.halted) == (4, False)
    assert set(world.store.last.batches) == {"a", "c", "d"}


def test_a_split_spec_is_kept_back_halfway() -> None:
    """What is created stays recorded; the rest is created by a later run, once."""
    world = World()
    world.limits = replace(world.limits, parallelism=1)
    count = iter([None, NO])
    report = run(world, Says(lambda _: next(count)), spec("a", parts=3))
    assert [r.ending.value for r in report.results] == ["blocked"]
    assert len(world.api.batches) == 1
    assert [r.in_doubt for _, _, r in world.store.last.requests()] == [False]
    assert run(world, Gates(), spec("a", parts=3)).exit_code == 0
    assert len(world.api.batches) == 3


@pytest.mark.parametrize("everything", [True, False])
def test_a_changed_spec_is_kept_back(everything: bool) -> None:  # noqa: FBT001 - a parameter
    """Under a freeze the old batch stays paused; refused alone, the old batch goes on."""
    world = World()
    world.apply(spec("a", 1))
    gate = Says(lambda _: replace(NO, everything=everything))
    if not everything:  # to the new batch alone: the old one may go on
        alone = replace(NO, everything=False)
        gate.answer = lambda _: alone if len(gate.asked) == 1 else None
    report = run(world, gate, spec("a", 2))
    (result,) = report.results
    assert (result.ending.value, report.exit_code) == ("blocked", 4)
    (old,) = world.api.batches.values()
    record = world.store.last.batches["a"]
    assert len(record.generations) == 1
    if everything:
        assert old.status == "paused"
        assert record.replacing is not None
        assert record.replacing.paused == (old.batch_id,)
        assert result.warnings == (
            f"batch {old.batch_id} was paused for this and is not resumed: no",
        )
    else:
        assert old.status == "in_progress"
        assert record.replacing is None
        assert gate.asked == [("a", True), ("a", False)]
    assert run(world, Gates(), spec("a", 2)).exit_code == 0
    assert [b.status for b in world.api.batches.values()] == ["cancelled", "in_progress"]
    assert world.plan(spec("a", 2)).pending == ()


@pytest.mark.parametrize("everything", [True, False])
def test_a_resume_is_kept_back(everything: bool) -> None:  # noqa: FBT001 - a parameter
    """Resuming makes phones ring like creating, and is asked about like it."""
    world = World()
    world.apply(spec("a", 1))
    world.apply(spec("a", 1, lifecycle=Lifecycle.PAUSED))
    gate = Says(lambda _: replace(NO, everything=everything))
    report = run(world, gate, spec("a", 1))
    assert endings(report) == {"a resume": "blocked"}
    assert (report.exit_code, gate.asked) == (4, [("a", False)])
    assert world.api.controls == [("pause", "bat_1")]
    assert run(world, Gates(), spec("a", 1)).exit_code == 0
    assert world.api.controls[1:] == [("resume", "bat_1")]


def test_a_rejected_change_under_a_freeze() -> None:
    """Nothing is resumed while everything is frozen; a later run resumes or replaces it."""
    world = World()
    world.apply(spec("a", 1))
    world.api.script["a"] = ["refused"]
    asked: list[str] = []

    def answer(_: Action) -> Objection | None:
        asked.append("")
        return None if len(asked) == 1 else NO

    report = run(world, Says(answer), spec("a", 2))
    assert endings(report) == {"a replace": "rejected"}
    assert world.api.batches["bat_1"].status == "paused"
    assert "is not resumed: no" in report.results[0].warnings[0]
    assert world.apply(spec("a", 1)).exit_code == 0
    assert world.api.batches["bat_1"].status == "in_progress"


def test_pauses_and_cancels_are_not_asked_about() -> None:
    """Whatever makes fewer calls is done without a gate."""
    world = World()
    world.apply(spec("a", 1), spec("b", 2))
    gate = Says(lambda _: NO)
    paused, cancelled = Lifecycle.PAUSED, Lifecycle.CANCELLED
    report = run(world, gate, spec("a", 1, lifecycle=paused), spec("b", 2, lifecycle=cancelled))
    assert (report.exit_code, gate.asked) == (0, [])


def test_a_gate_that_fails() -> None:
    """What cannot be checked is not sent, and certainly not created."""
    world = World()

    def broken(_: Action) -> Objection | None:
        raise RuntimeError("+919876543210")

    report = run(world, Says(broken), spec("a", 1))
    (result,) = report.results
    assert (result.ending.value, report.exit_code) == ("blocked", 4)
    assert result.message == "it could not be checked whether this may be sent (RuntimeError)"
    assert (world.api.creates, dict(world.store.last.batches)) == ([], {})


def test_a_brake_that_fails() -> None:
    """Not to be able to look is to be frozen."""

    class Broken:
        def frozen(self) -> str | None:
            raise OSError("gone")

    found = frozen(Broken())
    assert found is not None
    assert found.everything
    assert found.message == "everything is frozen: nobody can tell whether it is on (OSError)"


def test_a_freeze_in_the_middle() -> None:
    """A brake that is put on between two creates lets no further one through."""
    world = World()
    world.limits = replace(world.limits, parallelism=1)

    class Brake:
        reason: str | None = None

        def frozen(self) -> str | None:
            return self.reason

    brake = Brake()

    def put_on(_: str) -> None:
        brake.reason = "stop"

    world.before_create = put_on
    report = run(world, BrakeGate(brake), *(spec(name, i) for i, name in enumerate("abc", 1)))
    assert [r.ending.value for r in report.results] == ["created", "blocked", "blocked"]
    assert len(world.api.creates) == 1
