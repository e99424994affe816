"""What is carried out for a changed, renamed, removed or stopped spec: one scene for each sequence.

A scene sets a stage up to just before the run in question. What the run may meet (a death at every
step, a fault in every call, an operator at the console) is the tests' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.change.stage import CALLED, KILLED, NAME, SETTLED, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CROWD = range(8)
NO_PAUSE = {"operation": "pause", "kind": "status", "code": 409, "times": None}
"""An API that pauses nothing."""
FAR = 6 * 3_600
SOON = 300


def nothing(_: Stage) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One sequence.

    `set` makes everything ready for the run, `words` are its command's own. `mend` happens after a
    death and before the next run. `then` looks at the end. `code` is the run's exit status where
    nothing befalls it. `everyone` are generations that call everyone again. `cancels_first` tells
    that a batch may be cancelled with nothing in its place; `owed` that all specs want their people
    called, `hung_up` that a batch is cancelled amid its calls. `fewest` steps it has.
    """

    name: str
    set: Callable[[Stage], None]
    words: tuple[str, ...] = ()
    mend: Callable[[Stage], None] = nothing
    then: Callable[[Stage], None] = nothing
    code: int = 0
    everyone: tuple[int, ...] = ()
    cancels_first: bool = False
    owed: bool = True
    hung_up: bool = False
    fewest: int = 40
    order: Mapping[str, Any] = field(default_factory=dict)

    def check(self, stage: Stage, *, settled: bool = True) -> None:
        """Ask the oracle, at once and days later."""
        if settled:
            stage.check_settled(cancels_first=self.cancels_first)
        self.then(stage)
        stage.check_calls(everyone=self.everyone, owed=self.owed, hung_up=self.hung_up)


# -- beginnings ------------------------------------------------------------------------------------


def calling(stage: Stage, seconds: float = 60, **fields: Any) -> None:
    """Have a batch in the midst of its calls: some reached, some on the line, some not yet."""
    stage.spec(CROWD, **fields)
    assert stage.apply().code == 0
    stage.sandbox.advance(seconds)


def change(stage: Stage, name: str = NAME, **fields: Any) -> None:
    """Change the spec: two come, one waiting goes, two others are greeted otherwise."""
    stage.spec(
        [0, 1, 2, 3, 4, 6, 7, 8, 9], name, **{"variant": [0, 7], "concurrency_limit": 3, **fields}
    )


def on_change(how: str) -> dict[str, Any]:
    """Give the field that says whom a change calls."""
    return {"reconcile": {"on_change": how}}


def lifecycle(how: str) -> dict[str, Any]:
    """Give the field that says whether anybody is called at all."""
    return {"reconcile": {"lifecycle": how}}


def dies(stage: Stage, where: str, **order: Any) -> None:
    """Have a run die at the first boundary of a name."""
    assert stage.apply(kill_on=where, **order).code == KILLED
    stage.let_arrive()
    stage.check_always()


# -- a changed spec --------------------------------------------------------------------------------


def remaining(stage: Stage) -> None:
    """Change a spec whose batch is calling."""
    calling(stage)
    change(stage)


def skipped_by_hand(stage: Stage) -> None:
    """Change a spec twice; before each, somebody took out people who waited."""
    calling(stage)
    stage.skip(stage.made()[0])
    stage.skip(stage.made()[0], "retrying")
    change(stage)
    assert stage.apply().code == 0
    stage.skip(stage.made()[1])
    stage.spec([*CROWD, 8, 9], variant=[1])


def everyone(stage: Stage) -> None:
    """Change a spec that then calls all of its people again."""
    calling(stage)
    change(stage, **on_change("everyone"))


def added(stage: Stage) -> None:
    """Change a spec of which only the new people are called."""
    calling(stage)
    stage.spec([*CROWD, 8, 9], **on_change("added"))


def after_added(stage: Stage) -> None:
    """Change a spec that has two batches calling."""
    added(stage)
    assert stage.apply().code == 0
    stage.sandbox.advance(20)
    change(stage, variant=[0, 7])


