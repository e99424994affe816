"""A comparison gives no figure unless both sides did the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import sending, side_by_side
from bench.__main__ import QUICK
from bench.creates import post_httpx
from bench.measure import RECONCILER, Unmeasurable, beside, environment, timed
from bench.server import serving, summary
from bench.side_by_side import NEW, SAME, Shape, check_plan, check_specs, check_zones, write_zones

TWO = Shape(files=2, entries=3)
READ = "populate:   found 3 records, exists=True\n"
CREATES = "*   Summary: Creates=3, Updates=0, Deletes=0, Existing=0, Meta=False\n"
NOTHING = "No changes were planned\n"

REQUESTS = '''
"""As much of requests as the script needs, from the standard library."""
import json as codec
import urllib.request


class Answer:
    def __init__(self, body):
        self.body = body

    def raise_for_status(self):
        pass

    def json(self):
        return codec.loads(self.body)


def post(url, json, headers, timeout):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, codec.dumps(json).encode(), headers)
    with opener.open(request, timeout=timeout) as answer:
        return Answer(answer.read())
'''


def test_without_an_environment_nothing_is_compared() -> None:
    """The reason says how to get one."""
    with pytest.raises(Unmeasurable, match="make bench"):
        beside(QUICK, "octodns-sync")


def test_an_environment_without_the_tool_is_none(tmp_path: Path) -> None:
    """An interpreter alone is not enough."""
    with pytest.raises(Unmeasurable, match="no octodns-sync beside"):
        beside(replace(QUICK, beside=tmp_path / "python"), "octodns-sync")


def test_an_environment_is_not_left_through_its_link(tmp_path: Path) -> None:
    """An environment's interpreter is a link to another place, where its tools are not."""
    (tmp_path / "python").symlink_to(sys.executable)
    (tmp_path / "octodns-sync").touch()
    scale = replace(QUICK, beside=tmp_path / "python")
    assert beside(scale, "octodns-sync") == str(tmp_path / "octodns-sync")


def test_a_command_that_fails_has_no_time() -> None:
    """A failure is often quick; what it said is the finding."""
    command = [sys.executable, "-c", "raise SystemExit('no such zone')"]
    with pytest.raises(Unmeasurable, match="ended with 1:\nno such zone"):
        timed(command, environment())
    assert timed(command, environment(), status=1)[2] == "no such zone\n"


def test_zones_that_were_read_and_planned_count() -> None:
    """Unchanged zones are read from both sides."""
    check_zones(NEW, TWO, READ * 2 + CREATES * 2)
    check_zones(SAME, TWO, READ * 4 + NOTHING)


@pytest.mark.parametrize(
    ("what", "log"),
    [
        (NEW, READ + CREATES * 2),
        (NEW, READ * 2 + CREATES),
        (NEW, READ * 2 + NOTHING),
        (NEW, READ * 2 + CREATES + CREATES.replace("=3", "=2")),
        (SAME, READ * 2 + NOTHING),
        (SAME, READ * 4),
        (SAME, READ * 4 + CREATES + NOTHING),
    ],
    ids=["unread", "unplanned", "none", "partly", "no target", "silent", "changed"],
)
def test_octodns_without_its_work_has_no_figure(what: str, log: str) -> None:
    """A zone that it did not read or plan makes its time meaningless."""
    with pytest.raises(Unmeasurable, match="octoDNS"):
        check_zones(what, TWO, log)


def test_octodns_is_held_to_its_plan_in_each_turn() -> None:
    """In the timed turns only its plan is left of its log."""
    check_plan(NEW, TWO, CREATES * 2)
    check_plan(SAME, TWO, NOTHING)
    with pytest.raises(Unmeasurable, match="planned 1 zones of 2"):
        check_plan(NEW, TWO, CREATES)


def _plan(*actions: tuple[str, int]) -> str:
    listed = [{"action": action, "contacts": contacts} for action, contacts in actions]
    return json.dumps({"actions": listed})


