"""`pin`: two values are written, and of the rest of a person's file not a byte is touched."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.spec.lists.pins import Pinning, Unpinnable, pinning
from reconciler.spec.lists.reader import Lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Keys, Root, Store

LIST = b"phone_number,callee_name\n+14155550100,Asha\n+14155550101,Ravi\n"
SHA = hashlib.sha256(LIST).hexdigest()
OLD = "0" * 64

CASES = {
    "a block": (
        "campaign_id: cmp_1   # why\ncontacts:\n    file: may.csv  # here\nmetadata: {a: 1}\n",
        (
            "campaign_id: cmp_1   # why\ncontacts:\n    file: may.csv  # here\n"
            "    sha256: SHA\n    count: 2\nmetadata: {a: 1}\n"
        ),
    ),
    "between fields": (
        "contacts:\n  columns: {}\n\n  # The list:\n  'file': 'may.csv'\n  other_columns: keep\n",
        (
            "contacts:\n  columns: {}\n\n  # The list:\n  'file': 'may.csv'\n  sha256: SHA\n"
            "  count: 2\n  other_columns: keep\n"
        ),
    ),
    "no line end": (
        "campaign_id: cmp_1\ncontacts:\n  file: may.csv",
        "campaign_id: cmp_1\ncontacts:\n  file: may.csv\n  sha256: SHA\n  count: 2",
    ),
    "Windows": (
        "\ufeffcontacts:\r\n  file: may.csv\r\ncampaign_id: cmp_1\r\n",
        (
            "\ufeffcontacts:\r\n  file: may.csv\r\n  sha256: SHA\r\n  count: 2\r\n"
            "campaign_id: cmp_1\r\n"
        ),
    ),
    "Windows, no line end": (
        "campaign_id: cmp_1\r\ncontacts:\r\n  file: may.csv",
        "campaign_id: cmp_1\r\ncontacts:\r\n  file: may.csv\r\n  sha256: SHA\r\n  count: 2",
    ),
    "braces": (
        'contacts: {file: "may.csv",\n  columns: {callee_name: callee_name}}  # é\n',
        (
            'contacts: {file: "may.csv", sha256: SHA, count: 2,\n'
            "  columns: {callee_name: callee_name}}  # é\n"
        ),
    ),
    "JSON": (
        '{"contacts": {"file": "may.csv"}, "campaign_id": "cmp_1"}',
        '{"contacts": {"file": "may.csv", "sha256": "SHA", "count": 2}, "campaign_id": "cmp_1"}',
    ),
    "old pins": (
        "contacts:\n  count: 7 # were\n  file: may.csv\n  sha256:   'OLD'\n",
        "contacts:\n  count: 2 # were\n  file: may.csv\n  sha256:   'SHA'\n",
    ),
    "a count in quotes": (
        'contacts: {count: "7", sha256: "OLD", file: may.csv}\n',
        'contacts: {count: 2, sha256: "SHA", file: may.csv}\n',
    ),
    "empty values": (
        "contacts:\n  sha256:\n  count: # how many\n  file: may.csv\n",
        "contacts:\n  sha256: SHA\n  count: 2 # how many\n  file: may.csv\n",
    ),
    "no count": (
        "contacts:\n  sha256: SHA # it is\n  file: may.csv\n",
        "contacts:\n  sha256: SHA # it is\n  count: 2\n  file: may.csv\n",
    ),
    "no sha256": (
        "contacts:\n  count: 2\n  file: may.csv\n",
        "contacts:\n  count: 2\n  file: may.csv\n  sha256: SHA\n",
    ),
    "capitals": ("contacts: {file: may.csv, sha256: UPPER, count: 2}\n",) * 2,
    "a folded path": (
        "contacts:\n  file: >-\n    may.csv\n\n  columns: {}\n",
        "contacts:\n  file: >-\n    may.csv\n\n  sha256: SHA\n  count: 2\n  columns: {}\n",
    ),
    "a path below its field": (
        "contacts:\n  file:\n    may.csv\n  columns: {}\n",
        "contacts:\n  file:\n    may.csv\n  sha256: SHA\n  count: 2\n  columns: {}\n",
    ),
    "indented by nothing but a document": (
        "---\n# A comment.\ncontacts:\n file: may.csv\n...\n",
        "---\n# A comment.\ncontacts:\n file: may.csv\n sha256: SHA\n count: 2\n...\n",
    ),
}


def _filled(text: str) -> bytes:
    return text.replace("SHA", SHA).replace("OLD", OLD).replace("UPPER", SHA.upper()).encode()


def _pinned(root: Root) -> bytes:
    found = pinning(Lists(root.path, "batches"), "a.yaml")
    assert found is not None
    assert found.stale == (found.pinned() != found.data)
    return found.pinned()


@pytest.mark.parametrize("case", CASES)
def test_two_values_are_written_and_nothing_else_is_touched(root: Root, case: str) -> None:
    """Comments, quotes, order, indentation, line ends and a byte order mark stay as they are."""
    before, after = CASES[case]
    root.write("may.csv", LIST)
    root.write("a.yaml", _filled(before))
    assert _pinned(root) == _filled(after)
    root.write("a.yaml", _filled(after))
    assert _pinned(root) == _filled(after)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(["file", "columns", "sha256", "count", "note"]),
    left_out=st.sets(st.sampled_from(["columns", "sha256", "count", "note"])),
    indent=st.integers(1, 6),
    quote=st.sampled_from(["", "'", '"']),
    line_end=st.sampled_from(["\n", "\r\n"]),
    ended=st.booleans(),
    first=st.booleans(),
)
def test_however_a_spec_is_written(
    root: Root,
    *,
    order: list[str],
    left_out: set[str],
    indent: int,
    quote: str,
    line_end: str,
    ended: bool,
    first: bool,
) -> None:
    """A pinned spec is the old one with at most two lines or values changed, and loads."""
    written = {
        "file": f"file: {quote}may.csv{quote}  # the list",
        "columns": "columns: {callee_name: 'callee_name'}",
        "sha256": f"sha256: {quote}{OLD}{quote}",
        "count": "count: 7   # so far",
        "note": "# a note: {",
    }
    lines = [f"{' ' * indent}{written[name]}" for name in order if name not in left_out]
    others = ["campaign_id: cmp_1", "# é", "metadata: {a: [1, 'b']}"]
    every = ["contacts:", *lines, *others] if first else [*others, "contacts:", *lines]
    before = (line_end.join(every) + line_end * ended).encode()
    root.write("may.csv", LIST)
    root.write("a.yaml", before)
    after = _pinned(root)
    root.write("a.yaml", after)
    assert root.digest("a")
    kept = [line for line in before.splitlines() if b"sha256" not in line and b"count:" not in line]
    now = [line for line in after.splitlines() if b"sha256" not in line and b"count:" not in line]
    assert now == kept
    assert after.endswith(b"\n") == before.endswith(b"\n")
    assert after.count(b"\r\n") in {0, after.count(b"\n")}
    assert len(after.splitlines()) == len(kept) + 2


def test_a_spec_that_cannot_be_edited_by_place_is_left_alone(
    root: Root, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """What would change more than two values is not written; what to write is said."""
    root.write("may.csv", LIST)
    before = "campaign_id: cmp_1\ncontacts:\n  ? file\n  : may.csv\n"
    root.write("a.yaml", before)
    with pytest.raises(Unpinnable):
        _pinned(root)
    status, said = reconciler("pin", "a")
    assert status == 1
    assert f"write below `contacts`: `sha256: {SHA}` and `count: 2`" in said
    assert (root.path / "a.yaml").read_text("utf-8") == before


def test_pinning_and_checking(
    root: Root, store: Store, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """The way of a list: pinned, found to be as pinned, changed, found to be stale, pinned anew."""
    store.objects["/lists/may.csv"] = LIST
    path = root.naming("s3://lists/may.csv")
    assert reconciler("validate")[0] == 1
    status, said = reconciler("pin", "batches/a.yaml")
    assert (status, said) == (
        0,
        f"batches/a.yaml: pinned s3://lists/may.csv: sha256 {SHA[:12]}…, 2 contacts\n",
    )
    assert reconciler("validate")[0] == 0
    written = path.stat()
    status, said = reconciler("pin")
    assert (status, "is as pinned" in said) == (0, True)
    assert path.stat().st_mtime_ns == written.st_mtime_ns
    assert reconciler("pin", "--check")[0] == 0

    store.objects["/lists/may.csv"] = LIST + b"+14155550102,Meera\n"
    before = path.read_bytes()
    status, said = reconciler("pin", "--check", "a")
    assert status == 1
    assert f"3 contacts (was sha256 {SHA[:12]}…, 2 contacts)" in said
    assert path.read_bytes() == before
    assert reconciler("pin", "a.yaml")[0] == 0
    assert reconciler("validate")[0] == 0


def test_what_was_pinned_is_told_as_what_is(
    root: Root, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """A count has its thousands apart, before as after; what is no count stands as it is."""
    root.write("may.csv", LIST)
    for count, told in (("12000", "12,000"), ("many", "many")):
        root.naming("may.csv", f"count: {count}")
        said = reconciler("pin", "--check", "a")[1]
        assert f"2 contacts (was {told} contacts)" in said


def test_specs_that_need_no_pin_are_passed_over(
    root: Root, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """Without a spec, `pin` is about those that have a pin or need one; a named one gets one."""
    root.write("may.csv", LIST)
    path = root.naming("may.csv")
    contact = '[{phone_number: "+14155550100", call_variables: {callee_name: Asha}}]'
    root.write("inline.yaml", f"campaign_id: cmp_1\ncontacts: {contact}\n")
    root.write("broken.yaml", "[")
    before = path.read_bytes()
    nothing = "no spec below batches has a pin or needs one; nothing to"
    assert reconciler("pin") == (0, f"{nothing} pin\n")
    assert reconciler("pin", "--check") == (0, f"{nothing} check\n")
    assert path.read_bytes() == before
    assert "nothing to pin" in reconciler("pin", "inline")[1]
    assert reconciler("pin", "a")[0] == 0
    assert path.read_bytes() != before


def test_a_list_with_mistakes_is_not_pinned(
    root: Root, store: Store, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """A pin says that a list was reviewed: one that cannot be called gets none. Others do."""
    store.objects |= {"/lists/may.csv": LIST, "/lists/june.csv": LIST + b"4155550102,Meera\n"}
    root.naming("s3://lists/may.csv", name="may.yaml")
    wrong = root.naming("s3://lists/june.csv", name="june.yaml")
    gone = root.naming("s3://lists/july.csv", name="july.yaml")
    before = wrong.read_bytes(), gone.read_bytes()
    status, said = reconciler("pin")
    assert status == 1
    assert "s3://lists/june.csv:4:1: error: contacts[2].phone_number" in said
    assert "batches/july.yaml:3:9: error: contacts.file: `s3://lists/july.csv` is not there" in said
    assert "batches/may.yaml: pinned" in said
    assert (wrong.read_bytes(), gone.read_bytes()) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("contacts: {fil: may.csv}\n", "contacts.fil: unknown field `fil`"),
        ("contacts: {file: june.csv}\n", "there is no file `june.csv`"),
        ("contacts: {file: may.csv\n", "not closed"),
    ],
)
def test_a_spec_that_names_no_list_is_told(
    root: Root, reconciler: Callable[..., tuple[int, str]], content: str, message: str
) -> None:
    """What keeps a list from being found is said at its line."""
    root.write("may.csv", LIST)
    root.write("a.yaml", content)
    status, said = reconciler("pin", "a")
    assert status == 1
    assert message in said
    assert "batches/a.yaml:" in said


def test_a_spec_that_is_not_there(reconciler: Callable[..., tuple[int, str]], root: Root) -> None:
    """What is no spec, or another root's, is an error of the command line."""
    status, said = reconciler("pin", "b")
    assert (status, "there is no spec b below batches" in said) == (64, True)
    outside = root.path.parent / "outside.yaml"
    outside.write_text("contacts: {file: may.csv}\n", "utf-8")
    status, said = reconciler("pin", "outside.yaml")
    assert (status, "is not below batches" in said) == (64, True)
    status, said = reconciler("--batches", "nothing", "pin")
    assert (status, "cannot be read" in said) == (64, True)