def nobody_is_left(stage: Stage) -> None:
    """Take out of a spec all who were not called yet."""
    calling(stage, 200)
    (batch,) = stage.made()
    done = [who for who, status in stage.fates(batch).items() if status in CALLED]
    assert done
    stage.spec(done, concurrency_limit=5)


def one_complete(stage: Stage) -> None:
    """Look that no second batch was made."""
    assert stage.statuses() == ["cancelled"]


def all_were_called(stage: Stage) -> None:
    """Change a spec whose batch is at its end."""
    calling(stage, 2 * 86_400)
    assert stage.statuses() == ["completed"]
    change(stage)


def cancelled_by_hand(stage: Stage) -> None:
    """Change a spec whose batch an operator cancelled: who waited there was skipped by hand."""
    calling(stage)
    (batch,) = stage.made()
    assert stage.control("cancel", batch.batch_id) == 200
    now = stage.sandbox.now()
    stage.skipped |= {who: now for who, fate in stage.fates(batch).items() if fate not in CALLED}
    change(stage)


def not_started(stage: Stage) -> None:
    """Change a spec whose batch waits for its start, and can be paused."""
    stage.spec(CROWD, scheduled_start=stage.in_time(FAR))
    assert stage.apply().code == 0
    change(stage, scheduled_start=stage.in_time(FAR))


def unpausable(ahead: float) -> Callable[[Stage], None]:
    """Change a spec whose batch waits for a start so far ahead, and cannot be paused."""

    def set_up(stage: Stage) -> None:
        stage.spec(CROWD, scheduled_start=stage.in_time(ahead))
        assert stage.apply().code == 0
        stage.sandbox.faults.add(NO_PAUSE)
        change(stage)

    return set_up


def reverted(stage: Stage) -> None:
    """Change a spec and change it back, with calls in between."""
    calling(stage)
    change(stage)
    assert stage.apply().code == 0
    stage.sandbox.advance(60)
    stage.spec(CROWD)


def gone(stage: Stage) -> None:
    """Change a spec whose batch the API does not know any more."""
    calling(stage, 86_400)
    with stage.sandbox._database.transaction() as connection:
        connection.execute("UPDATE batches SET gettable = 0, hidden_until = 1e15")
    change(stage, **on_change("everyone"))


# -- a change that comes to something else ---------------------------------------------------------


def taken_back(stage: Stage) -> None:
    """Have a run die when it has paused the old batch; the change is taken back."""
    remaining(stage)
    dies(stage, "pause: after")
    stage.spec(CROWD)


def goes_on_as_before(stage: Stage) -> None:
    """Look that the old batch was resumed and no other made."""
    assert stage.statuses() == ["in_progress"]


def changed_once_more(stage: Stage) -> None:
    """Change the changed spec."""
    stage.spec([*CROWD, 10], variant=[2, 4], concurrency_limit=4)


def changed_after_a_death(where: str) -> Callable[[Stage], None]:
    """Have a run die at a boundary of its change; the spec is changed again."""

    def set_up(stage: Stage) -> None:
        remaining(stage)
        dies(stage, where)
        changed_once_more(stage)

    return set_up


def rejected(stage: Stage) -> None:
    """Have the new batch refused."""
    remaining(stage)
    stage.sandbox.faults.add(operation="create", kind="status", code=422, times=None)


def no_more_faults(stage: Stage) -> None:
    """Mend the API."""
    stage.sandbox.faults.clear()


def rejected_while_on_the_line(stage: Stage) -> None:
    """Have a change refused that did not wait for calls in flight, and change the spec again."""
    calling(stage, 3, outcomes={0: "no_answer, completed", 1: "no_answer, completed"})
    (batch,) = stage.made()
    assert {who for who, fate in stage.fates(batch).items() if fate != "pending"} == {0, 1}
    change(stage)
    stage.sandbox.faults.add(operation="create", kind="status", code=422)
    assert stage.apply("--drain=0").code == 1
    stage.sandbox.advance(60)
    assert {stage.fates(batch)[who] for batch in stage.made() for who in (0, 1)} == {"retrying"}
    changed_once_more(stage)