def test_specs_that_were_planned_count() -> None:
    """All of them, for all of their contacts; unchanged ones not at all."""
    check_specs(NEW, TWO, _plan(("create", 3), ("create", 3)))
    check_specs(SAME, TWO, _plan())


@pytest.mark.parametrize(
    ("what", "document"),
    [
        (NEW, _plan(("create", 3))),
        (NEW, _plan(("create", 3), ("create", 2))),
        (NEW, _plan(("create", 3), ("blocked", 3))),
        (NEW, _plan(("create", 3), ("create", 3), ("blocked", 3))),
        (SAME, _plan(("replace", 3))),
    ],
    ids=["missing", "fewer people", "blocked", "more", "changed"],
)
def test_the_reconciler_without_its_work_has_no_figure(what: str, document: str) -> None:
    """We are held to the same."""
    with pytest.raises(Unmeasurable, match="the reconciler planned"):
        check_specs(what, TWO, document)


def test_zones_are_written_for_both_questions(tmp_path: Path) -> None:
    """One file a zone, and two configurations that differ in what they compare with."""
    write_zones(tmp_path, TWO)
    first, second = sorted((tmp_path / "zones").iterdir())
    assert first.name == "zone-00000.example.yaml"
    assert second.read_text("utf-8").count("type: A") == TWO.entries
    assert list((tmp_path / "empty").iterdir()) == []
    empty, same = (tmp_path / f"{name}.yaml" for name in ("empty", "zones"))
    assert empty.read_text("utf-8").replace("/empty}", "/zones}") == same.read_text("utf-8")


def test_shapes_are_of_both_sizes() -> None:
    """The sizes that are compared are those the documentation names."""
    whole = replace(QUICK, zones=5_000, quick=False)
    assert {shape.files for shape in side_by_side.shapes(whole)} == {1_000, 5_000}


def test_other_batches_are_not_the_same_work() -> None:
    """Whoever sent something else, or nothing at all, is not compared."""
    sending.check_same([["a", "b"], ["a", "b"]])
    different: list[list[list[str]]] = [[["a", "b"], ["a", "c"]], [["a", "a"], ["a"]], [[], []]]
    for arrived in different:
        with pytest.raises(Unmeasurable, match="are the same"):
            sending.check_same(arrived)


def test_a_batch_too_many_or_a_person_too_few_voids_a_turn() -> None:
    """The server's count is asked after each turn."""
    shape = sending.Shape(lists=2, contacts=5)
    sending.check_count(shape, {"created": 2, "contacts": 10})
    for created, contacts in ((3, 15), (2, 9), (1, 5)):
        with pytest.raises(Unmeasurable, match="arrived"):
            sending.check_count(shape, {"created": created, "contacts": contacts})


def test_the_script_and_the_reconciler_call_the_same_people(tmp_path: Path) -> None:
    """From the same lists both create the same batches, as the server's digests show."""
    (tmp_path / "requests.py").write_text(REQUESTS, "utf-8")
    root = tmp_path / "batches"
    sending.write_lists(root, sending.Shape(lists=3, contacts=12))
    counts = []
    with serving(0, digests=True) as url:
        env = environment(url) | {"PYTHONPATH": str(tmp_path)}
        script = str(Path(sending.__file__).with_name("plain_script.py"))
        lists = str(root / "contacts")
        for command in (
            [sys.executable, script, url, sending.CAMPAIGN, lists],
            [RECONCILER, "--batches", str(root), "apply", "--yes"],
        ):
            subprocess.run(command, env=env, check=True, capture_output=True)
            counts.append(summary(url))
    sending.check_same([seen["digests"] for seen in counts])
    for seen in counts:
        sending.check_count(sending.Shape(3, 12), seen)


def test_the_server_counts_and_then_forgets() -> None:
    """Each look at the server begins a new count."""
    with serving(0) as url:
        post_httpx(url, 25)
        first, second = summary(url), summary(url)
    assert (first["created"], first["contacts"], first["digests"]) == (25, 25, None)
    assert (second["created"], second["contacts"]) == (0, 0)
