"""Long lists of every format, plain, encrypted, elsewhere: never held, and refused like short ones.

What is long is what `lists.LONG` says; here that is every list.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from reconciler.model import LongContacts
from reconciler.spec.blobs import git_blob
from reconciler.spec.lists import (
    csv_stream,
    jsonl_stream,
    parquet_list,
    parquet_stream,
    sealed,
    spool,
    stored,
)
from reconciler.spec.lists import reader as lists
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.lists.spool import File, Spooled
from reconciler.spec.lists.stored import Stored
from reconciler.spec.locate import locate
from reconciler.spec.source import opened_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model import Spec
    from tests.sources.conftest import Keys, Root, Store

ROWS: list[dict[str, str]] = [
    {"phone_number": f"+1415555{number:04}", "callee_name": name, **more}
    for number, name, more in (
        (117, "Asha", {"plan": "Basic"}),
        (102, "Zoë", {}),
        (110, 'Rao, "Ravi"', {"plan": "Plus"}),
        (101, "Meera", {"plan": "Basic"}),
        (199, "Priya", {}),
    )
]
NAMES = ("Asha", "Zoë", "Ravi", "Meera", "Priya", "Usha")
Rows = list[dict[str, str]]


def as_csv(rows: Rows) -> bytes:
    """Write a list in CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["phone_number", "callee_name", "plan"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_jsonl(rows: Rows) -> bytes:
    """Write a list in JSONL."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_parquet(rows: Rows) -> bytes:
    """Write a list in Parquet."""
    names = ["phone_number", "callee_name", "plan"]
    arrays = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    out = io.BytesIO()
    parquet.write_table(pa.table(arrays), out, row_group_size=2)
    return out.getvalue()


WRITE: dict[str, Callable[[Rows], bytes]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}
PLACES = ["here", "sealed", "elsewhere", "sealed elsewhere"]
every_format = pytest.mark.parametrize("form", WRITE)
every_place = pytest.mark.parametrize("where", PLACES)


@pytest.fixture(autouse=True)
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every list a long one, and a few rows go through all that a million do."""
    monkeypatch.setattr(lists, "LONG", 1)
    for module in (csv_stream, jsonl_stream, parquet_stream):
        monkeypatch.setattr(module, "_PIECE", 60)
    monkeypatch.setattr(parquet_list, "_BATCH", 2)
    for name, value in (("_RUN", 3), ("_STEP", 2), ("_RANGE", 2), ("_EACH", 1), ("_BLOCK", 2)):
        monkeypatch.setattr(spool, name, value)


class Lists:
    """A root that one list is laid into, or beside it, and a spec that names it."""

    def __init__(self, root: Root, keys: Keys, store: Store) -> None:
        self.root, self.keys, self.store = root, keys, store

    def lay(self, form: str, where: str, data: bytes, pins: bytes | None = None) -> bytes:
        """Lay a list down; pinned as `pins` if there are any. Give what lies there.

        An encrypted list that is pinned as another one is pinned as that other one encrypted.
        """
        there = self.keys.seal(data) if "sealed" in where else data
        pinned = there if pins in {None, data} else pins or b""
        name = f"may.{form}{'.age' if 'sealed' in where else ''}"
        more = f"sha256: {hashlib.sha256(pinned).hexdigest()}\ncount: {len(ROWS)}"
        if "elsewhere" in where:
            self.store.objects[f"/lists/{name}"] = there
            self.root.naming(f"s3://lists/{name}", more)
        else:
            self.root.write(name, there)
            self.root.naming(name, more if pins is not None else "")
        return there

    def spec(self) -> Spec:
        """Read the spec, which is sound."""
        loaded = self.root.load()
        assert [one.message for one in loaded.diagnostics] == []
        (spec,) = loaded.specs
        return spec


@pytest.fixture
def laid(root: Root, keys: Keys, store: Store) -> Lists:
    """Give where lists are laid."""
    return Lists(root, keys, store)


def held(*_: Any) -> bytes:
    """Stand for reading a list whole."""
    pytest.fail("the list was held")


@every_format
@every_place
def test_a_long_list_is_never_held(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """It makes the request of the same people in a short list, without being held to do so."""
    laid.lay("csv", "here", as_csv(ROWS))
    monkeypatch.setattr(lists, "LONG", 1 << 30)
    expected = laid.spec()
    assert not isinstance(expected.whole.contacts, LongContacts)
    monkeypatch.setattr(lists, "LONG", 1)
    there = laid.lay(form, where, WRITE[form](ROWS), WRITE[form](ROWS))
    monkeypatch.setattr(Stored, "content", held)
    monkeypatch.setattr(stored, "stored_bytes", held)
    monkeypatch.setattr(lists._form_of(f".{form}"), "read_list", held)
    spec = laid.spec()
    assert isinstance(spec.whole.contacts, Spooled)
    assert spec.digest == expected.digest
    assert list(spec.whole.contacts) == sorted(
        expected.whole.contacts, key=lambda contact: contact["phone_number"]
    )
    assert spec.origin is not None
    blob = hashlib.sha1(b"blob %d\0" % len(there) + there, usedforsecurity=False).hexdigest()
    listed = None if "elsewhere" in where else blob
    assert (spec.origin.contacts and spec.origin.contacts[1]) == listed
    assert len(laid.store.asked) == ("elsewhere" in where)


@every_format
@every_place
def test_what_is_secret_is_never_on_disk(
    laid: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """A list that is encrypted or lies elsewhere is kept in memory alone; others are not."""
    laid.lay(form, where, WRITE[form](ROWS))
    made: list[bool] = []

    class Watched(File):
        def __init__(self, *, memory: bool) -> None:
            made.append(memory)
            super().__init__(memory=memory)

    monkeypatch.setattr(spool, "File", Watched)
    monkeypatch.setattr(parquet_stream, "File", Watched)
    if where != "here":
        monkeypatch.setattr(spool, "TemporaryFile", None)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert laid.spec().contacts == len(ROWS)
    assert set(made) == {where != "here"}


@every_format
@every_place
def test_pin_holds_no_long_list(
    laid: Lists, reconciler: Any, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """The two values are written as for a short list, and found to hold afterwards."""
    data = WRITE[form](ROWS)
    there = laid.lay(form, where, data, b"another")
    monkeypatch.setattr(Stored, "content", held)
    assert reconciler("pin", "--check")[0] != 0
    assert reconciler("pin")[0] == 0
    assert reconciler("pin", "--check")[0] == 0
    written = (laid.root.path / "a.yaml").read_text("utf-8")
    assert f"sha256: {hashlib.sha256(there).hexdigest()}\n" in written
    assert f"count: {len(ROWS)}\n" in written
    assert laid.spec().contacts == len(ROWS)


CHANGED: dict[str, tuple[Callable[[bytes, Callable[[Rows], bytes]], bytes], str]] = {
    "one name": (lambda _, write: write([ROWS[0] | {"callee_name": "Usha"}, *ROWS[1:]]), "has 5"),
    "one fewer": (lambda _, write: write(ROWS[:-1]), "has 4 contacts, not 5"),
    "one more": (
        lambda _, write: write([*ROWS, {"phone_number": "+14155550198", "callee_name": "Usha"}]),
        "has 6 contacts, not 5",
    ),
    "another order": (lambda _, write: write(ROWS[::-1]), "has 5 contacts, as many as were pinned"),
    "one twice": (lambda _, write: write([*ROWS, ROWS[0]]), "has mistakes in it"),
    "no number": (lambda _, write: write([*ROWS, {"callee_name": "Usha"}]), "has mistakes in it"),
    "cut short": (lambda data, _: data[: len(data) * 2 // 3], "has "),
    "a zero byte": (lambda data, _: data[:60] + b"\0" + data[60:], "has mistakes in it"),
    "UTF-16": (lambda _, write: write(ROWS).decode("latin-1").encode("utf-16"), "has mistakes"),
    "nothing": (lambda _data, _write: b"", "has mistakes in it"),
}


@every_format
@every_place
@pytest.mark.parametrize("what", CHANGED)
def test_a_list_that_was_swapped_gives_nobody(
    laid: Lists, form: str, where: str, what: str
) -> None:
    """What is not the pinned bytes is refused by its figures, and nothing else of it is shown."""
    change, message = CHANGED[what]
    data = WRITE[form](ROWS)
    there = laid.lay(form, where, change(data, WRITE[form]), laid.keys.seal(data))
    said = laid.root.said()
    assert ": contacts.sha256: " in said
    assert "is not the list that was pinned" in said
    assert f"its sha256 is `{hashlib.sha256(there).hexdigest()[:12]}…`" in said
    assert f"; it {message}" in said
    assert not any(name in said for name in NAMES)
    assert "415555" not in said
    assert len(laid.store.asked) == ("elsewhere" in where)


WRONG = [
    ([*ROWS, ROWS[0]], "twice"),
    ([*ROWS, {"phone_number": "4155550198", "callee_name": "Usha"}], "phone_number"),
    ([*ROWS, {"phone_number": "+14155550198", "callee_name": " "}], "callee_name"),
    ([], ""),
]


@every_format
@every_place
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_explained_once(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, form: str, where: str, wrong: tuple[Rows, str]
) -> None:
    """A mistake is told at its line; for that the list is fetched, opened and explained once."""
    rows, message = wrong
    done: list[str] = []
    explain, opened, spooled = lists._explain, sealed.opened, lists.Shelves.spooled

    def explained(*arguments: Any) -> Any:
        done.append("explained")
        return explain(*arguments)

    def once_more(data: bytes) -> bytes:
        done.append("opened")
        return opened(data)

    def tried(*arguments: Any, **options: Any) -> Any:
        done.append("tried")
        return spooled(*arguments, **options)

    monkeypatch.setattr(lists.Shelves, "spooled", tried)
    monkeypatch.setattr(lists, "_explain", explained)
    monkeypatch.setattr(sealed, "opened", once_more)
    data = WRITE[form](rows)
    there = laid.lay(form, where, data)
    if "elsewhere" in where:
        laid.root.naming(
            f"s3://lists/may.{form}{'.age' if 'sealed' in where else ''}",
            f"sha256: {hashlib.sha256(there).hexdigest()}\ncount: {len(ROWS)}",
        )
    loaded = laid.root.load()
    assert not loaded.specs
    assert any(message in f"{one.field} {one.message}" for one in loaded.diagnostics)
    assert all("415555" not in one.message for one in loaded.diagnostics)
    assert done == (["tried", "explained"] if data else ["explained"])
    assert len(laid.store.asked) == ("elsewhere" in where)


@every_format
@every_place
def test_a_wrong_count_of_a_long_list_is_refused(laid: Lists, form: str, where: str) -> None:
    """The right bytes with the wrong number of people were reviewed by nobody."""
    there = laid.lay(form, where, WRITE[form](ROWS[:4]))
    file = f"may.{form}{'.age' if 'sealed' in where else ''}"
    laid.root.naming(
        f"s3://lists/{file}" if "elsewhere" in where else file,
        f"sha256: {hashlib.sha256(there).hexdigest()}\ncount: {len(ROWS)}",
    )
    assert "has 4 contacts, not 5 as it was pinned" in laid.root.said()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("where", ["here", "sealed"])
def test_everybody_is_found_in_a_long_list(laid: Lists, form: str, where: str) -> None:
    """Whoever is the n-th in a request is shown where they stand, not in which order they go."""
    laid.lay(form, where, WRITE[form](ROWS))
    spec = laid.spec()
    for index, contact in enumerate(spec.whole.contacts):
        place = [row["phone_number"] for row in ROWS].index(contact["phone_number"]) + 1
        _, line, column = locate(laid.root.path, spec, ("contacts", index, "phone_number"))
        assert line == place
        assert column == (18 if form == "jsonl" else 1)
        path = ("contacts", index, "call_variables", "callee_name")
        _, line, column = locate(laid.root.path, spec, path)
        assert (line, column > 1) == (place, True)


@every_format
@pytest.mark.parametrize("how", ["grown", "changed", "changed back", "cut", "replaced"])
def test_a_list_that_changes_while_it_is_read(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, form: str, how: str
) -> None:
    """What git calls it and who is called are of the same bytes, whichever those are."""
    write = WRITE[form]
    old, new = write(ROWS), write([ROWS[0] | {"callee_name": "Usha"}, *ROWS[1:]])
    assert len(old) == len(new)
    later = {"grown": old + b"\n", "cut": old[:-9]}.get(how, new)
    laid.lay(form, "here", old)
    path = laid.root.path / f"may.{form}"
    taken = bytearray()

    def watched(*arguments: Any, **options: Any) -> Any:
        file = opened_file(*arguments, **options)
        read = file.read

        def and_change(size: int) -> bytes:
            data = read(size)
            taken.extend(data)
            now = path.read_bytes()
            if how == "replaced":
                path.unlink()
            path.write_bytes(old if how == "changed back" and now == new else later)
            return data

        monkeypatch.setattr(file, "read", and_change)
        return file

    monkeypatch.setattr(lists, "opened_file", watched)
    found = laid.root.load().specs
    versions = {git_blob(data): data for data in (bytes(taken), old, later)}
    assert taken != b""
    assert found or how != "replaced"
    for spec in found:
        assert spec.origin is not None
        assert spec.origin.contacts is not None
        read = versions[spec.origin.contacts[1]]
        file = ListFile(file=f"may.{form}")
        people = lists._form_of(f".{form}").read_list(read, file)
        assert list(spec.whole.contacts) == sorted(people, key=lambda one: one["phone_number"])


def test_an_encrypted_list_that_was_still_being_written(
    laid: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git calls it is of all that was read, though it was shorter when it was opened."""
    there = laid.lay("csv", "sealed", as_csv(ROWS))

    def shorter(*arguments: Any, **options: Any) -> Any:
        file = opened_file(*arguments, **options)
        file.size -= 9
        return file

    monkeypatch.setattr(stored, "opened_file", shorter)
    spec = laid.spec()
    assert spec.origin is not None
    assert spec.origin.contacts == ("may.csv.age", git_blob(there))


@every_format
@pytest.mark.parametrize("where", PLACES[1:])
def test_a_system_without_files_in_memory(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """Where nothing may be written to disk and there is nowhere else, the list is read as ever."""
    monkeypatch.delattr(os, "memfd_create")
    laid.lay(form, where, WRITE[form](ROWS))
    spec = laid.spec()
    assert not isinstance(spec.whole.contacts, LongContacts)
    assert spec.contacts == len(ROWS)


@every_format
@every_place
def test_a_place_without_room_is_told(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """Where a list cannot be laid out, its spec is an error that says where there is no room."""
    laid.lay(form, where, WRITE[form](ROWS))

    def full(_file: File, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(File, "write", full)
    said = laid.root.said()
    kept = tempfile.gettempdir() if where == "here" else "memory"
    assert f"the list cannot be kept in {kept} while it is worked with: no space left" in said
    assert len(laid.store.asked) == ("elsewhere" in where)


def test_many_long_lists_leave_few_files_open(laid: Lists) -> None:
    """However many lists of whatever kind: one file on disk, one in memory."""
    for form, write in WRITE.items():
        for where in PLACES:
            name = f"{form}{where.replace(' ', '')}"
            data = write(ROWS)
            there = laid.keys.seal(data) if "sealed" in where else data
            file = f"{name}.{form}{'.age' if 'sealed' in where else ''}"
            pins = f"sha256: {hashlib.sha256(there).hexdigest()}\ncount: {len(ROWS)}"
            if "elsewhere" in where:
                laid.store.objects[f"/lists/{file}"] = there
                file = f"s3://lists/{file}"
            else:
                laid.root.write(file, there)
            laid.root.naming(file, pins, name=f"{name}.yaml")
    gc.collect()  # what other tests left
    before = len([one for one in open_files() if is_spool(one)])
    loaded = laid.root.load()
    assert len(loaded.specs) == 12
    assert len({spec.digest for spec in loaded.specs}) == 1
    assert len([one for one in open_files() if is_spool(one)]) == before + 2


def open_files() -> list[str]:
    """Give what this process has open."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(one.readlink()))
        except OSError:
            continue  # the directory that was being listed
    return found


def is_spool(name: str) -> bool:
    """Tell whether a file is one that lists are kept in."""
    return "memfd:contacts" in name or name.endswith(" (deleted)")


SMALL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = "phone_number,callee_name\n" + "".join(
    f"+1415{number:07},Asha Number {number}\n" for number in range(4_500)
)
"""More than two of the pieces that age seals one by one."""


@SMALL
@given(
    where=st.one_of(
        st.integers(0, 140_000), st.sampled_from([64 * 1024 + 216, 2 * (64 * 1024 + 16) + 200])
    ),
    how=st.sampled_from(["cut", "flip", "insert", "append", "swap"]),
)
def test_a_long_encrypted_list_that_was_touched_is_refused(
    laid: Lists, monkeypatch: pytest.MonkeyPatch, where: int, how: str
) -> None:
    """Whatever is lost, changed or added, even whole pieces of it, nothing of the list is used."""
    monkeypatch.undo()
    monkeypatch.setattr(lists, "LONG", 1)
    monkeypatch.setenv("RECONCILER_AGE_KEY", laid.keys.secret)
    data = laid.keys.seal(MANY.encode())
    at = where % len(data)
    header = data.index(b"\n---") + 49 + 16
    piece = 64 * 1024 + 16
    damaged = {
        "cut": data[:at] if where % 3 else data[: header + piece * (1 + where % 2)],
        "flip": data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :],
        "insert": data[:at] + b"x" + data[at:],
        "append": data + data[at:],
        "swap": data[:header]
        + data[header + piece : header + 2 * piece]
        + data[header : header + piece]
        + data[header + 2 * piece :],
    }[how]
    laid.root.write("may.csv.age", damaged)
    laid.root.naming("may.csv.age")
    said = laid.root.said()
    assert any(
        message in said
        for message in (
            "the encrypted list is damaged or cut short",
            "the list is encrypted for another key",
            "is not encrypted with age",
        )
    ), said