def cut(most: int, **more: Any) -> dict[str, Any]:
    """Give the field that cuts a list into batches of at most so many people."""
    return {"reconcile": {"split": {"max_contacts": most}, **more}}


def cut_into_parts(stage: Stage) -> None:
    """Have several batches take the place of one."""
    calling(stage)
    change(stage, **cut(4))


def cut_before(stage: Stage) -> None:
    """Have other parts take the place of several batches."""
    calling(stage, **cut(3))
    change(stage, **cut(5))


def partly_rejected(stage: Stage) -> None:
    """Have one of several new batches refused, and the others not."""
    cut_into_parts(stage)
    stage.sandbox.faults.add(operation="create", kind="status", code=422, after=1, times=None)


def lost_answer(stage: Stage) -> None:
    """Have the new batch made, and its answer lost."""
    remaining(stage)
    stage.sandbox.faults.add(operation="create", kind="reset", when="after")


def late(stage: Stage) -> None:
    """Have the new batch come into being when nobody expects it any more."""
    remaining(stage)
    stage.sandbox.faults.add(operation="create", kind="late", seconds=200, then="reset")


def created_again(stage: Stage) -> None:
    """Have the batch created again under its key: an earlier run's create got lost."""
    remaining(stage)
    stage.sandbox.faults.add(operation="create", kind="status", code=503)
    assert stage.apply().code == 3
    stage.pass_time(SETTLED)


# -- lifecycle, removal, names ---------------------------------------------------------------------


def paused(stage: Stage) -> None:
    """Stop a spec's calls."""
    calling(stage)
    stage.spec(CROWD, **lifecycle("paused"))


def resumed(stage: Stage) -> None:
    """Let a spec's calls go on that were stopped."""
    paused(stage)
    assert stage.apply().code == 0
    stage.pass_time(300)
    stage.spec(CROWD)


def resumed_changed(stage: Stage) -> None:
    """Let a spec's calls go on that were stopped, and change it in the same moment."""
    paused(stage)
    assert stage.apply().code == 0
    stage.pass_time(300)
    change(stage)


def resumed_with_more(stage: Stage) -> None:
    """Let stopped calls go on, and add people beside the old batch."""
    paused(stage)
    assert stage.apply().code == 0
    stage.pass_time(300)
    stage.spec([*CROWD, 8, 9], **on_change("added"))


def paused_while_changing(stage: Stage) -> None:
    """Have a run die when it has paused the old batch for a change, and the spec wants a pause."""
    remaining(stage)
    dies(stage, "pause: after")
    change(stage, **lifecycle("paused"))


def cancelled(stage: Stage) -> None:
    """End a spec's calls for good."""
    calling(stage)
    stage.spec(CROWD, **lifecycle("cancelled"))


def wanted_again(stage: Stage) -> None:
    """Want a spec's calls again that were ended."""
    cancelled(stage)
    assert stage.apply().code == 0
    stage.spec(CROWD)


def skipped_and_wanted_again(stage: Stage) -> None:
    """Want a spec's calls again that were ended after somebody took people out by hand."""
    calling(stage)
    stage.skip(stage.made()[0])
    stage.skip(stage.made()[0], "retrying")
    stage.spec(CROWD, **lifecycle("cancelled"))
    assert stage.apply().code == 0
    stage.spec(CROWD)


def status_is(*expected: str) -> Callable[[Stage], None]:
    """Look what became of each batch."""

    def look(stage: Stage) -> None:
        assert stage.statuses() == list(expected)

    return look


def removed(stage: Stage) -> None:
    """Remove one spec of four, whose batch is cancelled on request."""
    for place, name in enumerate(("one", "two", "three")):
        stage.spec([20 + 10 * place, 21 + 10 * place], name)
    calling(stage)
    stage.remove()


