from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from msgspec import structs

from reconciler.errors import StateUnusable
from reconciler.state import sound
from reconciler.state.codec import Encoder, decode, encode
from reconciler.state.document import NameRecord, State, Status
from reconciler.state.layout import StateFile
from reconciler.state.shape import shape_problems
from tests.state.strategies import states

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("few_at_once")
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

STABLE = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    2**63,
    10**30,
    "",
    "text",
    "created",
    "creating",
    "2026-05-12T04:00:00",
    "2026-05-12T04:00:00Z",
    "2026-05-12T04:00:00+00:00",
    "2026-05-12T04:00:00.120+05:30",
    [],
    ["text"],
    {},
    {"text": 1},
]
"""What a person, a script or a merge may leave where something else was."""


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the path of everything in a document, but of the document itself."""
    if isinstance(document, dict):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document))
    else:
        return []
    return [p for step, each in inner for p in ((*path, step), *places(each, (*path, step)))]


def edit(document: dict[str, Any], data: st.DataObject) -> None:
    """Do one thing to a document that a person, a script or another version could do."""
    *way, last = data.draw(st.sampled_from(places(document)))
    parent: Any = document
    for step in way:
        parent = parent[step]
    what = data.draw(st.sampled_from(["drop", "set", "add", "copy", "rename"]))
    event(what)
    if what == "drop":
        del parent[last]
    elif what == "set":
        parent[last] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    elif what == "add" and isinstance(parent, dict):
        name = data.draw(st.sampled_from(["note", "", "expires_at", "parts", "cancelling"]))
        parent[name] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    elif what == "copy" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    elif isinstance(parent, dict):
        parent[f"{last}2"] = parent.pop(last)


def relaid(data: bytes, draw: st.DataObject) -> bytes:
    """Give a file's text as an editor, a formatter or a merge may leave it."""
    how = draw.draw(st.sampled_from(["as it is", "line twice", "line gone", "swapped", "CRLF"]))
    event(how)
    lines = data.splitlines(keepends=True)
    one, other = (draw.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    if how == "line twice":
        lines.insert(one, lines[one])
    elif how == "line gone":
        del lines[one]
    elif how == "swapped":
        lines[one], lines[other] = lines[other], lines[one]
    elif how == "CRLF":
        lines = [line.replace(b"\n", b"\r\n") for line in lines]
    return b"".join(lines)


def slowly(data: bytes) -> State | None:
    """Say what a file means in the most obvious way: None if it is not to be believed."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if any(n > 1 for n in Counter(name for name, _ in pairs).values()):
            raise ValueError("a name twice")
        return dict(pairs)

    try:
        orjson.loads(data)  # stricter than json: no NaN, no half of a surrogate pair
        document = json.loads(data, object_pairs_hook=unique)
        if type(document) is not dict or document.get("version") != 1:
            return None
        if list(shape_problems(document, StateFile)):
            return None
        orjson.dumps(document)  # numbers that can be written
    except (ValueError, TypeError):
        return None
    file = msgspec.convert(document, StateFile)
    state = State(lineage=file.lineage, serial=file.serial, batches=file.batches)
    return None if list(sound._contradictions(state)) else state


def quickly(data: bytes) -> State | None:
    """Say what the tool takes a file for, None if it refuses it."""
    try:
        return decode(data, where="state.json")
    except StateUnusable:
        return None


@many
@given(states(most=3), st.data())
def test_a_file_means_what_a_slow_reader_says(state: State, data: st.DataObject) -> None:
    """Whatever was done to a file, it is refused or read as the obvious reader does."""
    document = json.loads(encode(state))
    for _ in range(data.draw(st.integers(0, 2))):
        edit(document, data)
    try:
        text = orjson.dumps(document, option=STABLE)
    except TypeError:  # a number that only others write
        text = json.dumps(document, indent=2).encode()
    text = relaid(text, data)
    expected = slowly(text)
    event("sound" if expected else "refused")
    assert quickly(text) == expected


@many
@given(states(most=3), st.data())
def test_what_was_read_is_written_as_if_it_were_new(state: State, data: st.DataObject) -> None:
    """Keeping the text of what was read never lets an odd layout through."""
    document = json.loads(encode(state))
    document["tool_version"] = data.draw(st.sampled_from(["0.0.1", "9.9.9"]))
    if data.draw(st.booleans()):
        edit(document, data)
    odd = data.draw(st.booleans())
    try:
        text = json.dumps(document).encode() if odd else orjson.dumps(document, option=STABLE)
    except TypeError:
        assume(False)  # noqa: FBT003 - hypothesis's own signature
    encoder = Encoder()
    try:
        again = encoder.decode(text, where="state.json")
    except StateUnusable:
        assume(False)  # noqa: FBT003 - hypothesis's own signature
    assert encoder.encode(again) == encode(again)
    for name in sorted(again.batches)[:2]:
        again = again.with_record(name, data.draw(st.sampled_from([None, *again.batches.values()])))
        assert encoder.encode(again) == encode(again)


NEW: dict[str, Any] = {
    "generation": st.integers(1, 3),
    "requests": st.just(()),
    "generations": st.just(()),
    "part": st.integers(1, 3),
    "key": st.sampled_from(["a", "b"]),
    "status": st.sampled_from(Status),
    "batch_id": st.sampled_from([None, "", "a", "b"]),
    "recorded_at": st.none(),
    "duplicates": st.lists(st.sampled_from("ab"), max_size=2).map(tuple),
}


def bent(record: NameRecord, data: st.DataObject) -> NameRecord:
    """Give a record with one thing in it that may be impossible."""
    field = data.draw(st.sampled_from(sorted(NEW)))
    value = data.draw(NEW[field])
    if field == "generations" or not record.generations:
        return structs.replace(record, generations=())
    *others, last = data.draw(st.permutations(record.generations))
    if field in last.__struct_fields__:
        last = structs.replace(last, **{field: value})
    elif last.requests:
        *requests, request = data.draw(st.permutations(last.requests))
        bad = structs.replace(request, **{field: value})
        in_order = sorted((*requests, bad), key=lambda each: each.part)
        last = structs.replace(last, requests=tuple(in_order))
    generations = sorted((*others, last), key=lambda each: each.generation)
    return structs.replace(record, generations=tuple(generations))


@many
@given(states(most=3), st.data())
def test_the_quick_look_finds_what_the_words_are_for(state: State, data: st.DataObject) -> None:
    """A state is believed without words exactly when there are none to say about it."""
    batches = dict(state.batches)
    for _ in range(data.draw(st.integers(0, 3)) if batches else 0):
        name = data.draw(st.sampled_from(sorted(batches)))
        batches[name] = bent(batches[name], data)
    if batches and data.draw(st.sampled_from([False, False, True])):
        batches[""] = batches.pop(min(batches))
    changed = State(lineage="a", serial=1, batches=batches)
    problems = list(sound._contradictions(changed))
    event("contradicts itself" if problems else "sound")
    assert list(sound.contradictions(changed)) == problems
    assert sound.is_sound(batches) == (not problems)


@many
@given(states(most=2), st.data())
def test_the_parser_and_the_words_agree_about_the_shape(state: State, data: st.DataObject) -> None:
    """Whatever the parser refuses, the slow look names a problem, and for nothing else.

    But for digests: what the parser leaves to be refused as unsound, the slow look names too.
    """
    document = json.loads(encode(state))
    edit(document, data)
    text = json.dumps(document)
    try:
        file = msgspec.json.decode(text, type=StateFile)
    except msgspec.ValidationError:
        assert list(shape_problems(document, StateFile))
    else:
        left = list(shape_problems(document, StateFile))
        assert all(each.endswith(".digest: does not have its form") for each in left)
        assert not left or not sound.is_sound(file.batches)


SOUND = {
    "version": 1,
    "tool_version": "0.1.0",
    "lineage": "a",
    "serial": 1,
    "batches": {"welcome": {"generations": []}},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"serial": "1"}, "serial: should be a whole number, 1 or more"),
        ({"serial": True}, "serial: should be a whole number, 1 or more"),
        ({"serial": 0}, "serial: should be a whole number, 1 or more"),
        ({"lineage": 1}, "lineage: should be a text"),
        ({"lineage": ""}, "lineage: should not be empty"),
        ({"batches": []}, "batches: should be an object"),
        ({"batches": {"welcome": []}}, "batches.welcome: should be an object"),
        ({"batches": {"welcome": {}}}, "batches.welcome.generations: is missing"),
        (
            {"batches": {"welcome": {"generations": {}}}},
            "batches.welcome.generations: should be a list",
        ),
        (
            {"batches": {"welcome": {"generations": [], "lifecycle": "+919876543210"}}},
            "batches.welcome.lifecycle: should be one of active, paused, cancelled",
        ),
        ({"note": "mine"}, "note: is no field of a state"),
    ],
)
def test_a_problem_is_named_with_its_place(change: dict[str, Any], told: str) -> None:
    """Each kind of problem says where it is and what should be there."""
    with pytest.raises(StateUnusable) as raised:
        decode(json.dumps(SOUND | change).encode(), where="state.json")
    assert raised.value.message.split("\n  ")[1:] == [told]


def test_the_shape_of_a_request_is_told_too(fixtures: list[Path]) -> None:
    """Problems deep in a file carry the numbers of the generation and of the request."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    document = json.loads(path.read_bytes())
    request = document["batches"]["welcome"]["generations"][0]["requests"][0]
    request |= {
        "digest": "v1:abc\n",
        "cancelling": 1,
        "attempted_at": "2026-05-12T09:00:00",
        "recorded_at": 7,
        "status": [],
        "duplicates": None,
    }
    with pytest.raises(StateUnusable) as raised:
        decode(json.dumps(document).encode(), where="state.json")
    at = "batches.welcome.generations.0.requests.0"
    assert sorted(raised.value.message.split("\n  ")[1:]) == [
        f"{at}.attempted_at: should be a time with its offset, as text",
        f"{at}.cancelling: should be true or false",
        f"{at}.digest: does not have its form",
        f"{at}.duplicates: should be a list",
        f"{at}.recorded_at: should be a time with its offset, as text",
        f"{at}.status: should be one of creating, created, complete",
    ]


def test_no_more_than_ten_problems_are_told() -> None:
    """A file that is wrong everywhere does not fill the screen."""
    document = SOUND | {f"note{n}": n for n in range(20)}
    with pytest.raises(StateUnusable) as raised:
        decode(json.dumps(document).encode(), where="state.json")
    assert raised.value.message.count("\n") == 10


@pytest.mark.parametrize("depth", [200, 900, 1100, 100_000])
def test_any_depth_is_read_or_refused(depth: int) -> None:
    """Brackets in brackets end in no other error than ours."""
    state = State(lineage="a", serial=1)
    whole = encode(state).replace(
        b'"batches": {}', b'"batches": {"a": ' + b"[" * depth + b"]" * depth + b"}"
    )
    with pytest.raises(StateUnusable):
        decode(whole, where="state.json")


@pytest.mark.parametrize("depth", [100, 400, 600, 900, 1100])
def test_deep_fields_are_read_or_refused(depth: int, fixtures: list[Path]) -> None:
    """Fields that are nested as deep as somebody likes are read, or are refused by us."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    nested = b'"contents": ' + b"[" * depth + b"]" * depth
    data = path.read_bytes().replace(b'"contents": 1', nested)
    try:
        state = decode(data, where="state.json")
    except StateUnusable:
        return
    assert decode(encode(state), where="state.json") == state


def test_reading_a_state_needs_no_pydantic(fixtures: list[Path]) -> None:
    """Every command reads the state, and none waits for a library to be imported for that."""
    program = (
        "import sys; from pathlib import Path; from reconciler.state.codec import decode\n"
        "for path in sys.argv[1:]: decode(Path(path).read_bytes(), where=path)\n"
        "print({'pydantic', 'reconciler.state.shape'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, fixtures)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
