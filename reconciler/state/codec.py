"""State as bytes, see `reconciler.state.layout`.

Reading is strict, because a state that is believed wrongly calls people twice: a newer format,
conflict markers, truncation, unknown fields and records that contradict each other are all
refused, with the reason. Writing then reading gives back the same value, byte for byte.

What is read is written again at once: a file that holds the very bytes we would write hides
nothing that reading it would lose. Only any other file is looked at slowly, step by step. A long
file can be looked through aside, while the caller goes on with what it seems to say.
"""

from __future__ import annotations

import gc
import inspect
import re
from bisect import bisect_left
from collections import Counter, deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from reconciler import __version__
from reconciler.errors import StateUnusable
from reconciler.state.document import State
from reconciler.state.layout import (
    AFTER,
    BEFORE,
    BETWEEN,
    FORMAT_VERSION,
    StateFile,
    around,
    parse,
    texts,
)
from reconciler.state.overlay import changed
from reconciler.state.pieces import Look, cut, follow_each_other
from reconciler.state.sealed import Sealed
from reconciler.state.sound import contradictions
from reconciler.system import without_gc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.state.document import NameRecord, Recorded
    from reconciler.state.pieces import Cut, Found
    from reconciler.state.store import Aside

    Finish = Callable[[], Sequence[Found | None]]

_SHOWN = 10
"""Problems that one message names."""
_CONFLICT = rb"(?m:^(<{7}|={7}|>{7}|\|{7})(\s|$))"
_LONG = 2_000_000
"""Bytes from which on it pays to have another process look a file through. It costs 20 ms."""
_FEW = 500
"""Changes that are put in their places one by one."""
_RESTORE = (
    "restore the last good version (git log -p -- FILE shows them all); the file was left as it was"
)


class Encoder:
    """Gives states as bytes, remembering what it read and what it encoded last.

    A run stores the same state many times with one record changed; records are immutable, so the
    text of all others is kept.
    """

    def __init__(self) -> None:
        self._batches: Mapping[str, NameRecord] = {}
        self._names: list[str] = []
        self._texts: list[bytes] = []
        self._read: bytes | None = None
        self._doubt: Callable[[], None] | None = None

    def encode(self, state: State) -> bytes:
        """Give the file's bytes. Ends in a newline; absent values are left out."""
        self.confirm()
        if self._read is not None:
            self._take_apart(self._read)
        self._follow(state.batches)
        before, after = around(
            state.lineage, state.serial, __version__, any_batches=bool(state.batches)
        )
        texts = self._texts or [b""]
        whole = [before + texts[0], *texts[1:]]
        whole[-1] += after
        return BETWEEN.join(whole)

    def decode(
        self, data: bytes, *, where: str, aside: Aside | None = None, whole: bool = True
    ) -> State:
        """Read a file's bytes like `decode`, and keep the text of each batch.

        With `aside`, a long file is looked through there too; `confirm` says what was found. If it
        is not needed as a `whole`, its records are then read when they are asked for.
        """
        pieces = cut(data) if aside and len(data) >= _LONG else None
        look = Look(data)
        finish = aside(look, pieces.pieces) if aside and pieces else None
        if pieces and finish and not whole:
            opened = partial(self._opened, data, where, pieces, finish)
            sealed = Sealed(look, pieces.pieces, opened)
            self._doubt = partial(self._unseal, sealed)
            return State(lineage=pieces.lineage, serial=pieces.serial, batches=sealed)
        document = _as_read(data) if finish else None
        if finish and document:
            state = _state(document)
            self._doubt = partial(self._settle, data, where, state, finish)
            return state
        if finish:
            finish()
        state, as_written = _decode(data, where)
        if as_written and state.batches:
            self._read, self._batches = data, state.batches
        return state

    def confirm(self) -> None:
        """Say nothing if what was read is sound. Raises `StateUnusable` as `decode` does."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            doubt()

    def _settle(self, data: bytes, where: str, state: State, finish: Finish) -> None:
        """Wait for what is found. Whatever it is but sound, it is read here, as if never asked."""
        if _sound(finish()):
            self._read, self._batches = data, state.batches
        else:
            self.decode(data, where=where)

    def _opened(
        self, data: bytes, where: str, pieces: Cut, finish: Finish
    ) -> Sequence[Found] | dict[str, NameRecord]:
        """Give what was found in the pieces of a sound file, or else all records, read slowly."""
        if found := _sound(finish()):
            self._read = data
            return found
        state = self.decode(data, where=where)
        if (state.lineage, state.serial) != (pieces.lineage, pieces.serial):
            raise StateUnusable(
                f"{where}: the state names its lineage or serial twice", hint=_restore(where)
            )
        return dict(state.batches)

    def _unseal(self, sealed: Sealed) -> None:
        """Open what was given unread, and follow its records from then on."""
        sealed.open()
        if self._read is not None:
            self._batches = sealed

    def _take_apart(self, data: bytes) -> None:
        """Cut what was read into the texts of its batches. Only now: who only reads needs none."""
        self._names = sorted(self._batches)
        self._texts = data.split(BETWEEN)
        self._texts[0] = self._texts[0][len(BEFORE) :]
        self._texts[-1] = self._texts[-1][: self._texts[-1].rindex(AFTER)]
        self._read = None

    def _follow(self, batches: Mapping[str, NameRecord]) -> None:
        """Make the texts those of these batches."""
        names = changed(self._batches, batches)
        fresh = {name: batches[name] for name in names if name in batches}
        fresh_texts: dict[str, bytes] = {}
        for some, text in texts(fresh):
            fresh_texts.update(zip(some, text.split(BETWEEN), strict=True))
        self._batches = batches
        if len(names) > _FEW:
            every = dict(zip(self._names, self._texts, strict=True)) | fresh_texts
            self._names = sorted(batches)
            self._texts = [every[name] for name in self._names]
            return
        for name in names:
            place = bisect_left(self._names, name)
            if self._names[place : place + 1] == [name]:
                del self._names[place], self._texts[place]
            if name in fresh_texts:
                self._names.insert(place, name)
                self._texts.insert(place, fresh_texts[name])


def encode(state: State) -> bytes:
    """Give the file's bytes, once. See `Encoder`."""
    before, after = around(
        state.lineage, state.serial, __version__, any_batches=bool(state.batches)
    )
    return before + BETWEEN.join([text for _, text in texts(state.batches)]) + after


