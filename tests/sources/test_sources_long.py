"""Very long lists on their way from a spec to the API: the same requests, or none at all.

What is long is what `lists.LONG` says; here that is every list.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import tempfile
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.apply import sending
from reconciler.digest import request_digest
from reconciler.model import LongContacts
from reconciler.spec import load
from reconciler.spec.lists import csv_list, csv_stream, jsonl_list, spool
from reconciler.spec.lists import reader as lists
from reconciler.spec.lists.spool import File, Spooled, Spooling, as_lines
from reconciler.spec.load import load_specs
from reconciler.spec.locate import locate
from reconciler.spec.parallel import shared_out
from reconciler.spec.yaml.builder import Odd
from tests.embedded import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Contact
    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.oracle import KnownBatch
    from tests.sources.conftest import Keys, Root, Store

LIST = "phone_number,callee_name,plan\n" + "".join(
    f"+1415555{number:04},{name},{plan}\n"
    for number, name, plan in (
        (117, "Asha", "Basic"),
        (102, "Zoë", ""),
        (110, '"Rao, Ravi"', "Plus"),
        (101, "Meera", "Basic"),
        (199, "Priya", ""),
        (105, "Anjali", "Plus"),
        (142, "Vikram", "Basic"),
    )
)
PEOPLE = 7
HEAD = "phone_number,callee_name,plan\n"


@pytest.fixture(autouse=True)
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every list a long one, and a few lines go through all that a million do."""
    monkeypatch.setattr(lists, "LONG", 1)
    monkeypatch.setattr(csv_stream, "_PIECE", 60)
    for name, value in (("_RUN", 3), ("_STEP", 2), ("_RANGE", 2), ("_EACH", 1), ("_BLOCK", 2)):
        monkeypatch.setattr(spool, name, value)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Give an API that commands reach."""
    with embedded(monkeypatch, accept_any_campaign=True) as sandbox:
        yield sandbox


def in_order(contacts: Any) -> list[Contact]:
    """Give contacts in the order of their numbers."""
    return sorted(contacts, key=lambda contact: str(contact["phone_number"]))


def people_in(batch: KnownBatch) -> list[dict[str, Any]]:
    """Give whom a batch calls, as they were sent."""
    return [
        {"phone_number": person["phone_number"], "call_variables": person["call_variables"]}
        for person in batch.contacts
    ]


def requests(root: Root, more: str = "") -> list[tuple[int, str, list[Contact]]]:
    """Read the root's one spec: part, digest and people of each of its requests."""
    root.write("a.yaml", f"campaign_id: cmp_abc123\ncontacts: {{file: may.csv}}\n{more}")
    loaded = root.load()
    assert loaded.diagnostics == ()
    (spec,) = loaded.specs
    assert spec.contacts == PEOPLE
    return [(each.part, each.digest, in_order(each.contacts)) for each in spec.requests]


