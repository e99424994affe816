"""FREEZE and `freeze` in a root: what is read there, what a plan makes of it, what a brake sees."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.cli.brakes import Shared
from reconciler.model import Lifecycle
from reconciler.plan.actions import ActionKind, Reason, Refusal
from reconciler.spec.config.freeze import LocalBrake, file_says, freeze_file, frozen_here
from reconciler.spec.config.settings import load_settings
from tests.apply.doubles import World, endings
from tests.core.builders import spec

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.plan.actions import Plan


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"too many complaints\n", "too many complaints"),
        (b"\xef\xbb\xbfone\n\n  two\nthree\nfour\n", "one two three"),
        (b"ask +91 98765 43210\nor 98765\n43210", "ask +91**********10 or 987******10"),
        (b"\xff\xfe\x1b[31mred", "\\ufffd\\ufffd\\x1b[31mred"),
        (b"x" * 10_000, "x" * 299 + "…"),
    ],
    ids=["empty", "blank", "text", "lines", "numbers", "garbage", "long"],
)
def test_the_reason(data: bytes, reason: str) -> None:
    """The first lines of FREEZE are the reason: short, printable, no number in them."""
    said = file_says(data)
    assert "9876543210" not in said.replace(" ", "")
    assert said.replace("\ufffd", "\\ufffd") == reason


def test_nothing_is_frozen(tmp_path: Path) -> None:
    """A root without the file, or that is not there at all, is not frozen."""
    assert freeze_file(tmp_path) is None
    assert freeze_file(tmp_path / "nowhere") is None
    assert frozen_here(tmp_path, load_settings(tmp_path)) is None


def _link(path: Path) -> None:
    path.symlink_to("nowhere")


def _secret(path: Path) -> None:
    path.write_text("reason", "utf-8")
    path.chmod(0)


@pytest.mark.parametrize(
    "make",
    [os.mkdir, os.mkfifo, _link, _secret],
    ids=["directory", "fifo", "symlink", "unreadable"],
)
def test_whatever_is_called_freeze(tmp_path: Path, make: object) -> None:
    """Something of that name freezes, whatever it is, and nobody waits for it to be read."""
    make(tmp_path / "FREEZE")  # type: ignore[operator] # each takes a path
    assert frozen_here(tmp_path, load_settings(tmp_path)) is not None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("true", "says `freeze: true`"),
        ("too many complaints", "says: too many complaints"),
        ("call 98765 43210", "says: call 987******10"),
        ("false", None),
        ("~", None),
    ],
)
def test_the_setting(tmp_path: Path, written: str, said: str | None) -> None:
    """`freeze` in the settings freezes too; a text is the reason, without numbers."""
    (tmp_path / "reconciler.yaml").write_text(f"freeze: {written}\n", "utf-8")
    settings = load_settings(tmp_path)
    told = frozen_here(tmp_path, settings)
    assert told == (said and f"{tmp_path}/reconciler.yaml {said}")
    assert LocalBrake(tmp_path).frozen() == told


def test_a_brake_looks_each_time(tmp_path: Path) -> None:
    """What is written, changed or removed counts from that moment on; a mistake freezes."""
    brake, settings = LocalBrake(tmp_path), tmp_path / "reconciler.yaml"
    answers = []
    for text in ("", "freeze: true\n", "freeze: false\n", "frieze: false\n", "chunk: 2\n"):
        settings.write_text(text, "utf-8")
        answers.append(brake.frozen() is not None)
    assert answers == [False, True, False, True, False]
    settings.chmod(0)
    if os.geteuid():
        assert "cannot be read" in str(brake.frozen())
    settings.unlink()
    assert brake.frozen() is None
    (tmp_path / "FREEZE").touch()
    assert str(brake.frozen()).endswith("/FREEZE gives no reason")


# -- plans -----------------------------------------------------------------------------------------


def _kinds(plan: Plan) -> dict[str, tuple[ActionKind, Reason]]:
    return {action.name: (action.kind, action.reason) for action in plan.pending}


def test_what_a_frozen_plan_does() -> None:
    """Creating, replacing and resuming is blocked; pausing, cancelling and moving goes on."""
    world = World()
    before = [spec(name, 1 + i) for i, name in enumerate(("a", "b", "c", "d", "e"))]
    before[1] = replace(before[1], lifecycle=Lifecycle.ACTIVE)
    assert set(endings(world.apply(*before)).values()) == {"created"}
    world.apply(*(replace(s, lifecycle=Lifecycle.PAUSED) if s.name == "b" else s for s in before))
    now = [
        spec("a", 9),
        before[1],
        replace(before[2], lifecycle=Lifecycle.PAUSED),
        replace(before[3], lifecycle=Lifecycle.CANCELLED),
        replace(before[4], name="moved"),
        spec("new", 12),
    ]
    world.rules = replace(world.rules, frozen="batches/FREEZE says: stop")
    plan = world.plan(*now)
    assert {name: kind.value for name, (kind, _) in _kinds(plan).items()} == {
        "a": "blocked",
        "b": "blocked",
        "c": "pause",
        "d": "cancel",
        "moved": "move",
        "new": "blocked",
    }
    for action in plan.pending:
        if action.kind is ActionKind.BLOCKED:
            assert (action.reason, action.refusal) == (Reason.FROZEN, Refusal.GUARD)
            assert action.message.startswith("everything is frozen: batches/FREEZE says: stop")
            assert "remove the file FREEZE" in action.hint
    assert plan.people == 0
    made = len(world.api.batches)
    report = world.apply(*now)
    assert (report.exit_code, len(world.api.batches)) == (4, made)
    world.rules = replace(world.rules, frozen=None)
    assert world.apply(*now).exit_code == 0
    assert world.plan(*now).pending == ()


def test_doubts_are_settled_while_frozen() -> None:
    """What was created is found and recorded; what certainly was not is not created again."""
    world = World(a=["lost"], b=["never"])
    specs = [spec("a", 1), spec("b", 2)]
    world.api.hidden["bat_1"] = 1
    world.apply(*specs)
    world.clock.pass_by(700)
    world.rules = replace(world.rules, frozen="stop")
    report = world.apply(*specs)
    assert endings(report) == {"a adopt": "created", "b blocked": "blocked"}
    assert report.exit_code == 4
    assert len(world.api.creates) == 2


# -- looks that are shared -------------------------------------------------------------------------


@dataclass
class _Slow:
    """A brake whose looks each wait to be let through, and say their number."""

    looks: int = 0
    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def frozen(self) -> str:
        """Look."""
        self.looks += 1
        mine = self.looks
        self.inside.release()
        self.go.acquire()
        return str(mine)


def test_one_look_for_all_who_were_waiting() -> None:
    """Who asks during a look waits for the next one, which serves all of them."""
    slow = _Slow()
    answers: list[str | None] = []
    shared = Shared(slow)

    def ask() -> None:
        answers.append(shared.frozen())

    first = threading.Thread(target=ask)
    first.start()
    slow.inside.acquire()
    others = [threading.Thread(target=ask) for _ in range(5)]
    for thread in others:
        thread.start()
    while shared.waiting < len(others):
        pass
    slow.go.release()
    slow.inside.acquire()
    slow.go.release()
    for thread in (first, *others):
        thread.join()
    assert sorted(map(str, answers)) == ["1", "2", "2", "2", "2", "2"]
    assert slow.looks == 2


def test_a_look_that_breaks_off() -> None:
    """Who waited for it takes it for a reason not to send; the next look is a new one."""

    class _Broken:
        def frozen(self) -> str | None:
            raise RuntimeError

    shared = Shared(_Broken())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            shared.frozen()
