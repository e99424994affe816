"""What is done to the runners of a world, as data: played, judged, and shrunk when it fails.

A schedule is a few steps. In each step one run, in a clone of its own, meets one fault of the API
and is killed (KILL), or stopped while another run from another clone goes to its end and time
passes, and then killed (RACE) or let go on (RESUME), at one boundary. Its clone is thrown away: the
next run knows only what was pushed. After the last step runs follow that nothing happens to, and
the oracle is asked.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.torture.gitworld import KILLED, SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.torture.gitworld import GitStarted, GitWorld

KILL, RACE, RESUME, NOTHING = "kill", "race", "resume", "nothing"
LEASE_OVER = 400.0
"""Seconds after which an intent has expired, and is not yet old enough to be settled."""
PAUSES = (0.0, LEASE_OVER, SETTLED + 300.0)
MOST_BOUNDARIES = 60
"""No run of these worlds has more."""

FAULTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "none": [],
    "500 after": [{"kind": "status", "code": 500, "when": "after"}],
    "500 before": [{"kind": "status", "code": 500, "when": "before"}],
    "late": [{"kind": "late", "seconds": 60, "then": "close"}],
    "reset after": [{"kind": "reset", "when": "after"}],
    "hang": [{"kind": "hang", "when": "after"}],
    "invisible": [{"kind": "invisible", "seconds": 300}, {"kind": "close", "when": "after"}],
}
"""Each strikes the first create that it meets."""
_QUICK = 0.3
"""GRAINE_TIMEOUT where requests run into it."""


@dataclass(frozen=True)
class Step:
    """One run, what happens to it and where; `pause` and `after` are seconds that pass then."""

    at: int | str
    act: str = KILL
    fault: str = "none"
    pause: float = 0.0
    after: float = 0.0


Schedule = tuple[Step, ...]


@dataclass
class Played:
    """What became of a schedule: whether every step struck, and what the promise allows."""

    struck: bool = True
    ever: int = 1
    live: int = 1


def play(world: GitWorld, schedule: Schedule, sabotage: Sequence[str] = ()) -> Played:
    """Play a schedule and judge it. Raises `AssertionError` for a broken promise."""
    played = Played()
    for step in schedule:
        _play_step(world, step, sabotage, played)
        world.let_arrive()
        world.check_intents()
        world.pass_time(step.after)
    world.settle(sabotage=sabotage)
    world.check(ever=played.ever, live=played.live)
    return played


def _play_step(world: GitWorld, step: Step, sabotage: Sequence[str], played: Played) -> None:
    rules = [{"operation": "create", **rule} for rule in FAULTS[step.fault]]
    world.sandbox.faults.add_all(rules)
    order: dict[str, Any] = {"sabotage": list(sabotage)}
    if step.fault == "hang":
        order["timeout"] = _QUICK
    clone = world.clone()
    act = {KILL: "kill", RACE: "stop", RESUME: "stop"}.get(step.act)
    if act:
        order |= {"at": step.at, "act": act}
    run = world.begin(clone, **order)
    order = {name: value for name, value in order.items() if name not in {"at", "act"}}
    if act == "stop" and world.wait_stopped(run):
        _meanwhile(world, run, step, order, played)
    else:
        ended = run.wait()
        struck = act != "stop" and (ended.code == KILLED) == (step.act == KILL)
        played.struck = played.struck and struck
        assert ended.code in {KILLED, 0, 1, 3}, (ended.code, ended.err)
    world.lose(clone)


def _meanwhile(
    world: GitWorld, run: GitStarted, step: Step, order: Mapping[str, Any], played: Played
) -> None:
    """While a run is stopped: time, and another run from another clone."""
    world.pass_time(step.pause)
    world.let_arrive()
    ended = world.apply(**order)
    assert ended.code in {0, 1, 3}, (ended.code, ended.err)
    if step.act == RACE:
        run.kill(9)
        run.wait()
        return
    ended = world.go_on(run)
    # 4: it had read the state, and then saw batches of its rival that this state does not know.
    assert ended.code in {0, 1, 3, 4}, (ended.code, ended.err)
    if step.pause > SETTLED and _was_sending(ended.trace, step.at):
        played.ever += 1
        # What no list shows nobody can cancel in time.
        played.live += step.fault in {"late", "invisible"}


def _was_sending(trace: Sequence[str], at: int | str) -> bool:
    """Whether a run was stopped after its last look at the clock, with a request not yet sent.

    That is the one place where nothing can help a run that is suspended for longer than all that
    anybody waits for. A sender is there only while the recording thread has nothing to do.
    """
    number = trace.index(at) if isinstance(at, str) else at - 1
    before, rest = trace[: number + 1], trace[number:]
    if before.count("create: before") > before.count("create: after"):
        return True
    if rest[0].startswith(("git", "save")) or "create: before" not in rest:
        return False
    return "git push: before" not in rest[: rest.index("create: before")]


def families() -> list[tuple[str, float, str]]:
    """List what every boundary is crossed with: act, pause, fault."""
    return [
        *((KILL, 0.0, fault) for fault in FAULTS),
        *(
            (RACE, pause, fault)
            for pause in (0.0, PAUSES[2])
            for fault in ("none", "late", "invisible")
        ),
        *((RESUME, pause, fault) for pause in PAUSES for fault in ("none", "500 before", "late")),
    ]


def drawn(seed: int) -> Schedule:
    """Draw a schedule of two to four steps."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, and guards nothing
    return tuple(
        Step(
            at=dice.randrange(1, 45),
            act=dice.choice([KILL, KILL, RACE, RESUME, NOTHING]),
            fault=dice.choice(list(FAULTS)),
            pause=dice.choice(PAUSES),
            after=dice.choice([0.0, 0.0, LEASE_OVER, SETTLED]),
        )
        for _ in range(dice.randrange(2, 5))
    )


def shrunk(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Find the shortest schedule within this one that still fails, its steps as plain as can be."""
    shorter = True
    while shorter:
        shorter = False
        for candidate in _simpler(schedule):
            if fails(candidate):
                schedule, shorter = candidate, True
                break
    return schedule


def _simpler(schedule: Schedule) -> list[Schedule]:
    without = [(*schedule[:n], *schedule[n + 1 :]) for n in range(len(schedule))]
    plainer = []
    for number, step in enumerate(schedule):
        for plain in ({"fault": "none"}, {"pause": 0.0}, {"after": 0.0}, {"act": NOTHING}):
            changed = replace(step, **plain)
            if changed != step:
                plainer.append((*schedule[:number], changed, *schedule[number + 1 :]))
    return [each for each in without if each] + plainer