def test_a_spec_is_found_by_the_name_it_gives_itself(
    root: Root, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """`reconcile.name` is a spec's name wherever its file is; a file of that name comes first."""
    root.write("may.csv", LIST)
    own = "reconcile: {name: renewals/café}\ncontacts: {file: may.csv}\n"
    path = root.write("deep/l.yaml", own)
    root.write("broken.yaml", "[")
    status, said = reconciler("pin", "renewals/cafe\u0301")
    assert (status, "batches/deep/l.yaml: pinned" in said) == (0, True)
    assert SHA in path.read_text("utf-8")
    root.write("other.yaml", own)
    status, said = reconciler("pin", "renewals/café")
    assert status == 64
    assert "2 specs have the name renewals/café: deep/l.yaml, other.yaml" in said
    root.naming("may.csv", name="renewals/café.yaml")
    status, said = reconciler("pin", "renewals/café")
    assert (status, "batches/renewals/café.yaml: pinned" in said) == (0, True)
    assert reconciler("--batches", "nothing", "pin", "nm")[0] == 64


def test_a_file_keeps_what_it_was(root: Root, reconciler: Callable[..., tuple[int, str]]) -> None:
    """Its permissions stay, a symlink stays one, and nothing else is left in the directory."""
    root.write("may.csv", LIST)
    real = root.naming("may.csv", name="_real.yaml")
    real.chmod(0o640)
    (root.path / "a.yaml").symlink_to("_real.yaml")
    there = {path.name for path in root.path.iterdir()}
    assert reconciler("pin", "a")[0] == 0
    assert (root.path / "a.yaml").is_symlink()
    assert SHA in real.read_text("utf-8")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert {path.name for path in root.path.iterdir()} == there


def test_a_spec_that_changed_meanwhile_is_left_alone(
    root: Root, reconciler: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who saves the file while its list is fetched loses nothing."""
    root.write("may.csv", LIST)
    path = root.naming("may.csv")
    pinned = Pinning.pinned

    def saved_meanwhile(found: Pinning) -> bytes:
        path.write_text("campaign_id: cmp_2\n", "utf-8")
        return pinned(found)

    monkeypatch.setattr(Pinning, "pinned", saved_meanwhile)
    assert reconciler("pin", "a")[0] == 1
    assert path.read_text("utf-8") == "campaign_id: cmp_2\n"


def test_an_encrypted_list_is_pinned_by_what_lies_there(
    root: Root, keys: Keys, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """The SHA-256 is of the encrypted file, the count of the people in it."""
    data = keys.seal(LIST)
    root.write("may.csv.age", data)
    path = root.naming("may.csv.age")
    assert reconciler("pin", "a")[0] == 0
    assert f"sha256: {hashlib.sha256(data).hexdigest()}\n  count: 2\n" in path.read_text("utf-8")
    assert root.digest("a")