def decode(data: bytes, *, where: str) -> State:
    """Read a file's bytes; `where` is how messages call the file.

    Raises `StateUnusable` for anything that is not a sound state of a format we know.
    """
    return _decode(data, where)[0]


def _decode(data: bytes, where: str) -> tuple[State, bool]:
    """Give the state, and whether the file is as a version of ours writes it."""
    with without_gc():
        document = _as_written(data)
        as_written = document is not None
        if document is None:
            document = _carefully(data, where)
        state = _state(document)
        problems = list(islice(contradictions(state), _SHOWN))
    if problems:
        shown = "\n  ".join(problems)
        raise StateUnusable(
            f"{where}: the state contradicts itself; was it edited by hand?\n  {shown}",
            hint=_restore(where),
        )
    return state, as_written


def _state(document: StateFile) -> State:
    return State(lineage=document.lineage, serial=document.serial, batches=document.batches)


def _sound(found: Sequence[Found | None]) -> list[Found]:
    """Give what was found in all pieces if they are a sound whole; nothing otherwise."""
    every = [each for each in found if each is not None]
    return every if len(every) == len(found) and follow_each_other(every) else []


def _as_read(data: bytes) -> StateFile | None:
    """Give what a file says if it has the shape of a state; nothing more is known of it then."""
    try:
        with without_gc():
            document = parse(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    gc.freeze()  # so many records, and none in a cycle: nobody need search them for garbage
    return document


def _as_written(data: bytes) -> StateFile | None:
    """Give what a file says that some version of ours wrote; None for any other file.

    The bytes that it would be written as are the very bytes it has. So nothing was said twice,
    nothing lost and nothing bent by reading it, and no conflict marker is in it.
    """
    try:
        document = parse(data)
        same = document.version == FORMAT_VERSION and _is_text_of(document, data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        return None
    return document if same else None


def _is_text_of(document: StateFile, data: bytes) -> bool:
    """Whether a file would be written like this, but for the tool's version."""
    batches = document.batches
    before, after = around(
        document.lineage, document.serial, document.tool_version, any_batches=bool(batches)
    )
    place = 0
    for _, text in texts(batches):
        before = BETWEEN if place else before
        if not data.startswith(before, place) or not data.startswith(text, place + len(before)):
            return False
        place += len(before) + len(text)
    return data[place:] == (after if batches else before)


def _carefully(data: bytes, where: str) -> StateFile:
    """Give what an edited file says. Raises `StateUnusable` with the reason if nobody can tell."""
    marker = re.search(_CONFLICT, data)
    if marker:
        line = data.count(b"\n", 0, marker.start()) + 1
        raise StateUnusable(
            f"{where}:{line}: a merge conflict was left in the state",
            hint="keep the batches of both sides, each is a block of its own; dropping one would "
            "lose its id; then: reconciler state list",
        )
    raw = _parse(data, where)
    _require_known_version(raw, where)
    try:
        document = _validate(data, raw, where)
        deque(texts(document.batches), maxlen=0)  # raises where one cannot be written
        _refuse_duplicate_names(data, where)
    except RecursionError:
        what = "something is nested too deeply"
    except TypeError as error:
        what = str(error)
    else:
        return document
    raise StateUnusable(f"{where}: no state of ours holds this: {what}", hint=_restore(where))


def _restore(where: str) -> str:
    """Say how to bring a state back; `where` may also be `remote/branch:path`."""
    return _RESTORE.replace("FILE", where.rpartition(":")[2])


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place, what = where, "is empty"
        if data.strip():
            place, what = f"{where}:{error.lineno}:{error.colno}", f"is not whole JSON: {error.msg}"
        raise StateUnusable(f"{place}: the state {what}", hint=_restore(where)) from error
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
            hint="install the version that wrote it, or a newer one",
        )


def _validate(data: bytes, raw: dict[str, Any], where: str) -> StateFile:
    try:
        return parse(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        from reconciler.state.shape import shape_problems  # noqa: PLC0415 - for what is refused

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
    import json  # noqa: PLC0415 - for what was edited

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        if twice:
            raise StateUnusable(
                f"{where}: the state says {twice[0]!r} twice; was it merged by hand?",
                hint=_restore(where),
            )
        return dict(pairs)

    json.loads(data, object_pairs_hook=unique)


def schema() -> dict[str, Any]:
    """Give the file's JSON Schema."""
    _, components = msgspec.json.schema_components([StateFile], ref_template="#/$defs/{name}")
    for each in components.values():
        if "description" in each:
            each["description"] = inspect.cleandoc(each["description"])
    root = components.pop(StateFile.__name__)
    return {"$defs": components, **root}


def plain(record: Recorded) -> dict[str, Any]:
    """Turn a record into JSON values, leaving out what is absent or empty."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    return values
