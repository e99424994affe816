"""State as bytes: JSON, sorted and stable, one batch's lines apart from the next.

Reading is strict, because a state that is believed wrongly calls people twice: a newer format,
conflict markers, truncation, unknown fields and records that contradict each other are all
refused, with the reason. Writing then reading gives back the same value, byte for byte.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from reconciler import __version__
from reconciler.errors import StateUnusable
from reconciler.state.document import NameRecord, Recorded, RequestRecord, State, Status
from reconciler.state.shape import shape_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
_SHOWN = 10
"""Problems that one message names."""
_DIGEST = re.compile(r"v[0-9]+:[0-9a-f]{64}")
_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})(\s|$)", re.MULTILINE)
_STABLE = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z
_RESTORE = (
    "restore the last good version (git log -p -- FILE shows them all); the file was left as it was"
)


class StateFile(Recorded, frozen=True, kw_only=True):
    """The layout of `state.json`, version 1."""

    version: int
    tool_version: str
    lineage: str
    serial: int
    batches: dict[str, NameRecord]


def _restore(where: str) -> str:
    """Say how to bring a state back; `where` may also be `remote/branch:path`."""
    return _RESTORE.replace("FILE", where.rpartition(":")[2])


class Encoder:
    """Gives states as bytes, remembering what it encoded.

    A run stores the same state many times with one record changed; records are immutable, so the
    text of all others is kept.
    """

    def __init__(self) -> None:
        self._texts: dict[str, tuple[NameRecord, bytes]] = {}

    def encode(self, state: State) -> bytes:
        """Give the file's bytes. Ends in a newline; absent values are left out."""
        head = {
            "batches": {},
            "lineage": state.lineage,
            "serial": state.serial,
            "tool_version": __version__,
            "version": FORMAT_VERSION,
        }
        around = orjson.dumps(head, option=_STABLE | orjson.OPT_APPEND_NEWLINE)
        if not state.batches:
            return around
        texts = b",\n".join(self._text(name, state.batches[name]) for name in sorted(state.batches))
        return around.replace(b'"batches": {}', b'"batches": {\n' + texts + b"\n  }", 1)

    def _text(self, name: str, record: NameRecord) -> bytes:
        known = self._texts.get(name)
        if known and known[0] is record:
            return known[1]
        nested = orjson.dumps({"batches": {name: plain(record)}}, option=_STABLE)
        text = nested[len(b'{\n  "batches": {\n') : -len(b"\n  }\n}")]
        self._texts[name] = (record, text)
        return text


def encode(state: State) -> bytes:
    """Give the file's bytes, once. See `Encoder`."""
    return Encoder().encode(state)


def decode(data: bytes, *, where: str) -> State:
    """Read a file's bytes; `where` is how messages call the file.

    Raises `StateUnusable` for anything that is not a sound state of a format we know.
    """
    marker = _CONFLICT.search(data)
    if marker:
        line = data.count(b"\n", 0, marker.start()) + 1
        raise StateUnusable(
            f"{where}:{line}: a merge conflict was left in the state",
            hint="keep the batches of both sides, each is a block of its own; dropping one would "
            "lose its id; then: reconciler state list",
        )
    raw = _parse(data, where)
    _require_known_version(raw, where)
    document = _validate(data, raw, where)
    state = State(lineage=document.lineage, serial=document.serial, batches=document.batches)
    try:
        as_we_write = encode(state)
    except TypeError as error:
        raise StateUnusable(
            f"{where}: no state of ours holds this: {error}", hint=_restore(where)
        ) from error
    if as_we_write != data:  # slow, and only then
        _refuse_duplicate_names(data, where)
    problems = list(_contradictions(state))
    if problems:
        shown = "\n  ".join(problems[:_SHOWN])
        raise StateUnusable(
            f"{where}: the state contradicts itself; was it edited by hand?\n  {shown}",
            hint=_restore(where),
        )
    return state


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        what = "is empty" if not data.strip() else f"is not whole JSON ({error})"
        raise StateUnusable(f"{where}: the state {what}", hint=_restore(where)) from error
    if not isinstance(raw, dict):
        raise StateUnusable(f"{where}: the state is not a JSON object", hint=_restore(where))
    return raw


