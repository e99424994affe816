from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reconciler import __version__
from reconciler.errors import StateUnusable
from reconciler.state.codec import decode, encode
from reconciler.state.file import FileStore
from tests.core.builders import created, creating, recorded, spec, state
from tests.state.conftest import CountingIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SPEC = spec()
SOUND = encode(
    state(
        welcome=recorded(created(SPEC, duplicates=("bat_x",)), of=SPEC),
        other=recorded(creating(spec("other", 2)), of=spec("other", 2)),
    )
)


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Give a sound file with a change made by hand."""
    document = json.loads(SOUND)
    change(document)
    return json.dumps(document, indent=2).encode()


def request_of(document: dict[str, Any], name: str = "welcome") -> dict[str, Any]:
    """Give the one request of a name."""
    request: dict[str, Any] = document["batches"][name]["generations"][0]["requests"][0]
    return request


def setting(field: str, value: object, name: str = "welcome") -> bytes:
    """Give a sound file with one field of a request set."""
    return edited(lambda document: request_of(document, name).__setitem__(field, value))


def lacking(field: str) -> bytes:
    """Give a sound file with one field of a request missing."""
    return edited(lambda document: request_of(document).pop(field))


def generations(document: dict[str, Any], *numbers: int, of: str = "welcome") -> None:
    """Give a name several generations, each with ids of its own."""
    (one,) = document["batches"][of]["generations"]
    made = []
    for place, number in enumerate(numbers):
        copy = json.loads(json.dumps(one))
        copy["generation"] = number
        for request in copy["requests"]:
            request["key"] += f"-{place}"
            if "batch_id" in request:
                request["batch_id"] += f"-{place}"
            request.pop("duplicates", None)
        made.append(copy)
    document["batches"][of]["generations"] = made


REFUSED = {
    "empty": b"",
    "only blanks": b" \n\n",
    "no object": b"[]\n",
    "a text": b'"state"\n',
    "a byte order mark": b"\xef\xbb\xbf" + SOUND,
    "UTF-16": SOUND.decode().encode("utf-16"),
    "not UTF-8": SOUND.replace(b"welcome", b"welc\xffme"),
    "NaN": SOUND.replace(b'"contacts": 2', b'"contacts": NaN', 1),
    "no version": edited(lambda d: d.pop("version")),
    "version 0": edited(lambda d: d.update(version=0)),
    "version true": edited(lambda d: d.update(version=True)),
    "version 1.0": edited(lambda d: d.update(version=1.0)),
    "version as text": edited(lambda d: d.update(version="1")),
    "a newer version": edited(lambda d: d.update(version=2)),
    "no lineage": edited(lambda d: d.pop("lineage")),
    "an empty lineage": edited(lambda d: d.update(lineage="")),
    "serial 0": edited(lambda d: d.update(serial=0)),
    "serial as text": edited(lambda d: d.update(serial="7")),
    "serial 1.0": edited(lambda d: d.update(serial=1.0)),
    "an unknown field at the top": edited(lambda d: d.update(note="mine")),
    "an unknown field of a request": setting("note", "mine"),
    "batches as a list": edited(lambda d: d.update(batches=[])),
    "a name without generations": edited(lambda d: d["batches"]["welcome"].update(generations=[])),
    "a name that is empty": edited(lambda d: d["batches"].update({"": d["batches"].pop("other")})),
    "an unknown lifecycle": edited(lambda d: d["batches"]["welcome"].update(lifecycle="gone")),
    "an unknown status": setting("status", "lost"),
    "created, no batch id": lacking("batch_id"),
    "created, empty batch id": setting("batch_id", ""),
    "created, no time": lacking("recorded_at"),
    "creating, with a batch id": setting("batch_id", "bat_1", "other"),
    "creating, was created": setting("status", "creating"),
    "no key": lacking("key"),
    "an empty key": setting("key", ""),
    "no digest": lacking("digest"),
    "a short digest": setting("digest", "v1:abc"),
    "a digest of another version": setting("digest", "v2:" + "a" * 64),
    "a digest of another version, of all parts": edited(
        lambda d: d["batches"]["welcome"]["generations"][0].update(digest="v2:" + "a" * 64)
    ),
    "another campaign than its fields say": edited(
        lambda d: d["batches"]["welcome"]["generations"][0].update(campaign_id="cmp_other")
    ),
    "another campaign in its fields": edited(
        lambda d: d["batches"]["welcome"]["generations"][0]["fields"].update(
            campaign_id="cmp_other"
        )
    ),
    "a digest in capitals": setting("digest", "v1:" + "A" * 64),
    "contacts as text": setting("contacts", "2"),
    "contacts below zero": setting("contacts", -1),
    "attempt below zero": setting("attempt", -1),
    "a number too large for anything": setting("contacts", 10**30),
    "a naive time": setting("attempted_at", "2026-05-12T09:00:00"),
    "a time as a number": setting("attempted_at", 1_780_000_000),
    "no time at all": setting("attempted_at", "yesterday"),
    "a naive time in an audit": setting(
        "audit", [{"who": "me", "at": "2026-05-12T09:00:00", "said": "not created", "why": ""}]
    ),
    "part 0": setting("part", 0),
    "no requests": edited(lambda d: d["batches"]["welcome"]["generations"][0].update(requests=[])),
    "a part twice": edited(
        lambda d: d["batches"]["welcome"]["generations"][0]["requests"].append(
            {**request_of(d), "key": "rk1_y", "batch_id": "bat_y", "duplicates": []}
        )
    ),
    "a key twice": edited(
        lambda d: request_of(d, "other").update(key=request_of(d, "welcome")["key"])
    ),
    "a batch twice": edited(
        lambda d: request_of(d).update(duplicates=["bat_x", request_of(d)["batch_id"]])
    ),
    "a duplicate twice": setting("duplicates", ["bat_x", "bat_x"]),
    "generation 0": edited(lambda d: generations(d, 0)),
    "generations in disorder": edited(lambda d: generations(d, 2, 1)),
    "a generation twice": edited(lambda d: generations(d, 1, 1)),
    "an old generation in doubt": edited(lambda d: generations(d, 1, 2, of="other")),
    "a name twice": SOUND.replace(b'"welcome": {', b'"other": {', 1),
    "the version twice": SOUND.replace(b'"version": 1', b'"version": 1,\n  "version": 1', 1),
    "a field twice": SOUND.replace(b'"attempt": 1,', b'"attempt": 1, "attempt": 1,', 1),
    "a number in fields that cannot be written": edited(
        lambda d: d["batches"]["welcome"]["generations"][0]["fields"].update(n=10**30)
    ),
    "very deep": SOUND.replace(b'"contents": 1', b'"contents": ' + b"[" * 5000 + b"]" * 5000, 1),
}
CONFLICTS = {
    "ours": b"<<<<<<< HEAD\n",
    "base": b"||||||| 1234567\n",
    "middle": b"=======\n",
    "theirs": b">>>>>>> main\n",
    "ours, bare": b"<<<<<<<\n",
    "middle, CRLF": b"=======\r\n",
    "theirs, CRLF": b">>>>>>> main\r\n",
}


def assert_refused(path: Path, data: bytes) -> StateUnusable:
    """Assert that a file is refused with what to do about it, and left as it is."""
    path.write_bytes(data)
    before = path.stat()
    store = FileStore(path, ids=CountingIds())
    with pytest.raises(StateUnusable) as raised:
        store.load()
    assert raised.value.hint
    assert str(path) in raised.value.message
    after = path.stat()
    assert path.read_bytes() == data
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    return raised.value


def test_the_sound_file_is_sound() -> None:
    """What the table edits would be read if it were not edited."""
    assert decode(SOUND, where="state.json").serial == 7
    decode(edited(lambda _: None), where="state.json")
    decode(edited(lambda d: generations(d, 1, 5)), where="state.json")
    decode(SOUND.replace(b"\n", b"\r\n"), where="state.json")


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_trusted_is_refused_and_left_alone(what: str, tmp_path: Path) -> None:
    """No edit, damage or newer format is ever used or overwritten."""
    assert_refused(tmp_path / "state.json", REFUSED[what])


@pytest.mark.parametrize("line", [0, 5, -1])
@pytest.mark.parametrize("what", CONFLICTS)
def test_a_merge_conflict_is_named_with_its_line(what: str, line: int, tmp_path: Path) -> None:
    """Conflict markers of every kind, wherever they stand, are told from other damage."""
    lines = SOUND.splitlines(keepends=True)
    at = line % (len(lines) + 1)
    data = b"".join([*lines[:at], CONFLICTS[what], *lines[at:]])
    error = assert_refused(tmp_path / "state.json", data)
    assert "merge conflict" in error.message
    assert f":{at + 1}:" in error.message


def test_a_newer_format_says_to_upgrade(tmp_path: Path) -> None:
    """Who wrote it, what this is, and the command that helps."""
    data = edited(lambda d: d.update(version=2, tool_version="9.8.7", surprise={}))
    error = assert_refused(tmp_path / "state.json", data)
    assert "9.8.7" in error.message
    assert __version__ in error.message
    assert "or a newer one" in error.hint


def test_many_problems_are_shown_and_no_value(tmp_path: Path) -> None:
    """Up to ten problems stand in one message, and what the file says is not repeated."""
    number = "+919876543210"
    data = edited(lambda d: [request_of(d).update(contacts=number), d.update(serial=number)])
    error = assert_refused(tmp_path / "state.json", data)
    assert error.message.count("\n") == 2
    assert number not in error.message


def test_a_file_cut_anywhere_is_refused(fixtures: list[Path]) -> None:
    """Truncation at every byte of every fixture is noticed, but for the last newline."""
    for fixture in fixtures:
        data = fixture.read_bytes()
        for length in range(len(data) - 1):
            with pytest.raises(StateUnusable):
                decode(data[:length], where="state.json")
        assert decode(data[:-1], where="x") == decode(data, where="x")
