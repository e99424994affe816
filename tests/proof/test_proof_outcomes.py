"""Every way a create can end, for every request of a run, up to convergence."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.world import SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.proof.world import World

REJECTED = (401, 403, 404, 405, 409, 413, 422)
UNCLEAR = (301, 302, 307, 408, 499, 502, 503, 504, 520)
QUICK = 0.5
"""GRAINE_TIMEOUT where a request has to run into it."""


@dataclass(frozen=True)
class Fault:
    """One fault of a create. `effect` is when the batch comes into being, in seconds from then."""

    rule: Mapping[str, Any]
    effect: float | None
    order: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = {k: v for k, v in self.rule.items() if k not in {"kind", "headers"}}
        return "-".join([self.rule["kind"], *(f"{k}={v}" for k, v in words.items())])


def both(kind: str, **fields: Any) -> list[Fault]:
    """Give a fault before and after the effect."""
    order = {"timeout": QUICK} if kind == "hang" else {}
    return [
        Fault({"kind": kind, "when": "before", **fields}, None, order),
        Fault({"kind": kind, "when": "after", **fields}, 0.0, order),
    ]


PLACES = list(product(("spec-1", "spec-2", "spec-3"), (1, 4)))
"""Where a fault strikes: at which request of a run, and how parallel the run is."""
LOST = [
    *both("status", code=500),
    *both("reset"),
    *both("close"),
    *both("hang"),
    Fault({"kind": "truncated"}, 0.0),
    Fault({"kind": "no_batch_id"}, 0.0),
    Fault({"kind": "late", "seconds": 20, "then": "reset"}, 20.0),
    Fault({"kind": "late", "seconds": 500, "then": "status"}, 500.0),
]
"""At every place."""
RELATIVES = [
    *(fault for code in UNCLEAR for fault in both("status", code=code)),
    *both("garbage"),
    *both("garbage", code=201, body='{"batch_id": "batch_1', content_type="application/json"),
    *both("status", code=200, body=[]),
    *both("status", code=200, body={}),
    *both("status", code=202, body={"status": "queued"}),
    *both("hang", seconds=0.1, then="reset"),
    Fault({"kind": "slow", "seconds": 1.5}, 0.0, {"timeout": QUICK}),
    *(Fault({"kind": "truncated", "keep": keep}, 0.0) for keep in (0, 0.97)),
    Fault({"kind": "no_batch_id", "null": True}, 0.0),
    *(Fault({"kind": "no_batch_id", "value": v}, 0.0) for v in (0, -1, 1.5, "", ["b"], True)),
    Fault({"kind": "late", "seconds": 20, "then": "close"}, 20.0),
    Fault({"kind": "late", "seconds": 60, "then": "hang"}, 60.0, {"timeout": QUICK}),
]
"""At one place: what they do there, those above do everywhere."""


@pytest.mark.parametrize(
    ("fault", "name", "parallelism"),
    [(400, *place) for place in PLACES] + [(code, "spec-2", 4) for code in REJECTED],
)
def test_a_rejected_create(world: World, fault: int, name: str, parallelism: int) -> None:
    """A clear no fails that one only, leaves no record, and the next run simply tries again."""
    world.sandbox.faults.add(operation="create", kind="status", code=fault, match={"name": name})
    ended = world.apply(parallelism=parallelism)
    assert ended.code == 1
    assert ended.outcomes == dict.fromkeys(world.names, "created") | {name: "rejected"}
    assert set(world.state().batches) == set(world.names) - {name}
    assert world.converge(parallelism=parallelism) == [0]
    assert len(world.posts()) == 4
    world.check()


@pytest.mark.parametrize(
    ("fault", "name", "parallelism"),
    [(fault, *place) for fault in LOST for place in PLACES]
    + [(fault, "spec-2", 4) for fault in RELATIVES],
    ids=str,
)
def test_a_create_whose_end_is_unknown(
    world: World, fault: Fault, name: str, parallelism: int
) -> None:
    """It is found and recorded when it exists, created again only when it certainly does not."""
    world.sandbox.faults.add(fault.rule, operation="create", match={"name": name})
    ended = world.apply(parallelism=parallelism, **fault.order)
    world.check_records()
    found_at_once = fault.effect == 0
    assert ended.code == (0 if found_at_once else 3)
    doubted = {} if found_at_once else {name: "unknown"}
    assert ended.outcomes == dict.fromkeys(world.names, "created") | doubted
    if not found_at_once:
        # The other runs of the next minutes leave it alone, whatever is known of it by then.
        world.pass_time(10)
        again = world.apply(parallelism=parallelism, **fault.order)
        assert again.code == (0 if fault.effect == 0.0 else 3)
        assert len(world.posts()) == 3
    world.pass_time(SETTLED)
    assert world.converge(parallelism=parallelism) == [0]
    assert len(world.posts()) == (4 if fault.effect is None else 3)
    world.check()


@pytest.mark.parametrize(("name", "parallelism"), PLACES)
def test_not_now(world: World, name: str, parallelism: int) -> None:
    """A 429 is asked again within the run; one that lasts fails, and the next run goes on."""
    world.sandbox.faults.add(
        operation="create", kind="status", code=429, retry_after=0.01, times=2, match={"name": name}
    )
    assert world.apply(parallelism=parallelism).code == 0
    assert len(world.posts()) == 5
    world.check()


@pytest.mark.parametrize("parallelism", [1, 4])
def test_not_now_for_long(world: World, parallelism: int) -> None:
    """A storm of 429 that outlasts all patience fails the run, and no request of it is in doubt."""
    world.sandbox.faults.add(operation="create", kind="storm", seconds=60, retry_after=0.6)
    ended = world.apply(parallelism=parallelism)
    assert ended.code == 1
    assert set(ended.outcomes.values()) == {"rejected"}
    assert world.state().batches == {}
    world.pass_time(60)
    assert world.converge(parallelism=parallelism) == [0]
    world.check()


@pytest.mark.parametrize("parallelism", [1, 4])
def test_nobody_there(world: World, parallelism: int) -> None:
    """A connection that is refused certainly created nothing: failed, and tried by the next run."""
    url = world.sandbox.url
    world.sandbox.disconnect()
    ended = world.apply(parallelism=parallelism, url=url)
    assert ended.code == 1
    assert set(ended.outcomes.values()) == {"rejected"}
    world.sandbox.start()
    assert world.converge(parallelism=parallelism) == [0]
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize(("name", "parallelism"), PLACES)
def test_another_count_of_contacts(world: World, name: str, parallelism: int) -> None:
    """A batch that counts other people than were sent is recorded all the same, and told."""
    world.sandbox.faults.add(operation="create", kind="wrong_total", total=7, match={"name": name})
    ended = world.apply(parallelism=parallelism)
    assert ended.code == 0
    warnings = {action["name"]: action["warnings"] for action in ended.report["actions"]}
    assert [each for each, told in warnings.items() if told] == [name]
    assert "7 contacts" in warnings[name][0]
    world.check()


def test_the_id_of_another_batch(world: World) -> None:
    """An answer with an id that is another spec's already is not believed."""
    world.sandbox.faults.add(
        operation="create", kind="hold", when="after", match={"name": "spec-1"}
    )
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held()
    (first,) = world.sandbox.batches()
    world.sandbox.faults.add(
        operation="create",
        kind="status",
        when="after",
        code=200,
        body={"batch_id": first.batch_id},
        match={"name": "spec-3"},
    )
    world.sandbox.faults.release()
    assert run.wait().code == 0
    assert world.record("spec-1").batch_id == first.batch_id
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("kind", ["close", "reset", "status"])
def test_something_on_the_way_doubles_a_request(world: World, kind: str, parallelism: int) -> None:
    """Two batches of one create whose answer was lost: the older is kept, the other cancelled."""
    only = {"match": {"name": "spec-2"}}
    world.sandbox.faults.add(operation="create", kind="doubled", **only)
    world.sandbox.faults.add(operation="create", kind=kind, when="after", **only)
    ended = world.apply(parallelism=parallelism)
    assert ended.code == 0, ended.out
    assert "second" in ended.err
    assert sorted(b.status for b in world.batches("spec-2")) == ["cancelled", "in_progress"]
    world.check(ever=2)