def _require_known_version(raw: dict[str, Any], where: str) -> None:
    version = raw.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StateUnusable(f"{where}: the state names no format version", hint=_restore(where))
    if version > FORMAT_VERSION:
        raise StateUnusable(
            f"{where}: the state has format {version}, written by version "
            f"{raw.get('tool_version', '?')}; this is {__version__} and knows "
            f"format {FORMAT_VERSION}",
            hint="upgrade: pip install --upgrade call-batch-reconciler",
        )


def schema() -> dict[str, Any]:
    """Give the file's JSON Schema."""
    _, components = msgspec.json.schema_components([StateFile], ref_template="#/$defs/{name}")
    for each in components.values():
        if "description" in each:
            each["description"] = inspect.cleandoc(each["description"])
    root = components.pop(StateFile.__name__)
    return {"$defs": components, **root}


def _validate(data: bytes, raw: dict[str, Any], where: str) -> StateFile:
    try:
        return msgspec.json.decode(data, type=StateFile)
    except (msgspec.DecodeError, RecursionError):
        problems = list(islice(shape_problems(raw, StateFile), _SHOWN))
        raise StateUnusable(
            f"{where}: the state does not have its own shape; was it edited by hand?\n  "
            + "\n  ".join(problems or ["something in it cannot be read"]),
            hint=_restore(where),
        ) from None


def _refuse_duplicate_names(data: bytes, where: str) -> None:
    """Refuse JSON that says a name twice, as a merge by hand can leave it.

    Every JSON reader keeps one of the two in silence, and the other's batch would be lost.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        if twice:
            raise StateUnusable(
                f"{where}: the state says {twice[0]!r} twice; was it merged by hand?",
                hint=_restore(where),
            )
        return dict(pairs)

    json.loads(data, object_pairs_hook=unique)


def _contradictions(state: State) -> Iterator[str]:
    """Name what cannot be true of any state we wrote."""
    if state.serial < 1 or not state.lineage:
        yield "serial and lineage are missing or impossible"
    for name, record in state.batches.items():
        yield from _name_contradictions(name, record)
    keys = Counter(request.key for _, _, request in state.requests())
    yield from (f"the key {key} stands {n} times" for key, n in keys.items() if n > 1)
    ids = Counter(
        batch_id
        for _, _, request in state.requests()
        for batch_id in (request.batch_id, *request.duplicates)
        if batch_id is not None
    )
    yield from (f"the batch {batch} stands {n} times" for batch, n in ids.items() if n > 1)


def _name_contradictions(name: str, record: NameRecord) -> Iterator[str]:
    numbers = [generation.generation for generation in record.generations]
    if not name or not numbers:
        yield f"{name!r} has no generation"
        return
    if numbers[0] < 1 or numbers != sorted(set(numbers)):
        yield f"{name}: generations are {numbers}"
    if any(generation.in_doubt for generation in record.generations[:-1]):
        yield f"{name}: an earlier generation is still being created"
    if record.replacing is not None and record.replacing.begun_at.tzinfo is None:
        yield f"{name}: a time has no offset"
    for generation in record.generations:
        at = f"{name}, generation {generation.generation}"
        parts = [request.part for request in generation.requests]
        if not parts or parts[0] < 1 or parts != sorted(set(parts)):
            yield f"{at}: parts are {parts}"
        for request in generation.requests:
            yield from (f"{at}: {problem}" for problem in _request_contradictions(request))


def _request_contradictions(request: RequestRecord) -> Iterator[str]:
    if not request.key:
        yield "the key is empty"
    if not _DIGEST.fullmatch(request.digest):
        yield "the digest is malformed"
    if request.contacts < 0 or request.attempt < 0:
        yield "a count is negative"
    if request.status is Status.CREATED and not (request.batch_id and request.recorded_at):
        yield "created, but without a batch id and the time it was recorded"
    if request.status is not Status.CREATED and request.batch_id is not None:
        yield f"{'still being created' if request.in_doubt else 'complete'}, but with a batch id"
    times = (
        request.first_attempted_at,
        request.attempted_at,
        request.expires_at,
        request.gives_up_at,
        request.recorded_at,
        request.watch_until,
        request.released_at,
        request.cancelled_at,
        *(each.at for each in request.audit),
    )
    if any(time is not None and time.tzinfo is None for time in times):
        yield "a time has no offset"


def plain(record: Recorded) -> dict[str, Any]:
    """Turn a record into JSON values, leaving out what is absent or empty."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    return values