def the_first_three_only(stage: Stage) -> None:
    """Look that the removed spec's batch was ended and the others left alone."""
    gone_on = {b.name: b.status for b in stage.made()}
    assert gone_on.pop(NAME) == "cancelled"
    assert "cancelled" not in gone_on.values()


def removed_while_changing(stage: Stage) -> None:
    """Have a run die when it has paused the old batch, and the spec is removed."""
    for place, name in enumerate(("one", "two", "three")):
        stage.spec([20 + 10 * place, 21 + 10 * place], name)
    remaining(stage)
    dies(stage, "pause: after")
    stage.remove()


def moved(stage: Stage) -> None:
    """Rename a spec whose batch is calling."""
    calling(stage)
    stage.move(NAME, "renamed")


def moved_then_changed(stage: Stage) -> None:
    """Rename a spec and change it a run later."""
    moved(stage)
    assert stage.apply().code == 0
    change(stage, "renamed")


SCENES = (
    Scene(name="remaining", set=remaining),
    Scene(name="skipped by hand", set=skipped_by_hand),
    Scene(name="everyone", set=everyone, everyone=(2,)),
    Scene(name="added", set=added, then=status_is("in_progress", "in_progress")),
    Scene(name="after added", set=after_added),
    Scene(
        name="nobody is left",
        set=nobody_is_left,
        then=one_complete,
        cancels_first=True,
    ),
    Scene(name="all were called", set=all_were_called),
    Scene(name="cancelled by hand", set=cancelled_by_hand),
    Scene(name="not started", set=not_started),
    Scene(name="not to be paused, starts far ahead", set=unpausable(FAR)),
    Scene(name="not to be paused, starts soon", set=unpausable(SOON), cancels_first=True),
    Scene(name="reverted", set=reverted),
    Scene(name="gone", set=gone, everyone=(2,), fewest=30),
    Scene(name="taken back", set=taken_back, then=goes_on_as_before, fewest=14),
    # The dead run leaves the old batch paused; the new one not recorded; the old one uncancelled.
    Scene(name="changed again", set=changed_after_a_death("pause: after")),
    Scene(name="changed while in doubt", set=changed_after_a_death("create: after")),
    Scene(name="changed before the cancel", set=changed_after_a_death("cancel: before")),
    Scene(name="rejected", set=rejected, mend=no_more_faults, code=1),
    Scene(name="rejected while on the line", set=rejected_while_on_the_line),
    Scene(name="cut into parts", set=cut_into_parts),
    Scene(name="cut before", set=cut_before),
    Scene(name="partly rejected", set=partly_rejected, mend=no_more_faults, code=1),
    Scene(name="lost answer", set=lost_answer),
    Scene(name="late", set=late, code=3),
    Scene(name="created again", set=created_again),
    Scene(name="paused", set=paused, then=status_is("paused"), owed=False, fewest=14),
    Scene(name="resumed", set=resumed, then=status_is("in_progress"), fewest=14),
    Scene(name="resumed and changed", set=resumed_changed),
    Scene(name="resumed with more", set=resumed_with_more),
    Scene(name="paused while changing", set=paused_while_changing, owed=False, fewest=14),
    Scene(
        name="cancelled",
        set=cancelled,
        then=status_is("cancelled"),
        cancels_first=True,
        owed=False,
        fewest=14,
    ),
    Scene(name="wanted again", set=wanted_again, cancels_first=True, hung_up=True),
    Scene(
        name="skipped and wanted again",
        set=skipped_and_wanted_again,
        cancels_first=True,
        hung_up=True,
    ),
    Scene(
        name="removed",
        set=removed,
        words=("--prune",),
        then=the_first_three_only,
        cancels_first=True,
        fewest=14,
    ),
    Scene(
        name="removed while changing",
        set=removed_while_changing,
        words=("--prune",),
        then=the_first_three_only,
        cancels_first=True,
        fewest=14,
    ),
    Scene(name="moved", set=moved, then=status_is("in_progress"), fewest=10),
    Scene(name="moved then changed", set=moved_then_changed),
)
