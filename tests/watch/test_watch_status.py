"""`reconciler status`, over a socket."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from reconciler.api.client import HttpBatchApi
from reconciler.api.config import ApiConfig
from reconciler.cli.readings import Reader
from reconciler.plan.progress import Reading, progress_of
from reconciler.state.document import State
from reconciler.state.file import FileStore
from reconciler.system import RandomIds, SystemClock
from tests.watch.records import NOW, batch, request, state

if TYPE_CHECKING:
    from reconciler.observed import Batch
    from tests.watch.conftest import World

HOUR = 3_600.0
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def test_nothing_is_recorded(world: World) -> None:
    """Then the API is not asked, and a token is not needed."""
    said = world.run("status")
    assert (said.status, said.out) == (0, "Nothing is recorded yet.\n")
    document = world.run("status", "--format", "json").json
    assert document["batches"] == []
    assert world.requests() == []


def test_batches_are_grouped_by_campaign(world: World) -> None:
    """One table a campaign, times on its own wall clock, and the sum of it all."""
    world.spec("london", campaign_id="cmp_london", people=3)
    world.spec("later", scheduled_start="2035-05-17T09:00:00", first=10)
    world.spec("now", people=200, first=100)
    world.apply()
    world.sandbox.advance(2 * 60)
    said = world.run("status")
    assert said.status == 0
    world.said("status", said.text)


def test_json(world: World) -> None:
    """Every promised field is there, times in UTC, counters as the API sent them."""
    world.spec("now", people=200)
    world.apply()
    world.sandbox.advance(HOUR / 6)
    document = world.run("status", "--format", "json").json
    assert document["format_version"] == "1.0"
    assert document["campaigns"] == [
        {
            "campaign_id": "cmp_abc123",
            "name": "Renewals India",
            "timezone": "Asia/Kolkata",
            "status": "active",
        }
    ]
    (row,) = document["batches"]
    counters = row.pop("counters")
    assert counters["total"] == 200
    assert row.pop("batch_id").startswith("batch_")
    done = row.pop("done")
    assert 0 < done < 200
    assert row.pop("rate_per_hour") == pytest.approx(done * 6, abs=0.1)
    assert row.pop("ends_about").startswith("2035-05-15T06:")
    assert row == {
        "name": "now",
        "status": "in_progress",
        "campaign_id": "cmp_abc123",
        "contacts": 200,
        "generation": 1,
        "part": 1,
        "starts_at": "2035-05-15T06:00:00Z",
        "created_at": "2035-05-15T06:00:00Z",
    }


@pytest.mark.parametrize("words", [("status",), ("explain", "now"), ("explain", "never")])
@pytest.mark.parametrize("silent", [False, True])
def test_the_schema_holds(world: World, words: tuple[str, ...], *, silent: bool) -> None:
    """What programs are promised is what they get, also when the API does not answer."""
    world.spec("now", people=3)
    world.spec("later", scheduled_start="2035-06-01T09:00:00", first=10)
    world.apply()
    world.sandbox.advance(HOUR)
    if silent:
        world.sandbox.faults.add(operation="any", kind="status", code=403, times=None)
    document = world.run(*words, "--format", "json").json
    schema = json.loads((SCHEMAS / f"{words[0]}.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    assert set(document) == set(schema["properties"]) - {"diagnostics"}


def test_a_campaign_is_read_with_one_list_and_no_batch_by_itself(world: World) -> None:
    """However many batches: one list a campaign (in two passes), ended ones included."""
    for number in range(4):
        world.spec(f"b{number}", people=1, first=number)
    world.apply()
    world.sandbox.advance(12 * HOUR)
    before = len(world.requests())
    assert world.run("status").status == 0
    asked = [operation for operation, _ in world.requests()[before:]]
    assert "get" not in asked
    assert asked.count("campaign") == 1


def test_a_batch_the_list_does_not_show_is_asked_for(world: World) -> None:
    """It may be hidden; only when the API knows no such batch it is gone."""
    world.sandbox.faults.add(operation="create", kind="invisible", gettable=True)
    world.spec("hidden")
    world.apply()
    row = world.run("status", "--format", "json").json["batches"][0]
    assert row["status"] == "in_progress"
    world.edit_state(row["batch_id"], "batch_that_is_not_there")
    said = world.run("status", "--format", "json")
    assert said.status == 0
    (row,) = said.json["batches"]
    assert (row["status"], row["counters"], row["done"]) == ("gone", {}, None)


@pytest.mark.parametrize("code", [404, 500])
@pytest.mark.parametrize("watch", [False, True])
def test_a_campaign_that_cannot_be_read_is_a_warning(
    world: World, code: int, *, watch: bool
) -> None:
    """All batches and their counters were read: what is missing is the campaign's name only."""
    world.spec("now", people=1)
    world.apply()
    world.sandbox.advance(12 * HOUR)
    world.sandbox.faults.add(operation="campaign", kind="status", code=code, times=None)
    said = world.run("status", *(["--watch"] if watch else ["--format", "json"]))
    assert said.status == 0
    assert said.err.startswith("warning: ")
    assert "cmp_abc123" in said.err
    if not watch:
        assert [row["status"] for row in said.json["batches"]] == ["completed"]
        assert len(said.json["problems"]) == 1