@pytest.mark.parametrize("then", ["close", "reset", "status"])
@pytest.mark.parametrize("name", ["spec-1", "spec-3"])
def test_a_request_that_arrives_after_all_was_settled(world: World, name: str, then: str) -> None:
    """Past `--settle` it is created again under the same key; the straggler then ends one of them.

    Which of the two is kept does not depend on the run that looks: it is the older one.
    """
    world.sandbox.faults.add(
        operation="create", kind="late", seconds=SETTLED + 60, then=then, match={"name": name}
    )
    assert world.apply().code == 3
    world.pass_time(SETTLED)
    assert world.apply().code == 0
    assert len(set(world.posts())) == 3, "the key stays the same"
    world.pass_time(61)
    assert len(world.batches(name)) == 2
    assert world.apply().code == 0
    world.check(ever=2)


@pytest.mark.parametrize("fault", [each for each in LOST if each.effect is None], ids=str)
def test_all_at_once(make_world: Callable[..., World], fault: Fault) -> None:
    """Every create of a run ends in doubt, and every one is created by the run that settles it."""
    world = make_world(5)
    world.sandbox.faults.add(fault.rule, operation="create", times=None)
    ended = world.apply(parallelism=4, **fault.order)
    assert ended.code == 3
    assert set(ended.outcomes.values()) == {"unknown"}
    world.sandbox.faults.clear()
    world.pass_time(SETTLED)
    assert world.converge(parallelism=4) == [0]
    assert len(world.posts()) == 10
    world.check()
