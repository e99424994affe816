"""Looking a state file through in two processes, and reading only what is asked for of it."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from reconciler.errors import StateUnusable
from reconciler.spec import parallel
from reconciler.state import codec, layout, pieces
from reconciler.state.codec import Encoder, decode, encode
from reconciler.state.file import FileStore
from reconciler.state.index import index_of, laid
from reconciler.state.sealed import Sealed
from reconciler.state.summary import at_rest, lively
from tests.state.strategies import states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from reconciler.state.document import NameRecord, State
    from reconciler.state.store import Aside
    from tests.state.conftest import CountingIds

    Finish = Callable[[], list[Any]]

pytestmark = pytest.mark.usefixtures("however_short")
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECOND = timedelta(seconds=1)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
FREE: list[Any] = [1e16, 1e22, 1e-7, 0.1, -0.0, 2**63, 2**64, 10**30, -(2**70), "é\u2028\U0001f600"]
"""What encoders write each in their own way, or not at all."""


@pytest.fixture(scope="module")
def however_short() -> Iterator[None]:
    """Have files looked through aside that are short, a piece of few bytes at a time."""
    before = codec._LONG, pieces._PIECE
    codec._LONG, pieces._PIECE = 0, 600
    yield
    codec._LONG, pieces._PIECE = before


def at_once(work: Callable[[Any], Any], items: Sequence[Any]) -> Finish:
    """Find something out in this process."""
    found = [work(item) for item in items]
    return lambda: found


def once_it_is_waited_for(work: Callable[[Any], Any], items: Sequence[Any]) -> Finish:
    """Find nothing out before somebody asks, and then in this process."""
    return lambda: [*map(work, items)]


def never(_work: Callable[[Any], Any], _items: Sequence[Any]) -> None:
    """Be a system on which no process can be begun."""


def no(work: Callable[[Any], Any], items: Sequence[Any]) -> Finish:
    """Be a process that died, or that does not know, when it had done all but one."""
    return lambda: [*map(work, items[1:]), None]


def told(encoder: Encoder, text: bytes, aside: Aside | None, *, whole: bool = True) -> State | str:
    """Give what a file says, or why it is refused."""
    try:
        state = encoder.decode(text, where="state.json", aside=aside, whole=whole)
        encoder.confirm()
    except StateUnusable as error:
        return error.message
    return state


def is_beyond_doubt(text: bytes) -> bool:
    """Whether a file is as some version of ours writes it, and sound."""
    whole = pieces.cut(text)
    found = [*map(pieces.Look(text), whole.pieces)] if whole else []
    return bool(codec._sound(found))


def edited(state: State, data: st.DataObject) -> bytes:
    """Give a state's text after somebody wrote into it, laid out as we lay it out."""
    document = json.loads(encode(state))
    records = list(document["batches"].values())
    what = data.draw(st.sampled_from(["nothing", "field", "deep", "count", "note", "twice", "id"]))
    event(what)
    if records and what != "nothing":
        record = data.draw(st.sampled_from(records))
        generation = record["generations"][-1]
        request = generation["requests"][-1]
        match what:
            case "field":
                generation["fields"]["metadata"] = data.draw(st.sampled_from(FREE))
            case "deep":
                deep: Any = 1
                for _ in range(data.draw(st.integers(240, 258))):
                    deep = [deep]
                generation["fields"]["metadata"] = deep
            case "count":
                request["contacts"] = data.draw(st.sampled_from([2**63 - 1, 2**63, 2**64, 10**30]))
            case "note":
                data.draw(st.sampled_from([record, generation, request, document]))["note"] = 1
            case "twice":
                document["batches"]["~again"] = record
            case _:
                request["batch_id"] = data.draw(st.sampled_from(["", "bat_1", None]))
    try:
        return orjson.dumps(document, option=layout.STABLE | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


@many
@given(states(most=5), st.data())
def test_beyond_doubt_is_what_is_written_by_us_and_sound(state: State, data: st.DataObject) -> None:
    """Yes is said of the files that are believed anyway and that we would write so."""
    text = edited(state, data)
    if data.draw(st.booleans()):
        lines = text.splitlines(keepends=True)
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        lines[one], lines[other] = lines[other], lines[one]
        text = b"".join(lines)
    try:
        read, as_written = codec._decode(text, "state.json")
    except StateUnusable:
        as_written = False
    else:
        as_written = as_written and bool(read.batches)
    event(f"{as_written}")
    assert is_beyond_doubt(text) == as_written


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("aside", [at_once, never, no, parallel.aside])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(state=states(most=5), data=st.data())
def test_what_is_found_aside_is_what_is_found_here(
    *, aside: Aside, whole: bool, state: State, data: st.DataObject
) -> None:
    """The same state, the same refusal, and the same bytes when it is stored again."""
    text = edited(state, data)
    encoder = Encoder()
    expected, found = told(Encoder(), text, None), told(encoder, text, aside, whole=whole)
    assert found == expected
    if isinstance(expected, str) or isinstance(found, str):
        return
    event(type(found.batches).__name__)
    assert encoder.encode(expected) == encode(expected)
    name = data.draw(st.sampled_from([*expected.batches, "~new"]))
    changed = found.with_record(name, next(iter(expected.batches.values()), None))
    assert encoder.encode(changed) == encode(changed)


@many
@given(states(most=6), st.data())
def test_records_that_are_not_read_yet_say_the_same(state: State, data: st.DataObject) -> None:
    """Whatever is asked first, and also where the file was edited by a person."""
    text = edited(state, data)
    if data.draw(st.booleans()):
        text = text.replace(b"\n}", b"\n }")
    expected = told(Encoder(), text, None)
    if isinstance(expected, str):
        assert told(Encoder(), text, once_it_is_waited_for, whole=False) == expected
        return
    encoder = Encoder()
    found = encoder.decode(text, where="x", aside=once_it_is_waited_for, whole=False)
    have, sealed = expected.batches, found.batches
    event(type(sealed).__name__)
    questions: list[Callable[[Mapping[str, NameRecord]], object]] = [
        len,
        list,
        lambda each: dict(each.items()),
        lambda each: [*each.values()],
        at_rest,
        lambda each: [*lively(each)],
        *(partial(_get, name) for name in [*have, "", "~", "zz"]),
        *_looking_up(have, data),
    ]
    for question in data.draw(st.permutations(questions)):
        assert question(sealed) == question(have)
    assert all(sealed.get(name) is record for name, record in sealed.items())


def _looking_up(
    have: Mapping[str, NameRecord], data: st.DataObject
) -> Iterator[Callable[[Mapping[str, NameRecord]], object]]:
    """Give questions of an index; its names are in no order."""
    requests = [r for record in have.values() for g in record.generations for r in g.requests]
    digests = {record.current.of for record in have.values()} | {r.digest for r in requests}
    some = data.draw(st.sets(st.sampled_from([*digests, "v1:" + "0" * 64])))
    moments = [r.recorded_at or r.attempted_at for r in requests]
    moment = data.draw(st.sampled_from([*moments, *(m + SECOND for m in moments), NEVER]))
    yield lambda each: sorted(index_of(each).several)
    yield lambda each: sorted(index_of(each).recorded_as(some))
    yield lambda each: sorted(index_of(each).recorded_otherwise(some))
    yield lambda each: sorted(index_of(each).created_with(some))
    yield lambda each: sorted(index_of(each).touched_since(moment))
    for key in [*(request.key for request in requests[:3]), "crk-none"]:
        yield partial(_has_key, key)


def _has_key(key: str, batches: Mapping[str, NameRecord]) -> bool:
    return index_of(batches).has_key(key)


@many
@given(states(most=6), states(most=3), st.data())
def test_what_is_laid_over_is_looked_up_too(
    below: State, above: State, data: st.DataObject
) -> None:
    """Without reading what it is laid over; but a key stays used."""
    sealed = told(Encoder(), encode(below), once_it_is_waited_for, whole=False)
    assert not isinstance(sealed, str)
    names = data.draw(st.sets(st.sampled_from([*below.batches, "~new"])))
    over = dict(zip(names, above.batches.values(), strict=False))
    both, plain = laid(sealed.batches, over), {**below.batches, **over}
    event(type(both).__name__)
    questions: list[Callable[[Any], object]] = [len, sorted, dict, *_looking_up(plain, data)]
    for question in data.draw(st.permutations(questions)):
        assert question(both) == question(plain)
    requests = [
        r for record in below.batches.values() for g in record.generations for r in g.requests
    ]
    assert all(index_of(both).has_key(request.key) for request in requests)


def _get(name: str, batches: Mapping[str, NameRecord]) -> object:
    return batches.get(name), name in batches


def test_nothing_is_read_that_nobody_asks_for(fixtures: list[Path]) -> None:
    """Of a root at rest a plan looks at no record."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    state = Encoder().decode(path.read_bytes(), where="x", aside=at_once, whole=False)
    assert isinstance(state.batches, Sealed)
    names = [*state.batches]
    at_rest(state.batches)
    assert [*lively(state.batches)] == []
    assert state.batches._read == {}
    assert state.record(names[0]) is state.record(names[0])


def test_who_asks_first_is_told_and_who_asks_again_too(fixtures: list[Path]) -> None:
    """A state that cannot be trusted says nothing but that, however often it is asked."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    data = path.read_bytes().replace(b'"status": "created"', b'"status": "creating"')
    encoder = Encoder()
    state = encoder.decode(data, where="x", aside=at_once, whole=False)
    for ask in (lambda: len(state.batches), encoder.confirm, lambda: at_rest(state.batches)):
        with pytest.raises(StateUnusable, match="contradicts itself"):
            ask()


@pytest.mark.parametrize("how", ["is killed", "raises", "cannot begin", "has no memory"])
@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_process_that_says_nothing_is_not_needed(
    how: str, *, sound: bool, whole: bool, fixtures: list[Path], ids: CountingIds, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What the other process does not say is found out here, of a sound file as of another."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    data = (
        path.read_bytes()
        if sound
        else path.read_bytes().replace(b'"status": "created"', b'"status": "creating"')
    )
    (tmp_path / "state.json").write_bytes(data)
    here = os.getpid()

    def badly(lies: bytes) -> object:
        if os.getpid() == here:
            return look_through(lies)
        if how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError

    def impossible(*_: object) -> int:
        raise OSError

    look_through = pieces.look_through
    monkeypatch.setattr(pieces, "look_through", badly)
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    if how == "cannot begin":
        monkeypatch.setattr(os, "fork", impossible)
    if how == "has no memory":
        monkeypatch.setattr(os, "memfd_create", impossible)
    store = FileStore(tmp_path / "state.json", ids=ids)

    def load() -> State:
        state = store.load(parallel.aside, whole=whole)
        store.confirm()
        return state

    if sound:
        assert load() == decode(data, where="state.json")
    else:
        with pytest.raises(StateUnusable, match="contradicts itself"):
            load()


def test_nothing_is_stored_before_it_is_known_to_be_sound(
    fixtures: list[Path], ids: CountingIds, tmp_path: Path
) -> None:
    """Whoever forgets to ask is asked for when the state is stored."""
    (path,) = (path for path in fixtures if path.stem == "one_created")
    data = path.read_bytes().replace(b'"status": "created"', b'"status": "creating"')
    (tmp_path / "state.json").write_bytes(data)
    store = FileStore(tmp_path / "state.json", ids=ids)
    state = store.load(no)
    with pytest.raises(StateUnusable, match="contradicts itself"):
        store.save(state, touched=frozenset(), why="")
    assert (tmp_path / "state.json").read_bytes() == data