def test_an_ended_batch_is_not_asked_for_again(world: World) -> None:
    """A watch reads what a list hides only until it has ended."""
    world.sandbox.faults.add(operation="create", kind="invisible", gettable=True)
    world.spec("hidden", people=1)
    world.spec("later", scheduled_start="2035-06-01T09:00:00", first=10)
    world.apply()
    world.sandbox.advance(12 * HOUR)
    recorded = FileStore(world.root / "state.json", ids=RandomIds()).load()
    config = ApiConfig.from_environment(os.environ)
    stop = threading.Event()
    with HttpBatchApi(config, parallelism=1, clock=SystemClock(), stop=stop) as api:
        reader = Reader(api, SystemClock(), parallelism=1, stop=stop)
        readings = [reader.read(recorded) for _ in range(3)]
    assert [name for name, _ in world.requests()].count("get") == 1
    assert [name for name, _ in world.requests()].count("campaign") == 2  # one was for the plan
    for reading in readings:
        statuses = [row.status for row in progress_of(recorded, reading)]
        assert sorted(statuses) == ["completed", "pending"]


def test_a_start_that_is_ahead_did_not_happen(world: World) -> None:
    """A batch that is paused or cancelled before its start is not said to have started."""
    for name, first in (("held", 0), ("over", 10)):
        world.spec(name, scheduled_start="2035-06-01T09:00:00", first=first)
    world.apply()
    world.run("stop", "over", "--cancel", "--yes")
    world.run("stop", "held", "--yes")
    out = world.run("status").out
    assert "paused     0 of 2            would start 2035-06-01 09:00" in out
    assert "was to start 2035-06-01 09:00" in out
    assert "started" not in out


def test_a_batch_in_doubt(world: World) -> None:
    """It is shown as such, without an id and without a guess."""
    world.sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    world.spec()
    assert world.run("apply", "--yes", "--verify-for", "0", "--format", "json").status == 3
    said = world.run("status")
    assert said.status == 0
    assert "welcome  -      in doubt  ? of 2" in said.out
    (row,) = world.run("status", "--format", "json").json["batches"]
    assert (row["status"], row["batch_id"]) == ("in_doubt", None)


def test_an_api_that_does_not_answer(world: World) -> None:
    """What is recorded is shown all the same, with a warning and a status that tells."""
    world.spec()
    world.apply()
    world.sandbox.faults.add(operation="list", kind="status", code=403, times=None)
    said = world.run("status", "--format", "json")
    assert said.status == 1
    assert said.err.startswith("warning: batches of cmp_abc123: GET /batches/ failed: HTTP 403")
    assert "hint: " in said.err
    (row,) = said.json["batches"]
    assert (row["name"], row["status"], row["contacts"]) == ("welcome", "unknown", 2)
    assert said.json["problems"][0]["message"] in said.err
    assert "welcome" in world.run("status").out


