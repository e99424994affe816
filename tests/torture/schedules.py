"""What is done to the runners of a world, as data: played, judged, and shrunk when it fails.

A schedule is a few steps. In each step one run, in a clone of its own, meets one fault of the API
and is killed (KILL), or stopped while another run from another clone goes to its end and time
passes, and then killed (RACE) or let go on (RESUME), at one boundary. Its clone is thrown away: the
next run knows only what was pushed. Or a person merges a changed spec (CHANGE). After the last step
runs follow that nothing happens to, and the oracle is asked.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.torture.gitworld import KILLED, SETTLED
from tests.torture.vendor import CONTROLS, DENIALS, FAULTS, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.torture.gitworld import Ended, GitStarted, GitWorld

KILL, RACE, RESUME, NOTHING, CHANGE = "kill", "race", "resume", "nothing", "change"
LEASE_OVER = 400.0
"""Seconds after which an intent has expired, and is not yet old enough to be settled."""
PAUSES = (0.0, LEASE_OVER, SETTLED + 300.0)
MOST_BOUNDARIES = 80
"""No run of these worlds has more."""
WHOLE = os.environ.get("TORTURE") in {"whole", "every"}
"""Whether the product is played, and not a slice."""
EVERY = os.environ.get("TORTURE") == "every"
"""Whether that goes for deaths too that leave behind what others do."""
NEVER = 10**6
"""A boundary that no run comes to."""


@dataclass(frozen=True)
class Step:
    """One run, what happens to it and where; `pause` and `after` are seconds that pass then."""

    at: int | str
    act: str = KILL
    fault: str = "none"
    pause: float = 0.0
    after: float = 0.0


Schedule = tuple[Step, ...]

SCENARIOS: Mapping[str, Schedule] = {
    "creates": (),
    "finds and creates again": (Step("create: after", KILL, after=SETTLED),),
    "cancels": (
        Step(NEVER, NOTHING, "late, past settle", after=SETTLED),
        Step(NEVER, NOTHING, after=61.0),
    ),
    "replaces": (
        Step(NEVER, CHANGE),
        Step(NEVER, NOTHING, after=200.0),
        Step(NEVER, CHANGE),
    ),
}
"""What came before the run that it is about: nothing; a run that died between two creates, so that
this one finds a batch and no other, and creates both of what is left; two runs, between which a
request arrived long after it was given up, so that this one has a second batch to cancel; a batch
that has called everybody once, and a person who changes its spec."""


@dataclass
class Played:
    """What became of a schedule: whether every step struck, and what the promise allows.

    `quick` is said where a lasting fault lets no run wait as long as usual. `traces` are the
    boundaries that the run of each step crossed.
    """

    struck: bool = True
    ever: int = 1
    quick: bool = False
    traces: list[Sequence[str]] = field(default_factory=list)


def crossed(scenario: str, step: Step) -> Schedule:
    """Give the schedule in which a run of a scenario meets something.

    A lasting fault lasts for one more run, and what was not cancelled is looked after at once.
    """
    before = SCENARIOS[scenario]
    if FAULTS[step.fault].lasting:
        return (*before, replace(step, after=SETTLED), Step(NEVER, NOTHING))
    if scenario == "cancels":
        return (*before, step, Step(NEVER, NOTHING))
    return (*before, step)


def play(
    world: GitWorld, schedule: Schedule, sabotage: Sequence[str] = (), *, content: bool = True
) -> Played:
    """Play a schedule and judge it. Raises `AssertionError` for a broken promise.

    With `content` another run must find nothing to do at last.
    """
    played = Played()
    for step in schedule:
        _play_step(world, step, sabotage, played)
        world.let_arrive()
        world.check_intents()
        world.pass_time(step.after)
    world.settle(sabotage=sabotage, content=content or played.ever > 1)
    # Of what shows itself only at the end nobody could know in time.
    ended = any(FAULTS[step.fault].ever > 1 for step in schedule[-2:])
    world.check(ever=played.ever, ended=ended)
    return played


def _play_step(world: GitWorld, step: Step, sabotage: Sequence[str], played: Played) -> None:
    if step.act == CHANGE:
        world.change()
        played.traces.append(())
        return
    fault = FAULTS[step.fault]
    world.sandbox.faults.add_all(fault.rules)
    played.ever += fault.ever - 1
    order: dict[str, Any] = {"sabotage": list(sabotage)}
    if fault.quick or played.quick:
        order["timeout"] = QUICK
    played.quick = played.quick or (fault.quick and fault.lasting)
    clone = world.clone()
    act = {KILL: "kill", RACE: "stop", RESUME: "stop"}.get(step.act)
    if act:
        order |= {"at": step.at, "act": act}
    run = world.begin(clone, **order)
    order = {name: value for name, value in order.items() if name not in {"at", "act"}}
    if act == "stop" and world.wait_stopped(run):
        ended = _meanwhile(world, run, step, order)
    else:
        ended = run.wait()
        struck = act != "stop" and (ended.code == KILLED) == (step.act == KILL)
        played.struck = played.struck and struck
        assert ended.code in {KILLED, 0, 1, 3}, (ended.code, ended.err)
    played.traces.append(ended.trace)
    world.lose(clone)
    world.sandbox.faults.release()
    if not fault.lasting and any(rule.get("times", 1) is None for rule in fault.rules):
        world.sandbox.faults.clear()


def _meanwhile(world: GitWorld, run: GitStarted, step: Step, order: Mapping[str, Any]) -> Ended:
    """While a run is stopped: time, and another run from another clone."""
    world.sandbox.faults.release()  # held for longer than `settle` would be another fault
    world.pass_time(step.pause)
    world.let_arrive()
    rival = world.apply(**order)
    assert rival.code in {0, 1, 3}, (rival.code, rival.err)
    world.sandbox.faults.release()
    if step.act == RACE:
        run.kill(9)
        return run.wait()
    ended = world.go_on(run)
    assert ended.code in {0, 1, 3}, (ended.code, ended.err)
    return ended


# -- the product -----------------------------------------------------------------------------------


RACING = ("none", "500 before", "reset after", "late, close", "hidden, gettable True", "429")
"""The faults that races are crossed with: one for each way in which a create can end."""


def deaths() -> list[tuple[str, str]]:
    """List scenarios and faults: a run of each dies at every boundary from the fault on.

    Creates meet all faults there are, and so does what is read on the way; a changed spec meets one
    for each way in which a request can end.
    """
    found = [(scenario, "none") for scenario in SCENARIOS]
    for name, fault in FAULTS.items():
        match fault.operation:
            case "create":
                found.append(("creates", name))
            case "list" | "get" | "campaign":
                found.append(("creates", name))
                # A list that lacks the one batch that matters is believed once it is old enough.
                if name != "list: empty":
                    found.append(("finds and creates again", name))
            case "cancel":
                found.append(("cancels", name))
            case _:
                found.append(("replaces", name))
    found += [("replaces", name) for name in ("400 before", "403 after", *RACING)]
    found += [("replaces", f"cancel: {name}") for name in CONTROLS if f"cancel: {name}" in FAULTS]
    return list(dict.fromkeys(found))


def races() -> list[tuple[str, str, float, str]]:
    """List what a run is stopped for, at every boundary: scenario, act, pause, fault."""
    return [
        *(("creates", RACE, pause, fault) for pause in PAUSES[::2] for fault in RACING),
        *(("creates", RESUME, pause, fault) for pause in PAUSES for fault in RACING),
        *(("replaces", RACE, pause, "none") for pause in PAUSES[::2]),
        *(("replaces", RESUME, pause, "none") for pause in PAUSES[::2]),
    ]


def points(act: str, fault: str, trace: Sequence[str]) -> list[int]:
    """Give the boundaries at which a run that would cross these is killed or stopped.

    Who goes on is stopped at each. With the disk of a dead run goes all that it had not pushed or
    sent, so deaths between two of those leave the same behind, and one of them is played: that
    before the next. A death before a fault can have struck is a death without it.
    """
    every = range(1, len(trace) + 1)
    if act == RESUME or EVERY or (act == KILL and fault == "none"):
        return list(every)
    struck = f"{_CALLS[FAULTS[fault].operation]}: after"
    first = trace.index(struck) if FAULTS[fault].rules and struck in trace and act == KILL else 0
    return [at for at in every if at > first and trace[at - 1] in _EFFECTS]


_EFFECTS = {f"{call}: before" for call in ("git push", "create", "cancel", "pause", "resume")}
_CALLS = {
    "create": "create",
    "list": "listing",
    "get": "batch",
    "campaign": "campaign",
    "cancel": "cancel",
    "pause": "pause",
    "contacts": "batch_contacts",
    "resume": "resume",
}


def drawn_from_the_product(dice: random.Random) -> Schedule:
    """Draw one schedule of the product."""
    if dice.random() < 0.5:
        scenario, fault = dice.choice(deaths())
        return crossed(scenario, Step(dice.randrange(1, 33), KILL, fault))
    scenario, act, pause, fault = dice.choice(races())
    return crossed(scenario, Step(dice.randrange(1, 33), act, fault, pause))


_DENIED = 0.25
"""How many of the lives that are drawn may meet an API that creates and says no."""


def drawn(seed: int) -> Schedule:
    """Draw a life of two to four steps."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, and guards nothing
    # A no that was a yes is believed where the list cannot be read, or does not show it, just then.
    denied = dice.random() < _DENIED
    reads = {"create"} if denied else {"create", "list", "get", "campaign"}
    # An empty list is believed once what it lacks is old enough, as it may be here.
    faults = [
        name
        for name, fault in FAULTS.items()
        if fault.ever == 1 and fault.operation in reads and name != "list: empty"
        if not (fault.hidden if denied else name in DENIALS)
    ]
    return tuple(
        Step(
            at=dice.randrange(1, 45),
            act=dice.choice([KILL, KILL, RACE, RESUME, NOTHING]),
            fault=dice.choice(faults),
            pause=dice.choice(PAUSES),
            after=dice.choice([0.0, 0.0, LEASE_OVER, SETTLED]),
        )
        for _ in range(dice.randrange(2, 5))
    )


# -- shrinking -------------------------------------------------------------------------------------


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
