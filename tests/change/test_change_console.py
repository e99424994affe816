"""An operator in the vendor's console, between any two steps of a run.

The run is held at a gate at each of its requests, before and after its effect, while somebody
pauses, resumes or cancels the old batch or the new one, or takes a person out by hand. What an
operator did is respected where the run could still know of it; see "What can still go wrong" in
docs/reliability.md for the moments in which it cannot. Slices are as in `test_change_kills`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.change.scenes import SCENES, Scene
from tests.change.schedules import FULL, SLICE, staged
from tests.change.stage import brief
from tests.proof.world import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.change.stage import Ended, Stage

STRIDE = 1 if FULL else 31
PLAYED = ("remaining", "everyone", "added", "nobody is left", "not started", "taken back", "paused")
ACTS = (
    "pause old",
    "resume old",
    "cancel old",
    "skip in old",
    "pause new",
    "resume new",
    "cancel new",
)


@dataclass(frozen=True)
class Gate:
    """A request at which a run is held: the n-th of its operation, and whether it took effect."""

    place: int
    operation: str
    nth: int
    when: str

    def is_before(self, place: int) -> bool:
        """Whether the request at a place has not taken effect yet."""
        return self.place < place or (self.place == place and self.when == "before")


@dataclass(frozen=True)
class Sequence:
    """What a run sends that nobody disturbs, and up to which request it can learn something."""

    requests: tuple[str, ...]

    def gates(self) -> list[Gate]:
        """Give every gate."""
        return [
            Gate(place, operation, self.requests[:place].count(operation), when)
            for place, operation in enumerate(self.requests)
            for when in ("before", "after")
        ]

    @property
    def looks(self) -> int:
        """Where it last looks at the old batch before it pauses it; -1 where it does not."""
        pause = self.requests.index("pause") if "pause" in self.requests else 0
        return max((n for n in range(pause) if self.requests[n] == "get"), default=-1)

    @property
    def reads(self) -> int:
        """Where it last begins to read who was called; -1 where it does not."""
        places = [n for n, each in enumerate(self.requests) if each == "contacts"]
        # A list is shown to be whole by a page after its last one.
        return places[-2] if places else -1

    def may_resume(self, gate: Gate) -> bool:
        """Whether a batch resumed here is seen running again before anything is created."""
        if "pause" not in self.requests:
            return False
        return not gate.is_before(self.requests.index("pause")) and gate.is_before(self.reads - 1)


@pytest.mark.parametrize("name", PLAYED)
def test_an_operator_at_every_step(
    record_property: Callable[[str, object], None], name: str
) -> None:
    """What an operator did holds; nobody is called twice or forgotten because of it."""
    (scene,) = (each for each in SCENES if each.name == name)
    with staged() as stage:
        scene.set(stage)
        back = stage.keep()
        before = len(stage.sandbox.log())
        stage.apply()
        sequence = Sequence(tuple(entry.operation for entry in stage.sandbox.log()[before:]))
        cases = [(gate, act) for gate in sequence.gates() for act in ACTS]
        played = 0
        for gate, act in cases[(SLICE + 5 * PLAYED.index(name)) % STRIDE :: STRIDE]:
            back()
            with told(f"{name}: {act} at {gate} of {sequence}, CHANGE_SLICE={SLICE}"):
                played += Play(stage, scene, sequence, gate, act).run()
        record_property("interventions", played)


@dataclass
class Play:
    """One intervention."""

    stage: Stage
    scene: Scene
    sequence: Sequence
    gate: Gate
    act: str
    calls_again: bool = False

    def run(self) -> bool:
        """Play it; False where there was nothing that it could be done to."""
        stage, gate = self.stage, self.gate
        olds = [batch.batch_id for batch in stage.made()]
        rule = stage.sandbox.faults.add(
            operation=gate.operation, kind="hold", when=gate.when, after=gate.nth
        )
        run = stage.begin(*self.scene.words)
        stage.sandbox.faults.wait_held(rule)
        news = [batch.batch_id for batch in stage.made() if batch.batch_id not in olds]
        target = (olds if self.act.endswith("old") else news)[-1:]
        stage.observer.side_by_side = self.act == "resume old"
        did = bool(target) and self._do(target[0])
        # One that waits for its start calls nobody yet.
        self.calls_again = did and self._status(target[0]) == "in_progress"
        made = len(stage.made())
        stage.sandbox.faults.remove(rule)
        ended = run.wait()
        if did:
            assert ended.code in {0, 1, 4}, brief(ended)
            stage.check_always()
            self._check(target[0], ended, made)
        stage.observer.side_by_side = False
        return did

    def _do(self, batch_id: str) -> bool:
        verb = self.act.split()[0]
        (batch,) = (each for each in self.stage.made() if each.batch_id == batch_id)
        waiting = [who for who, fate in self.stage.fates(batch).items() if fate == "pending"]
        in_time = self.gate.is_before(self.sequence.reads)
        if verb == "skip":
            if waiting:
                self.stage.skip(batch, respected=in_time)
            return bool(waiting)
        if self.stage.control(verb, batch_id) != 200:
            return False
        if self.act == "cancel old" and in_time:
            self.stage.skipped |= dict.fromkeys(waiting, self.stage.sandbox.now())
        return True

    def _check(self, target: str, ended: Ended, made: int) -> None:
        stage, act = self.stage, self.act
        if act == "pause old" and self.gate.is_before(self.sequence.looks):
            assert ended.code == 4, brief(ended)
            for _ in range(2):
                assert stage.apply().code == 4
                stage.pass_time(100)
            assert len(stage.made()) == made, "calls that somebody stopped went on"
            assert self._status(target) == "paused"
            assert stage.control("resume", target) == 200
        if act == "resume old" and self.calls_again and self.sequence.may_resume(self.gate):
            assert ended.code == 1, brief(ended)
            assert len(stage.made()) == made, "a batch was made beside one that calls"
        if act in {"pause new", "cancel new"}:
            told = {"pause new": "paused", "cancel new": "cancelled"}[act]
            assert stage.apply().code == 0
            assert (self._status(target), len(stage.made())) == (told, made)
        for batch in stage.made():
            if batch.status == "paused" and act.startswith("pause") and self.scene.owed:
                stage.control("resume", batch.batch_id)
        stage.converge(codes=(1, 3, 4))
        stage.check_always()
        late = act == "resume old" and not self.sequence.may_resume(self.gate)
        everyone = (1, 2, 3) if late else self.scene.everyone
        stage.check_calls(everyone=everyone, owed=self.scene.owed and "cancel" not in act)

    def _status(self, batch_id: str) -> str:
        return next(b.status for b in self.stage.made() if b.batch_id == batch_id)
