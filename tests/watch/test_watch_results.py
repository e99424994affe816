"""`reconciler results`, over a socket: complete, continued, private, and safe to open."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.partial import PartialFile
from reconciler.errors import ReconcilerError, Refused
from reconciler.render.results import (
    CALL_COLUMNS,
    CONTACT_COLUMNS,
    calls_of,
    form_of,
    last_call,
    result_row,
)
from tests.watch.conftest import PREFIX

if TYPE_CHECKING:
    from tests.watch.conftest import World

HOUR = 3_600.0


def table(text: str) -> list[dict[str, str]]:
    """Read CSV as a program does."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def row(**fields: Any) -> dict[str, Any]:
    """Give a row of one contact."""
    contact = {"contact_id": "c1", "phone_number": "+4420", "status": "completed", **fields}
    return result_row(contact, generation=1, part=1, batch_id="b1", calls="calls" in fields)


def test_csv(world: World) -> None:
    """One row a contact with every promised column; nothing of it on stderr."""
    world.spec(people=3)
    world.apply()
    world.sandbox.advance(5 * HOUR)
    said = world.run("results", "welcome")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[0] == ",".join(CONTACT_COLUMNS)
    rows = table(said.out)
    assert [each["phone_number"] for each in rows] == [f"'{PREFIX}{n:05d}" for n in range(3)]
    assert [each["callee_name"] for each in rows] == [f"Person {n}" for n in range(3)]
    assert {each["generation"] + each["part"] for each in rows} == {"11"}
    assert all(each["last_attempted_at"] for each in rows)


def test_jsonl_with_calls(world: World) -> None:
    """Values are as the API gives them, with the last call's fields and the list of all calls."""
    world.spec(people=20)
    world.apply()
    world.sandbox.advance(5 * HOUR)
    said = world.run("results", "welcome", "--format", "jsonl", "--include-calls")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert len(rows) == 20
    assert set(rows[0]) == {*CONTACT_COLUMNS, *CALL_COLUMNS, "calls"}
    assert rows[0]["phone_number"] == f"{PREFIX}00000"
    assert any(len(each["calls"]) > 1 for each in rows)
    for each in rows:
        assert each["execution_id"] == each["calls"][-1]["execution_id"]


def test_all_generations_the_oldest_first(world: World) -> None:
    """A name's earlier batches called people too, and are part of the answer."""
    world.spec("one", people=2)
    world.spec("two", people=1, first=50)
    world.apply()
    path = world.root / "state.json"
    document = json.loads(path.read_text("utf-8"))
    (later,) = document["batches"].pop("two")["generations"]
    document["batches"]["one"]["generations"].append({**later, "generation": 2})
    path.write_text(json.dumps(document), encoding="utf-8")
    rows = table(world.run("results", "one").out)
    assert [(each["generation"], each["phone_number"][-2:]) for each in rows] == [
        ("1", "00"),
        ("1", "01"),
        ("2", "50"),
    ]


def test_a_long_list_is_read_page_by_page(world: World) -> None:
    """Everybody is there once, however many pages it takes."""
    world.spec(people=350)
    world.apply()
    said = world.run("results", "welcome")
    assert len({each["contact_id"] for each in table(said.out)}) == 350
    assert [name for name, _ in world.requests()].count("contacts") == 5  # the last one is empty


def test_a_name_that_is_not_recorded(world: World) -> None:
    """Nothing is written, and the error says where the names are."""
    said = world.run("results", "wellcome")
    assert (said.status, said.out) == (1, "")
    assert "nothing is recorded under wellcome" in said.err


def test_what_is_missing_is_told(world: World) -> None:
    """A part that nobody can read is no quiet gap: gone is 1, in doubt is 3."""
    world.spec("gone")
    world.apply()
    world.edit_state(world.sandbox.batches()[0].batch_id, "batch_that_is_not_there")
    said = world.run("results", "gone")
    assert said.status == 1
    assert said.err == (
        "warning: generation 1, part 1: the API knows no batch batch_that_is_not_there any more\n"
    )
    world.sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    world.spec("doubt", first=10)
    world.run("apply", "--yes", "--verify-for", "0", "--format", "json")
    said = world.run("results", "doubt")
    assert said.status == 3
    assert "generation 1, part 1 is in doubt" in said.err


def test_a_file_is_there_when_it_is_whole(world: World, tmp_path: Path) -> None:
    """It replaces what was there, only its owner can read it, and nothing else is left."""
    world.spec(people=3)
    world.apply()
    out = tmp_path / "private" / "out.csv"
    out.parent.mkdir()
    out.write_text("yesterday's", encoding="utf-8")
    out.chmod(0o644)
    said = world.run("results", "welcome", "--out", str(out))
    assert (said.status, said.out) == (0, "")
    assert said.err == f"3 rows written to {out}\n"
    assert out.read_bytes().decode() == world.run("results", "welcome").out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_interrupted_run_is_continued(world: World, tmp_path: Path, kind: str) -> None:
    """What was written stays, what broke off is written whole, and nobody is there twice."""
    world.spec(people=250)
    world.apply()
    words = ("results", "welcome", "--format", kind)
    whole = world.run(*words).out
    out = tmp_path / "out"
    part = tmp_path / "out.part"
    world.sandbox.faults.add(operation="contacts", kind="status", code=403, after=2, times=None)
    said = world.run(*words, "--out", str(out))
    assert said.status == 1
    assert f"note: the rows so far are in {part}" in said.err
    assert f"results welcome --out {out} --resume" in said.err
    assert not out.exists()
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    # A kill can leave half a row.
    written = part.read_bytes()
    part.write_bytes(written[:-20])
    world.sandbox.faults.clear()
    said = world.run(*words, "--out", str(out), "--resume")
    assert said.status == 0
    assert said.err == f"250 rows written to {out}, 199 of them from the interrupted run\n"
    assert out.read_bytes().decode() == whole
    assert not part.exists()


