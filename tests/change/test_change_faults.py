"""Every call of each sequence, failing in every way, once and for good.

What a run says of itself must be true: exit status 0 only when nothing is left to do, 3 exactly
when a create's end is not known. Nobody is called twice by any of it, and when the faults end, so
does what they held up.

By default each scene meets every `STRIDE`th of its faults, others each day, as in
`test_change_kills`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.change.scenes import SCENES, Scene
from tests.change.schedules import FULL, SLICE, staged
from tests.change.stage import brief
from tests.proof.world import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.change.stage import Ended, Stage

STRIDE = 37
CORE = (
    *("remaining", "added", "nobody is left", "not to be paused, starts soon", "taken back"),
    *("rejected", "paused", "resumed", "cancelled", "changed before the cancel"),
)
"""Scenes that meet all their faults with CHANGE_FULL=1; others every seventh then."""
QUICK = 0.4
"""GRAINE_TIMEOUT where an answer is waited for in vain."""
SLOW = {"kind": "slow", "seconds": 0.2, "pieces": 4}
READS: Mapping[str, Mapping[str, Any]] = {
    **{str(code): {"kind": "status", "code": code} for code in (400, 401, 404, 409, 500, 503)},
    "404 of the API": {"kind": "status", "code": 404, "body": {"detail": "Batch not found"}},
    "busy": {"kind": "status", "code": 429, "retry_after": 0.01},
    "reset": {"kind": "reset"},
    "closed": {"kind": "close"},
    "hangs": {"kind": "hang"},
    "truncated": {"kind": "truncated"},
    "garbage": {"kind": "garbage"},
    "slow": SLOW,
}
"""What can become of an answer to a call without an effect."""
DEEDS: Mapping[str, Mapping[str, Any]] = {
    **READS,
    **{
        f"{name} after": {**READS[name], "when": "after"}
        for name in ("404", "409", "500", "503", "reset", "closed", "hangs")
    },
}
"""What can become of one with an effect, before it and after it."""
CREATES: Mapping[str, Mapping[str, Any]] = {
    **{name: DEEDS[name] for name in DEEDS if name not in {"404 after", "409 after"}},
    "refused": {"kind": "status", "code": 422},
    "redirected": {"kind": "status", "code": 307},
    "no id": {"kind": "no_batch_id"},
    "late": {"kind": "late", "seconds": 60},
}
"""What can become of a create. One that says no did not create; anything else is a lie."""
KINDS = {"create": CREATES, "pause": DEEDS, "resume": DEEDS, "cancel": DEEDS}
FREQUENCIES: Mapping[str, Mapping[str, Any]] = {
    "once": {},
    "the second time": {"after": 1},
    "for good": {"times": None},
}
OPERATIONS = ("campaign", "list", "get", "contacts", "pause", "create", "cancel", "resume")


@dataclass(frozen=True)
class Case:
    """One fault: of which operation, what kind, how often."""

    operation: str
    kind: str
    often: str

    def rule(self) -> dict[str, Any]:
        """Give it as the sandbox takes it."""
        kinds = KINDS.get(self.operation, READS)
        return {"operation": self.operation, **kinds[self.kind], **FREQUENCIES[self.often]}


def cases() -> Iterator[Case]:
    """Give every fault there is."""
    for operation in OPERATIONS:
        for kind in KINDS.get(operation, READS):
            for often in FREQUENCIES:
                yield Case(operation, kind, often)


def check_honest(stage: Stage, ended: Ended) -> None:
    """Hold what a run said of itself against what is recorded, faults over."""
    assert ended.code in {0, 1, 3, 4}, brief(ended)
    in_doubt = any(request.in_doubt for _, _, request in stage.state().requests())
    assert ended.code != 3 or in_doubt, brief(ended)
    if ended.code == 0:
        assert not in_doubt, brief(ended)
        left = [(each["name"], each["action"], each["reason"]) for each in stage.plan()]
        assert left == [], brief(ended)
    else:
        assert ended.err.strip(), "it failed and said nothing"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_fault_of_every_call(
    record_property: Callable[[str, object], None], scene: Scene
) -> None:
    """Whatever a call comes to: the exit status is honest, and the next runs put it right."""
    with staged() as stage:
        scene.set(stage)
        own = stage.sandbox.faults.rules()
        back = stage.keep()
        before = len(stage.sandbox.log())
        stage.apply(*scene.words)
        used = {entry.operation for entry in stage.sandbox.log()[before:]}
        mine = [case for case in cases() if case.operation in used]
        struck = 0
        stride = (1 if scene.name in CORE else 7) if FULL else STRIDE
        for case in mine[(SLICE + 13 * SCENES.index(scene)) % stride :: stride]:
            back()
            # Asked first, so that it is not hidden by one of the scene's own.
            stage.sandbox.faults.clear()
            number = stage.sandbox.faults.add(case.rule())
            stage.sandbox.faults.add_all([_as_given(rule) for rule in own])
            with told(f"{scene.name}: {case}, CHANGE_SLICE={SLICE}"):
                ended = stage.apply(*scene.words, timeout=QUICK)
                stage.let_arrive()
                stage.check_always()
                rule = next(r for r in stage.sandbox.faults.rules() if r["id"] == number)
                struck += rule["applied"] > 0
                stage.sandbox.faults.remove(number)
                check_honest(stage, ended)
                scene.mend(stage)
                stage.converge(*scene.words)
                scene.check(stage)
        record_property("faults", struck)


def _as_given(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rule[name] for name in rule if name not in {"id", "seen", "applied"}}
