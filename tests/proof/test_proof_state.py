"""A state that is lost, unusable, cannot be written, or changes while a run is at work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reconciler.state import codec
from tests.proof.world import SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.world import World

    Spoil = Callable[[bytes], bytes]


def edited(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Give a way to spoil a state by changing its document."""

    def spoil(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document, indent=2).encode()

    return spoil


def _request(document: dict[str, Any], name: str = "spec-1") -> dict[str, Any]:
    found: dict[str, Any] = document["batches"][name]["generations"][-1]["requests"][0]
    return found


SPOILED: dict[str, Spoil] = {
    "conflict markers": lambda data: b"<<<<<<< ours\n" + data + b"=======\n>>>>>>> theirs\n",
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "not JSON": lambda _: b"a note to myself\n",
    "not an object": lambda _: b"[]\n",
    "newer version": edited(lambda d: d.update(version=99)),
    "no version": edited(lambda d: d.pop("version")),
    "unknown field": edited(lambda d: _request(d).update(comment="checked")),
    "id removed": edited(lambda d: _request(d).pop("batch_id")),
    "id of another": edited(
        lambda d: _request(d).update(batch_id=_request(d, "spec-2")["batch_id"])
    ),
    "key of another": edited(lambda d: _request(d).update(key=_request(d, "spec-2")["key"])),
    "name twice": lambda data: data.replace(b'"spec-2": {', b'"spec-1": {'),
    "digest edited": edited(lambda d: _request(d).update(digest="v1:0")),
    "a NUL": lambda data: data + b"\0",
}


@pytest.mark.parametrize("how", SPOILED)
def test_an_unusable_state(world: World, how: str) -> None:
    """It is refused, left as it is, and nothing is sent: exit 4."""
    assert world.apply().code == 0
    good = world.state_file.read_bytes()
    spoiled = SPOILED[how](good)
    assert spoiled != good
    world.state_file.write_bytes(spoiled)
    world.write("spec-4")
    for command in ("apply --yes", "plan", "state list", "resolve spec-1 --not-created"):
        ended = world.start(*command.split()).wait()
        assert ended.code == 4, (command, ended.err)
        assert "hint:" in ended.err
    assert world.state_file.read_bytes() == spoiled
    assert len(world.posts()) == 3
    world.state_file.write_bytes(good)
    assert world.converge() == [0]
    world.check([*world.names, "spec-4"])


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_lost_state(world: World, parallelism: int) -> None:
    """Batches made from these very specs are adopted: nobody is called again."""
    assert world.apply().code == 0
    world.state_file.unlink()
    world.pass_time(3_600)
    ended = world.apply(parallelism=parallelism)
    assert ended.code == 0
    assert {action["action"] for action in ended.report["actions"]} == {"adopt"}
    assert len(world.posts()) == 3
    world.check()


def test_an_old_state(world: World) -> None:
    """A state from before the last run (a backup, a reverted commit) adopts what it lacks."""
    (world.root / "spec-3.yaml").unlink()
    assert world.apply().code == 0
    old = world.state_file.read_bytes()
    world.write("spec-3")
    assert world.apply().code == 0
    world.state_file.write_bytes(old)
    assert world.apply().code == 0
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_full_disk_before_anything_is_sent(world: World, parallelism: int) -> None:
    """No durable intent, no create."""
    ended = world.apply(parallelism=parallelism, full_from=1)
    assert ended.code == 1
    assert "No space left on device" in ended.err
    assert world.posts() == []
    assert not world.state_file.exists()
    assert world.converge() == [0]
    world.check()


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("full_from", [2, 3, 4])
def test_a_disk_that_fills_up(world: World, full_from: int, parallelism: int) -> None:
    """Nothing more is sent; ids that could not be recorded are told, and found by the next run."""
    ended = world.apply(parallelism=parallelism, full_from=full_from)
    world.check_records()
    sent = len(world.posts())
    if ended.code == 0:
        assert full_from > 2, "the run needed fewer saves"
    else:
        state = world.state()
        lost = {batch.batch_id for batch in world.sandbox.batches()} - state.batch_ids().keys()
        assert ended.code == (3 if lost else 1)
        for batch in world.sandbox.batches():
            assert batch.batch_id in state.batch_ids() or batch.batch_id in ended.err
        assert "nothing is created twice" in ended.err
    world.pass_time(SETTLED)
    assert world.converge() == [0]
    assert len(world.posts()) == 3 >= sent
    world.check()


def test_a_root_that_cannot_be_written(world: World) -> None:
    """Without a lock nothing begins."""
    lock = world.root / ".state.json.lock"
    lock.mkdir()
    ended = world.apply()
    assert ended.code == 1
    assert "cannot lock" in ended.err
    assert world.posts() == []
    lock.rmdir()
    assert world.converge() == [0]
    world.check()


def test_somebody_pulls_while_a_run_is_at_work(world: World) -> None:
    """Records that others stored meanwhile and those of this run are both kept."""
    world.write("theirs")
    for name in world.names:
        (world.root / f"{name}.yaml").rename(world.root / f"{name}.later")
    assert world.apply().code == 0
    with_theirs = world.state_file.read_bytes()
    world.state_file.write_bytes(codec.encode(replace(world.state(), batches={}, serial=1)))
    for name in world.names:
        (world.root / f"{name}.later").rename(world.root / f"{name}.yaml")
    (world.root / "theirs.yaml").rename(world.root / "theirs.later")
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="after")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    world.meddle(with_theirs)
    world.sandbox.faults.release()
    assert run.wait().code == 0
    (world.root / "theirs.later").rename(world.root / "theirs.yaml")
    assert set(world.state().batches) == {*world.names, "theirs"}
    assert len(world.posts()) == 4
    world.check([*world.names, "theirs"])


def test_the_state_is_deleted_while_a_run_is_at_work(world: World) -> None:
    """What the run knows is stored again, whole."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="after")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    world.meddle(None)
    world.sandbox.faults.release()
    assert run.wait().code == 0
    world.check()


def test_the_state_becomes_unusable_while_a_run_is_at_work(world: World) -> None:
    """It is not overwritten: what the run knows is put beside it, and it says where."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="after")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    spoiled = SPOILED["conflict markers"](world.state_file.read_bytes())
    world.meddle(spoiled)
    world.sandbox.faults.release()
    ended = run.wait()
    assert ended.code == 3
    assert world.state_file.read_bytes() == spoiled
    made = world.sandbox.batches()
    rescued = sorted(world.root.glob("state.rescued-*.json"), key=lambda path: path.stat().st_mtime)
    assert rescued
    assert rescued[-1].name in ended.err
    known = codec.decode(rescued[-1].read_bytes(), where="rescued").batch_ids()
    assert {batch.batch_id for batch in made} <= set(known) | set(ended.err.split())
    assert world.apply().code == 4
    rescued[-1].rename(world.state_file)
    for path in rescued[:-1]:
        path.unlink()
    world.pass_time(SETTLED)
    assert world.converge() == [0]
    assert len(world.posts()) == 3
    world.check()