def test_resuming_what_was_never_begun_begins_it(world: World, tmp_path: Path) -> None:
    """A script may always say --resume, but has to say with which file."""
    world.spec()
    world.apply()
    out = tmp_path / "out.csv"
    assert world.run("results", "welcome", "--out", str(out), "--resume").status == 0
    assert len(table(out.read_text("utf-8"))) == 2
    assert world.run("results", "welcome", "--resume").status == 64


def test_what_cannot_be_continued_is_left_alone(world: World, tmp_path: Path) -> None:
    """A file of other columns or of somebody else's is neither continued nor cut."""
    world.spec()
    world.apply()
    out = tmp_path / "out.csv"
    part = Path(f"{out}.part")
    for foreign in ("name,age\r\nA,1\r\n", "{}\n", ",".join(CONTACT_COLUMNS) + ",more\r\n"):
        part.write_text(foreign, encoding="utf-8", newline="")
        for kind in ("csv", "jsonl"):
            words = ("results", "welcome", "--format", kind, "--out", str(out), "--resume")
            assert world.run(*words).status == 4
        assert part.read_bytes() == foreign.encode()
    assert not out.exists()


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    """The second is refused before it touches anything."""
    form = form_of("csv", calls=False)
    out = tmp_path / "out.csv"
    with PartialFile(out, form, resume=False) as first:
        first.write(form.line(row()))
        with pytest.raises(Refused, match="another run is writing"):
            PartialFile(out, form, resume=False)
        first.finish()
    assert len(table(out.read_text("utf-8"))) == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory, a missing one, or a link in the place of the part: nothing is followed."""
    form = form_of("csv", calls=False)
    (tmp_path / "link.part").symlink_to(tmp_path / "elsewhere")
    for name in ("", "nowhere/out.csv", "link"):
        with pytest.raises(ReconcilerError, match="cannot write"):
            PartialFile(tmp_path / name, form, resume=False)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(begin: str) -> None:
    """A name or a summary that a spreadsheet would run is text, and only one character more."""
    evil = f"{begin}HYPERLINK(1)"
    form = form_of("csv", calls=True)
    made = row(call_variables={"callee_name": evil}, calls=[{"summary": evil}], status=evil)
    (read,) = table((form.header + form.line(made)).decode())
    assert read["callee_name"] == read["summary"] == read["status"] == f"'{evil}"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(texts, min_size=1, max_size=5), st.data())
def test_a_part_is_read_back_wherever_it_broke_off(names: list[str], data: st.DataObject) -> None:
    """Cut anywhere, the rows that are whole are known, and the cut is right behind the last."""
    kind = data.draw(st.sampled_from(["csv", "jsonl"]))
    form = form_of(kind, calls=True)
    lines = [
        form.line(row(contact_id=f"c{n}", calls=[{"recording_url": name, "summary": name}]))
        for n, name in enumerate(names)
    ]
    written = form.header + b"".join(lines)
    cut = data.draw(st.integers(0, len(written)))
    ends = [len(form.header)]
    for line in lines:
        ends.append(ends[-1] + len(line))
    expected = max((end for end in ends if end <= cut), default=0)
    known, whole = form.read(io.BytesIO(written[:cut]))
    assert whole == expected
    assert known == {
        ("b1", f"c{n}") for n in range(max(0, ends.index(expected)) if expected else 0)
    }


@pytest.mark.parametrize(
    ("contact", "last", "why"),
    [
        ({}, None, "no calls"),
        ({"calls": []}, None, "none yet"),
        ({"calls": [{"execution_id": "1"}, {"execution_id": "2"}]}, "2", "in order"),
        ({"call_records": [{"execution_id": "1"}]}, "1", "another name"),
        ({"history": [{"execution_id": "1"}], "tags": ["a"]}, "1", "a name nobody knows"),
        (
            {
                "calls": [
                    {"execution_id": "2", "started_at": "2035-05-15T09:00:00Z"},
                    {"execution_id": "1", "started_at": "2035-05-15T08:00:00Z"},
                ]
            },
            "2",
            "the latest first",
        ),
    ],
)
def test_the_last_call(contact: dict[str, Any], last: str | None, why: str) -> None:
    """It is found by when it began, where all calls tell, under whatever name they come."""
    assert last_call(calls_of(contact)).get("execution_id") == last, why


def test_odd_values_are_written_as_json() -> None:
    """What is no text has a form that can be read back."""
    form = form_of("csv", calls=False)
    made = row(status=["a"], retry_count=True, call_variables="odd", contact_id=None, id=12)
    (read,) = table((form.header + form.line(made)).decode())
    assert (read["status"], read["retry_count"], read["callee_name"]) == ('["a"]', "true", "")
    assert read["contact_id"] == "12"