@pytest.mark.parametrize("more", ["", "reconcile: {split: {max_contacts: 3}}\n"])
def test_a_long_list_makes_the_requests_of_a_short_one(
    root: Root, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Digests, parts and people are the same, and so is each key: nobody is called again for it."""
    root.write("may.csv", LIST)
    found = requests(root, more)
    monkeypatch.setattr(lists, "LONG", 1 << 30)
    assert requests(root, more) == found


def test_a_list_that_is_really_long(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made small here: several runs, ranges and blocks give the same requests."""
    monkeypatch.undo()
    step, people = 7_368_787, 70_000
    rows = "".join(
        f"+91{6_000_000_000 + index * step % 3_999_999_999},{name},{'' if index % 9 else 'Plus'}\n"
        for index in range(people)
        for name in ["Asha" if index % 7 else '"Rao, Ravi"']
    )
    root.write("may.csv", HEAD + rows)
    root.naming("may.csv")
    root.write("reconciler.yaml", "split: {max_contacts: 9000}\n")

    def found() -> list[tuple[str, list[str]]]:
        (spec,) = load_specs(root.path, max_contacts=9_000).specs
        assert isinstance(spec.whole.contacts, LongContacts) == (lists.LONG < 1 << 30)
        parts = [(each.digest, in_order(each.contacts)) for each in spec.requests]
        return [(spec.digest, []), *((d, [c["phone_number"] for c in cs]) for d, cs in parts)]

    spooled = found()
    assert len(spooled) == 9
    monkeypatch.setattr(lists, "LONG", 1 << 30)
    assert found() == spooled


def test_long_lists_among_many_specs(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where specs are read in several processes, a long list is read in this one, no short one."""
    left: list[bool] = []

    def shared(*arguments: Any, **options: Any) -> list[Any]:
        results = shared_out(*arguments, **options)
        left.extend(result is None for result in results)
        return results

    monkeypatch.setattr(lists, "LONG", len(LIST))
    monkeypatch.setattr(load, "shared_out", shared)
    monkeypatch.setattr(load, "_MANY_FILES", 2)
    monkeypatch.setattr(load, "processors", lambda: 2)
    root.write("may.csv", LIST)
    root.naming("may.csv", name="long.yaml")
    person = '- {phone_number: "+14155550100", call_variables: {callee_name: Asha}}'
    for number in range(8):
        root.write(f"{number}.yaml", f"campaign_id: cmp_abc123\ncontacts:\n  {person}\n")
    root.write("short.csv", HEAD + "+14155550100,Asha,\n")
    root.naming("short.csv", name="short.yaml")
    specs = {spec.name: spec.whole.contacts for spec in root.load().specs}
    assert len(specs) == 10
    assert isinstance(specs.pop("long"), Spooled)
    assert all(len(contacts) == 1 for contacts in specs.values())
    assert sum(left) == 1


def test_a_long_list_is_spooled(root: Root) -> None:
    """The comparison above compared the two."""
    root.write("may.csv", LIST)
    root.naming("may.csv")
    (spec,) = root.load().specs
    assert isinstance(spec.whole.contacts, Spooled)
    assert spec.origin is not None
    listed = LIST.encode()
    blob = hashlib.sha1(b"blob %d\0" % len(listed) + listed, usedforsecurity=False).hexdigest()
    assert spec.origin.contacts == ("may.csv", blob)


def test_the_body_is_the_request(root: Root, sandbox: Sandbox, reconciler: Any) -> None:
    """What is sent is what a short list would send, in the order of the numbers."""
    root.write("may.csv", LIST)
    root.naming("may.csv")
    status, said = reconciler("apply", "--yes")
    assert status == 0, said
    (batch,) = sandbox.batches()
    (spec,) = root.load().specs
    assert people_in(batch) == list(spec.whole.contacts)
    assert people_in(batch) == in_order(people_in(batch))
    status, said = reconciler("plan", "--detailed-exitcode")
    assert status == 0, said


def utf_16(text: str) -> bytes:
    """Write a list as a spreadsheet's "Unicode text"."""
    return text.encode("utf-16")


BROKEN = [
    (LIST[: LIST.index(",Basic\n+1415555010")].encode(), "too few cells"),
    (LIST[: LIST.index(", Ravi")].encode(), "never closed"),
    (LIST.encode()[:30].replace(b"phone", b"ph\0ne") + LIST.encode()[30:], "U+0000"),
    (LIST.replace("+14155550101", "+1415555O101").encode(), "phone_number"),
    (LIST.replace("+14155550101", "+14155550199").encode(), "twice"),
    (LIST.replace("Meera", " ").encode(), "callee_name"),
    (LIST.encode("latin-1"), "not UTF-8: byte 0xEB"),
    (utf_16(LIST), "UTF-16"),
    (LIST.encode("utf-16-le"), "UTF-16 or binary"),
    (LIST.encode("utf-16-be"), "UTF-16 or binary"),
    (b"\xef\xbb" + LIST.encode(), "not UTF-8"),
    (LIST.encode().replace("ë".encode(), b"\xc3"), "not UTF-8"),
    (LIST.encode() + b"\0" * 4096, "control character"),
    (b"PK\x03\x04" + LIST.encode(), "is a workbook"),
    (HEAD.encode(), "no contacts"),
    (b"", "empty"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_nothing_is_created_from_a_broken_list(
    root: Root, sandbox: Sandbox, reconciler: Any, data: bytes, message: str
) -> None:
    """Truncated, damaged, encoded otherwise: it is said what is wrong, and nobody is called."""
    root.write("may.csv", data)
    root.naming("may.csv")
    status, said = reconciler("apply", "--yes")
    assert status == 1
    assert message in said
    assert not [row for row in LIST.split("\n")[1:-1] if row[1:12] in said]
    assert sandbox.batches() == []
    assert not (root.path / "state.json").exists()


def test_a_byte_order_mark_changes_nothing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was saved as "CSV UTF-8" is the same list."""
    root.write("may.csv", LIST)
    expected = requests(root)
    root.write("may.csv", b"\xef\xbb\xbf" + LIST.encode())
    assert requests(root) == expected
    monkeypatch.setattr(csv_stream, "_PIECE", 2)  # the mark comes in two pieces
    assert requests(root) == expected


def pins(data: bytes, count: int = PEOPLE) -> str:
    """Give what a spec says of a list it was reviewed with."""
    return f"sha256: {hashlib.sha256(data).hexdigest()}\ncount: {count}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LIST.replace("Asha", "Usha").encode(), "it has 7 contacts, as many as were pinned"),
        (LIST[: LIST.index("+14155550142")].encode(), "it has 6 contacts, not 7"),
        (b"\xef\xbb\xbf" + LIST.encode(), "it has 7 contacts, as many as were pinned"),
        (LIST.replace("\n", "\r\n").encode(), "it has 7 contacts, as many as were pinned"),
        (LIST.encode() + b"\n", "it has 7 contacts, as many as were pinned"),
        (LIST.encode("utf-16"), "it has mistakes in it"),
        (b"PK\x03\x04", "it cannot be read"),
    ],
)
def test_nothing_is_created_from_a_list_that_was_swapped(
    root: Root, sandbox: Sandbox, reconciler: Any, data: bytes, message: str
) -> None:
    """What is not the pinned bytes, to the last, is refused, and nothing of it is shown."""
    root.write("may.csv", data)
    root.naming("may.csv", pins(LIST.encode()))
    status, said = reconciler("apply", "--yes")
    assert status == 1
    assert "is not the list that was pinned" in said
    assert message in said
    assert "Usha" not in said
    assert sandbox.batches() == []


def test_a_pin_of_another_count_is_refused(root: Root, sandbox: Sandbox, reconciler: Any) -> None:
    """The right bytes with the wrong number of people were reviewed by nobody."""
    root.write("may.csv", LIST)
    root.naming("may.csv", pins(LIST.encode(), 8))
    status, said = reconciler("apply", "--yes")
    assert status == 1
    assert "has 7 contacts, not 8 as it was pinned" in said
    assert sandbox.batches() == []


def test_what_is_pinned_is_called(root: Root, sandbox: Sandbox, reconciler: Any) -> None:
    """The pinned list itself is no problem, and `pin` agrees."""
    root.write("may.csv", LIST)
    root.naming("may.csv", pins(LIST.encode()))
    assert reconciler("pin", "--check")[0] == 0
    assert reconciler("apply", "--yes")[0] == 0
    assert [batch.total_contacts for batch in sandbox.batches()] == [PEOPLE]


@pytest.mark.parametrize("how", ["another list", "cut to nothing", "gone"])
def test_a_list_that_changes_after_it_was_read_changes_nothing(
    root: Root, sandbox: Sandbox, reconciler: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What was read, checked and digested is what is sent."""
    path = root.write("may.csv", LIST)
    root.naming("may.csv")
    whole = sending.Job.body

    def changed(job: sending.Job, *how_sent: Any) -> Any:
        if how == "another list":
            path.write_text(LIST.replace("Asha", "Usha"), "utf-8")
        elif how == "cut to nothing":
            os.truncate(path, 0)
        else:
            path.unlink()
        return whole(job, *how_sent)

    (spec,) = root.load().specs
    expected = list(spec.whole.contacts)
    monkeypatch.setattr(sending.Job, "body", changed)
    status, said = reconciler("apply", "--yes")
    assert status == 0, said
    (batch,) = sandbox.batches()
    assert people_in(batch) == expected


def test_a_list_that_grows_while_it_is_read_is_read_anew(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git calls it and what is called are of the same bytes."""
    path = root.write("may.csv", LIST)
    root.naming("may.csv")
    more = "+14155550150,Kabir,\n"
    stream = csv_stream.read_stream

    def grown(*arguments: Any, **options: Any) -> Spooled:
        path.write_text(LIST + more, "utf-8")
        return stream(*arguments, **options)

    monkeypatch.setattr(csv_stream, "read_stream", grown)
    (spec,) = root.load().specs
    data = (LIST + more).encode()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    assert spec.origin is not None
    assert spec.origin.contacts == ("may.csv", blob)
    assert spec.contacts == PEOPLE + 1


def test_a_disk_without_room_is_told(
    root: Root, sandbox: Sandbox, reconciler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a list cannot be laid out, its spec is an error, with what to do."""
    root.write("may.csv", LIST)
    root.naming("may.csv")

    def full(_file: File, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(File, "write", full)
    status, said = reconciler("apply", "--yes")
    assert status == 1
    assert "the list cannot be kept in " in said
    assert "no space left on device" in said
    assert "TMPDIR" in said
    assert sandbox.batches() == []


def test_a_spool_that_fails_while_it_is_sent_leaves_doubt(
    root: Root, sandbox: Sandbox, reconciler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an unknown outcome like any other, never a traceback; the next run settles it."""
    root.write("may.csv", LIST)
    root.naming("may.csv")
    canonical = Spooled.canonical

    def broken(contacts: Spooled) -> Iterator[bytes]:
        yield next(canonical(contacts))
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        whole = sending.Job.body

        def body(job: sending.Job, *how_sent: Any) -> Any:
            patched.setattr(Spooled, "canonical", broken)
            return whole(job, *how_sent)

        patched.setattr(sending.Job, "body", body)
        status, said = reconciler("apply", "--yes", "--verify-for", "0")
    assert status == 3
    assert "the contacts could not be read while they were sent: input/output error" in said
    assert "Traceback" not in said
    assert sandbox.batches() == []
    state = json.loads((root.path / "state.json").read_bytes())
    (request,) = state["batches"]["a"]["generations"][-1]["requests"]
    assert request["status"] == "creating"
    assert reconciler("resolve", "a", "--not-created")[0] == 0
    assert reconciler("apply", "--yes")[0] == 0
    assert len(sandbox.batches()) == 1


def test_a_request_that_is_not_taken_now_is_sent_again_whole(
    root: Root, sandbox: Sandbox, reconciler: Any
) -> None:
    """After "too many requests" the same body goes out from its beginning."""
    root.write("may.csv", LIST)
    root.naming("may.csv")
    sandbox.faults.add(
        operation="create", kind="status", code=429, headers={"Retry-After": "0"}, times=1
    )
    assert reconciler("apply", "--yes")[0] == 0
    assert [batch.total_contacts for batch in sandbox.batches()] == [PEOPLE]


def test_what_the_api_says_of_a_contact_is_shown_at_its_line(
    root: Root, sandbox: Sandbox, reconciler: Any
) -> None:
    """The fourth that was sent stands in another line of the list, and nobody's name is shown."""
    root.write("may.csv", LIST)
    root.naming("may.csv")
    detail = [
        {"loc": ["body", "contacts", 3, "phone_number"], "msg": "Rao, Ravi is no value"},
        {"loc": ["body", "contacts", 6, "call_variables", "callee_name"], "msg": "odd"},
    ]
    sandbox.faults.add(operation="create", kind="status", code=422, body={"detail": detail})
    status, said = reconciler("apply", "--yes")
    assert status == 1
    assert "may.csv:4:1" in said
    assert "may.csv:6:14" in said
    assert "Ravi" not in said


@pytest.mark.parametrize(
    "text", [LIST, LIST.replace('"Rao, Ravi"', "Ravi"), LIST.replace("\n", "\r\n")]
)
def test_everybody_is_found_in_the_list(root: Root, text: str) -> None:
    """Whoever is the n-th in a request is shown where he stands, in a plain list and in another."""
    root.write("may.csv", text)
    root.naming("may.csv")
    (spec,) = root.load().specs
    lines = text.splitlines()
    for index, contact in enumerate(spec.whole.contacts):
        file, line, column = locate(root.path, spec, ("contacts", index, "phone_number"))
        assert (file, column) == ("batches/may.csv", 1)
        assert lines[line - 1].startswith(contact["phone_number"])


def test_an_encrypted_list_is_never_on_disk(
    root: Root, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the same request, out of memory alone."""
    root.write("may.csv", LIST)
    ((_, digest, _),) = requests(root)
    monkeypatch.setattr(spool, "TemporaryFile", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    root.write("may.csv.age", keys.seal(LIST.encode()))
    root.naming("may.csv.age")
    (spec,) = root.load().specs
    assert isinstance(spec.whole.contacts, Spooled)
    assert spec.digest == digest


def test_a_list_that_lies_elsewhere_is_written_nowhere(
    root: Root, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the same request, out of memory alone; one that was swapped gives none."""
    root.write("may.csv", LIST)
    ((_, digest, _),) = requests(root)
    monkeypatch.setattr(spool, "TemporaryFile", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    store.objects["/lists/may.csv"] = LIST.encode()
    root.naming("s3://lists/may.csv", pins(LIST.encode()))
    (spec,) = root.load().specs
    assert isinstance(spec.whole.contacts, Spooled)
    assert spec.digest == digest
    store.objects["/lists/may.csv"] = LIST.replace("Asha", "Usha").encode()
    assert "is not the list that was pinned" in root.said()


def test_a_system_without_files_in_memory_holds_the_list(
    root: Root, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing may be written to disk and there is nowhere else, it is read as ever."""
    monkeypatch.delattr(os, "memfd_create")
    root.write("may.csv.age", keys.seal(LIST.encode()))
    root.naming("may.csv.age")
    (spec,) = root.load().specs
    assert not isinstance(spec.whole.contacts, LongContacts)
    assert spec.contacts == PEOPLE


def test_many_long_lists_take_one_open_file(root: Root) -> None:
    """A root with more lists than a process may have files open is read all the same."""
    gc.collect()  # what other tests left
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        root.write(f"{number}.csv", LIST)
        root.naming(f"{number}.csv", name=f"{number}.yaml")
    root.write("bad.csv", LIST.replace("+14155550101", "+14155550199"))
    root.naming("bad.csv", name="bad.yaml")
    loaded = root.load()
    assert len(loaded.specs) == 20
    assert len({spec.digest for spec in loaded.specs}) == 1
    people = [in_order(spec.whole.contacts) for spec in loaded.specs]
    assert people == [people[0]] * 20
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1


# --- the parts, against the obvious -------------------------------------------------------------

SMALL = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = [f"+1415555{number:04}" for number in range(30)] + ["+1415555", "+14155550100999"]


def spooled(numbers: list[str]) -> Spooled:
    """Give a person for each number, spooled."""
    people: list[Contact] = [
        {"phone_number": n, "call_variables": {"callee_name": '},{"call_variables":{'}}
        for n in numbers
    ]
    spooling = Spooling()
    spooling.add(as_lines(people))
    return spooling.sorted()


@SMALL
@given(
    numbers=st.lists(st.sampled_from(NUMBERS), unique=True, min_size=1),
    left_out=st.sets(st.sampled_from(NUMBERS)),
    part=st.tuples(st.integers(0, 33), st.integers(0, 33)),
    later=st.sets(st.sampled_from(NUMBERS)),
)
def test_whoever_is_left_out(
    numbers: list[str], left_out: set[str], part: tuple[int, int], later: set[str]
) -> None:
    """Views of views say in every respect what a list of the same people says."""
    low, high = part
    found = spooled(numbers).without(left_out)[low:high].without(later)
    kept = [n for n in sorted(numbers) if n not in left_out][low:high]
    kept = [n for n in kept if n not in later]
    assert len(found) == len(kept)
    assert [contact["phone_number"] for contact in found] == kept
    assert list(chain.from_iterable(found.numbers())) == kept
    assert [found.place(number) for number in kept] == list(range(len(kept)))
    assert all(found.place(number) is None for number in set(NUMBERS) - set(kept))
    joined = b"".join(found.canonical())
    assert joined == orjson.dumps(list(found), option=orjson.OPT_SORT_KEYS)[1:-1]
    assert found.size() == len(joined)
    fields = {"campaign_id": "cmp_1", "metadata": {"a": 1}}
    assert request_digest(fields, found) == request_digest(fields, list(found))
    body = sending.long_body(fields, found)
    assert len(body) == len(b"".join(body))
    assert orjson.loads(b"".join(body)) == {**fields, "contacts": list(found)}


def test_a_spool_that_ends_too_early_is_an_error() -> None:
    """A piece is whole, or it is none."""
    contacts = spooled(NUMBERS)
    contacts._file.cut(contacts._file.size - 1)
    with pytest.raises(OSError, match="ends too early"):
        list(contacts)


def test_what_could_not_be_sorted_leaves_nothing_behind() -> None:
    """The file that all lists share is as long as before."""
    shelf = File(memory=False)
    spooling = Spooling(shelf=shelf)
    twice = [*NUMBERS, max(NUMBERS)]  # found after most has been laid out
    spooling.add(as_lines([{"phone_number": n, "call_variables": {}} for n in twice]))
    with pytest.raises(Odd):
        spooling.sorted()
    assert shelf.size == 0


@pytest.mark.parametrize("name", ["may.csv", "may.jsonl"])
def test_a_list_that_is_refused_without_a_reason(
    root: Root, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Should the readers ever disagree about a list, it is an error, and never one of nobody."""

    def refuses(*_: Any, **__: Any) -> None:
        raise Odd

    line = '{"phone_number": "+14155550100", "callee_name": "Asha"}\n'
    root.write(name, f"{HEAD}+14155550100,Asha,\n" if name.endswith("csv") else line)
    root.naming(name)
    for module in (csv_list, jsonl_list):
        monkeypatch.setattr(module, "read_list", refuses)
    monkeypatch.setattr(lists.Shelves, "spooled", lambda *_, **__: None)
    assert "it cannot be read, although nothing is wrong with any line of it" in root.said()


@pytest.mark.parametrize(
    "row",
    ["(987) 654-3210,Raj Sharma", "'+919876543210,Raj Sharma", "tel:+919876543210,Raj Sharma",
     "Raj Sharma|+919876543210", "+91 98765-43210 (Raj Sharma),x"],
)  # fmt: skip
def test_a_first_row_that_is_a_contact_is_shown_to_nobody(root: Root, row: str) -> None:
    """Without a header, people's names would stand where headers are listed."""
    root.write("may.csv", f"{row}\n{row}\n")
    root.naming("may.csv")
    said = root.said()
    assert "the first line looks like a contact" in said
    assert "Raj" not in said
    assert "98765" not in said


@pytest.mark.parametrize(
    "row",
    ["Raj Sharma,9.19877E+11", "Raj Sharma,n/a,raj@example.com", "Raj Sharma,12345", "Raj Sharma",
     "Raj Sharma,Raj Sharma"],
)  # fmt: skip
@pytest.mark.parametrize("spec", ["", "columns: {phone_number: Tel}, ", "other_columns: drop, "])
def test_a_first_row_with_no_known_header_is_shown_to_nobody(
    root: Root, row: str, spec: str
) -> None:
    """Whether those are headers in another language or people, nobody can tell."""
    root.write("may.csv", f"{row}\n{row}\n")
    text = f"campaign_id: cmp_abc123\ncontacts: {{{spec}file: may.csv}}\n"
    root.write("may.yaml", text)
    said = root.said()
    assert "the first line names no column that could hold phone numbers or names" in said
    assert "columns: {phone_number: …, callee_name: …}" in said
    assert "Raj" not in said
    assert "E+11" not in said


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("number", "name", "meant"),
    [
        ("Mobile", "Full name", "columns: {phone_number: Mobile, callee_name: Full name}"),
        ("Rufnummer", "Wer", "columns: {phone_number: Rufnummer, callee_name: Wer}"),
        ("Tel: 1", "No", 'columns: {phone_number: "Tel: 1", callee_name: "No"}'),
    ],
)
def test_columns_the_wrong_way_round_are_told(
    root: Root, form: str, number: str, name: str, meant: str
) -> None:
    """Whoever wrote the list's header where our name belongs is told so, and what to write."""
    rows = {
        "csv": f"{number},{name},Plan\n+14155550100,Asha,Gold\n",
        "jsonl": json.dumps({number: "+14155550100", name: "Asha", "Plan": "Gold"}),
    }
    root.write(f"may.{form}", rows[form])
    written = {number: "phone_number", name: "callee_name"}
    root.naming(f"may.{form}", f"columns: {json.dumps(written)}")
    said = root.said()
    assert (
        "`contacts.columns` is the wrong way round: it maps our name to the list's header" in said
    )
    assert f"`{number}` is a header" in said
    assert said.endswith(f"write `{meant}`")
    root.naming(f"may.{form}", meant)
    assert [spec.contacts for spec in root.load().specs] == [1]


@pytest.mark.parametrize("sign", [":", ",", "#", "'", '"', "}", "&", "{", "-", "?", "!"])
def test_what_a_hint_says_of_columns_can_be_copied(root: Root, sign: str) -> None:
    """Whatever stands in a header, the `columns` of the hint is YAML that means it."""
    row = {f"Mobile {sign} tel": "+14155550100", f"{sign} name": "Asha"}
    root.write("may.jsonl", json.dumps(row))
    root.naming("may.jsonl")
    said = root.said()
    hint = said.partition("or write `")[2].partition("` in the spec")[0]
    assert hint.startswith("columns: {phone_number: ")
    root.naming("may.jsonl", hint)
    assert [spec.contacts for spec in root.load().specs] == [1]


@pytest.mark.parametrize("headers", ["phonenumber,calleename", "PhoneNumber,CalleeName"])
def test_headers_that_are_nearly_right_are_headers(root: Root, headers: str) -> None:
    """So they are shown, with what was probably meant."""
    root.write("may.csv", f"{headers}\n+14155550100,Asha\n")
    root.naming("may.csv")
    number, name = headers.split(",")
    assert f"columns: {{phone_number: {number}, callee_name: {name}}}" in root.said()


def test_headers_in_any_language_do_when_the_spec_says_which(root: Root) -> None:
    """So they are headers, and shown where one of them is missing."""
    root.write("may.csv", "Rufnummer,Kunde\n+14155550100,Asha\n")
    text = "campaign_id: cmp_abc123\ncontacts: {file: may.csv, columns: {phone_number: Rufnummer"
    root.write("may.yaml", f"{text}, callee_name: Kunde}}}}\n")
    assert len(root.load().specs) == 1
    root.write("may.yaml", f"{text}, callee_name: Kundin}}}}\n")
    assert "did you mean `Kunde`?" in root.said()


def test_headers_with_a_date_in_them_are_headers(root: Root) -> None:
    """So many digits have a date, too."""
    root.write("may.csv", "phone_number,callee_name,due 2026-05-01,v20260501\n+14155550100,A,x,y\n")
    root.naming("may.csv")
    assert len(root.load().specs) == 1


def test_a_pinned_list_in_other_bytes(root: Root) -> None:
    """The same people with other line ends are not what was pinned, and that is all there is."""
    root.write("may.csv", LIST.replace("\n", "\r\n"))
    root.naming("may.csv", f"sha256: {hashlib.sha256(LIST.encode()).hexdigest()}\ncount: {PEOPLE}")
    assert "; it has 7 contacts, as many as were pinned" in root.said()