def test_watching_in_lines(world: World) -> None:
    """Without a terminal: a line whenever something changed, until every batch has ended."""
    world.spec("now", people=3)
    world.apply()
    ended = threading.Event()

    def pass_time() -> None:
        while not ended.is_set():
            world.sandbox.advance(60)

    clock = threading.Thread(target=pass_time)
    clock.start()
    try:
        said = world.run("status", "--watch", "--interval", "0.1")
    finally:
        ended.set()
        clock.join()
    assert said.status == 0
    lines = [line.partition(" UTC  ")[2] for line in said.out.splitlines()]
    assert lines[-1] == "1 batch: 1 completed. 3 of 3 people done."
    assert len(lines) == len(set(lines))


def test_ctrl_c_ends_watching(world: World) -> None:
    """It is the usual way to stop looking, and no failure."""
    world.spec("later", scheduled_start="2035-06-01T09:00:00")
    world.apply()
    before = len(world.requests())
    pause = threading.Event()

    def press() -> None:
        while not [each for each in world.requests()[before:] if each[0] == "list"]:
            pause.wait(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    said = world.run("status", "--watch", "--interval", "60")
    thread.join()
    assert said.status == 0
    assert "bug" not in said.err


def test_watching_as_json_is_refused(world: World) -> None:
    """A stream of documents is not what `--format json` promises."""
    assert world.run("status", "--watch", "--format", "json").status == 64


def test_bars() -> None:
    """On a terminal each spec has a bar, those that run first; what does not fit is counted."""
    from rich.console import Console  # noqa: PLC0415 - as lazily as the product

    from reconciler.render.live import live_view  # noqa: PLC0415 - as above

    recorded = State(
        lineage="lineage-1",
        batches={f"spec {n}": state((request(f"b{n}"),)).batches["a"] for n in (1, 2, 3)},
    )
    found: dict[str, Batch | None] = {
        "b1": batch("b1", status="completed", counters={"completed": 100}),
        "b2": batch("b2"),
        "b3": batch("b3", status="pending", counters={"pending": 100}),
    }
    reading = Reading(at=NOW, batches=found)
    console = Console(width=100, height=6, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(live_view(progress_of(recorded, reading), reading, height=6))
    lines = capture.get().splitlines()
    assert lines[0].startswith("spec 2")
    assert "40 of 100" in lines[0]
    assert lines[2] == "... and 1 more"
    assert lines[3].startswith("3 batches: 1 completed, 1 in_progress, 1 pending.")


def test_parts_of_a_spec_are_one(world: World) -> None:
    """A list that was cut is one row with the sums, and all of its batches in JSON."""
    world.spec(people=5, reconcile={"split": {"max_contacts": 2}})
    world.apply()
    world.sandbox.advance(HOUR)
    said = world.run("status")
    assert "3 batches" in said.out
    assert "of 5" in said.out
    rows = world.run("status", "--format", "json").json["batches"]
    assert [(row["name"], row["part"]) for row in rows] == [("welcome", n) for n in (1, 2, 3)]
    results = world.run("results", "welcome")
    assert results.status == 0
    assert len(results.out.splitlines()) == 1 + 5


def test_parts_that_are_missing_are_told(world: World) -> None:
    """Of a spec created in part `status` says how many there are to be, and `explain` which."""
    world.spec(people=9, reconcile={"split": {"max_contacts": 2}})
    world.sandbox.faults.add(operation="create", kind="status", code=422, after=1, times=1)
    world.sandbox.faults.add(operation="create", kind="status", code=422, after=3, times=1)
    world.run("apply", "--yes", "--parallelism", "1", "--format", "json")
    said = world.run("status").out
    assert "3 of 5 batches" in said
    assert said.endswith("; 2 more batches not created.\n")
    rows = world.run("status", "--format", "json").json["batches"]
    there = [row["part"] for row in rows]
    assert [row["parts"] for row in rows] == [5, 5, 5]
    explained = world.run("explain", "welcome", "--format", "json").json["batches"]
    assert [row["part"] for row in explained] == [1, 2, 3, 4, 5]
    missing = [row for row in explained if row["part"] not in there]
    assert [row["status"] for row in missing] == ["not_created"] * 2
    assert [row["findings"][0]["cause"] for row in missing] == ["not_created"] * 2
    part = missing[0]["part"]
    assert f"part {part}, no batch id: not created" in world.run("explain", "welcome").out
