"""Contact lists that specs point at: fetched, compared with their pins, opened, read and checked.

Promises: what is pinned is what is read. A list whose bytes are not the pinned ones gives no
contact, and nothing of it is shown but how long it is; a list that lies elsewhere must be pinned.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from reconciler.model import Severity
from reconciler.spec.blobs import blob_hash
from reconciler.spec.contacts import all_sound, contact_problems
from reconciler.spec.lists.list_rules import SEALED
from reconciler.spec.lists.places import (
    CSV_HINT,
    FIELD,
    UNPACK_HINT,
    NoPlace,
    Place,
    place_of,
    shown,
)
from reconciler.spec.lists.stored import SPLIT, Stored, from_disk, from_elsewhere, no_room
from reconciler.spec.problems import Collector, Path, Problem, quoted_path
from reconciler.spec.source import MAX_LIST, Unreadable, opened_file
from reconciler.spec.yaml.builder import Odd
from reconciler.spec.yaml.documents import as_diagnostic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path as FilePath

    from reconciler.model import Contact, Diagnostic
    from reconciler.spec.lists.columns import Examined
    from reconciler.spec.lists.csv_stream import Readable
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.lists.spool import File, Spooled

_CELL_HINT = "fill in the cell: the agent greets people with this name"
_USUAL_ROOT = "batches"
_DIGITS = 12
"""How much of a SHA-256 is shown: enough for people to tell two apart."""

LONG = 1024 * 1024
"""From so many bytes on a list is spooled. Up to about there, holding it is faster."""

_DENSER = {".parquet": 16}
"""How many times fewer bytes of a format make a long list, where it says much with little."""


class Format(Protocol):
    """What reads lists of one format."""

    def read_list(self, data: bytes, file: ListFile) -> list[Contact]:
        """Give the contacts of a list that is sound; raise `Odd` for any other."""

    def examine_list(self, data: bytes, file: ListFile, wanted: set[Path]) -> Examined:
        """Say what is wrong with a list, and where the wanted paths stand."""

    def find_contact(self, data: bytes, file: ListFile, number: str, index: int) -> Examined:
        """Say where the contact with a number stands; `index` is what paths call it."""


_NO_TEXT = (
    (b"PK\x03\x04", b"", "is a workbook", CSV_HINT),
    (b"\x1f\x8b", b"", "is compressed (gzip)", UNPACK_HINT),
    (b"PAR1", b"PAR1", "is a Parquet file", "name it `….parquet`"),
)
"""How files of other kinds begin and end, what they are, and what to do."""

_INEXPLICABLE = "it cannot be read, although nothing is wrong with any line of it"
_REPORT = "this is a mistake in the reconciler: please report it, with the list's lines masked"


class ListRead(Struct, frozen=True):
    """A contact list: its contacts; or problems of the spec that names it, or of its own lines.

    `blob` is what git calls the very bytes that were read, of a list below the root.
    """

    contacts: Sequence[Contact]
    problems: tuple[Problem, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    blob: str | None = None


class Taken(Struct, frozen=True):
    """A list as it was when it was read, whatever its pins say.

    `sha256` is of the file as it lies there; empty when nobody asked. `unreadable` is why nothing
    of it could be read, and then `read` is empty.
    """

    read: ListRead
    sha256: str
    unreadable: Problem | None = None

    def require_readable(self) -> None:
        """Raise `Unreadable` if nothing could be read."""
        if self.unreadable is not None:
            raise Unreadable(self.unreadable)


class Shelves:
    """Where the contacts of very long lists lie: one file for all, so that few are ever open."""

    def __init__(self) -> None:
        self._files: dict[bool, File] = {}

    def spooled(
        self, stream: Readable, file: ListFile, *, memory: bool, form: str = ".csv"
    ) -> Spooled | None:
        """Read a list of a format, and keep it. None when all is not as it should be.

        With `memory`, nothing of it is written to disk. Raises `Unreadable`.
        """
        from reconciler.spec.lists.spool import File  # noqa: PLC0415 - a short list needs none

        read_stream = _stream_of(form)
        try:
            if memory not in self._files:
                self._files[memory] = File(memory=memory)
            return read_stream(stream, file, memory=memory, shelf=self._files[memory])
        except Odd:
            return None
        except OSError as error:
            raise no_room(error, memory=memory) from error


class Lists(Struct, frozen=True):
    """The lists of one root, which messages call `shown` (as the user typed it).

    With `secrets` off, lists that lie elsewhere or are encrypted are not opened.
    """

    root: FilePath
    shown: str
    secrets: bool = True
    shelves: Shelves = field(default_factory=Shelves)

    def read(self, spec_path: str, file: ListFile) -> ListRead:
        """Read the list a spec points at, and check everything about it. Never raises."""
        try:
            place = place_of(self.root, spec_path, file.file)
            self._require_pins(place, file, spec_path)
            if not self.secrets and (place.remote or place.sealed):
                return _left_unread(place, file)
            taken = self.taken(place, file, hashed=file.sha256 is not None)
            self._require_pinned(taken, file, spec_path)
            taken.require_readable()
            if not taken.read.diagnostics:
                self._require_count(len(taken.read.contacts), file, spec_path)
        except NoPlace as error:
            return ListRead([], (error.problem,))
        except Unreadable as error:
            return ListRead([], (_of_the_field(file, error.problem),))
        return taken.read

    def is_short(self, contacts: dict[str, Any]) -> bool:
        """Tell whether a list, as a spec names it, lies below the root and is read in no time.

        What is wrong with a name is said as quickly.
        """
        name = str(contacts.get("file", ""))
        form = os.path.splitext(name)[1].lower()  # noqa: PTH122 - hot
        if "://" in name or form == SEALED or form in _DENSER:
            return False
        try:
            return os.stat(self.root / name).st_size < LONG  # noqa: PTH116 - as above
        except (OSError, ValueError):
            return True

    def taken(self, place: Place, file: ListFile, *, hashed: bool = True) -> Taken:
        """Read and check a list whatever its pins say.

        Without `hashed` its SHA-256 need not be known. Raises `Unreadable` where there is none.
        """
        long = LONG // _DENSER.get(place.format, 1)
        tried = False
        if place.remote:
            stored = from_elsewhere(place, long)
        else:
            if not place.sealed:
                streamed, tried = self._streamed(place, file, long, hashed=hashed)
                if streamed is not None:
                    return streamed
            stored = from_disk(self.root / place.path, place, long)
        try:
            read = self._checked(stored, file, long=stored.size >= long, tried=tried)
        except Unreadable as error:
            return Taken(ListRead([]), stored.sha256, error.problem)
        return Taken(read, stored.sha256)

    def position(self, file: ListFile, path: Path, number: str | None) -> tuple[int, int]:
        """Find where a path stands in a list below the root: line and column.

        With `number`, the contact is the one that has it: the path does not count as the list does.
        Raises `Unreadable`, `NoPlace`.
        """
        place = place_of(self.root, "", file.file)
        if place.remote:
            raise NoPlace(f"{quoted_path(shown(file.file))} is not fetched again")
        data = from_disk(self.root / place.path, place, LONG).content()
        form = _form_of(place.format)
        if number is not None:
            return form.find_contact(data, file, number, int(path[1])).place(path)
        return form.examine_list(data, file, {path}).place(path)

    def _streamed(
        self, place: Place, file: ListFile, long: int, *, hashed: bool
    ) -> tuple[Taken | None, bool]:
        """Read a long list below the root from its file, if it is sound; tell whether that is sure.

        It is not sure when the file was changed meanwhile. Raises `Unreadable`.
        """
        with opened_file(self.root / place.path, limit=MAX_LIST, hint=SPLIT) as stored:
            if stored.size < long:
                return None, False
            blob, sha256 = blob_hash(stored.size), hashlib.sha256()
            stored.hashes = [blob, sha256] if hashed else [blob]
            contacts = self.shelves.spooled(stored, file, memory=False, form=place.format)
            if contacts is None or stored.taken != stored.size:
                return None, stored.taken <= stored.size
        read = ListRead(contacts, blob=blob.hexdigest())
        return Taken(read, sha256.hexdigest() if hashed else ""), True

    def _checked(self, stored: Stored, file: ListFile, *, long: bool, tried: bool) -> ListRead:
        """Read and check what a list says. Raises `Unreadable` where an extra is missing.

        `tried` tells that it cannot be spooled as it is.
        """
        place = stored.place
        if long and not tried and not stored.sealed:
            # What lies elsewhere or is encrypted is written nowhere.
            memory = place.remote or place.sealed
            stream = stored.stream()
            spooled = self.shelves.spooled(stream, file, memory=memory, form=place.format)
            if spooled is not None:
                return ListRead(spooled, blob=stored.blob)
        data = stored.content()
        form = _form_of(place.format)
        if place.format == ".csv":
            _require_text(data, place)
        named = place.path if place.remote else os.path.join(self.shown, place.path)  # noqa: PTH118 - keeps the root as typed
        if long:
            # Nearly always something is wrong with it, and its contacts need not be held to say so.
            wrong = tuple(_explain(form, data, file, named))
            if wrong:
                return ListRead([], (), wrong)
        try:
            contacts = form.read_list(data, file)
        except Odd:
            contacts = []
        if all_sound(contacts):
            return ListRead(contacts, blob=stored.blob)
        wrong = tuple(_explain(form, data, file, named))
        if not wrong:
            # Whatever that is, it must never be taken for a list of nobody.
            raise Unreadable(Problem(FIELD, _INEXPLICABLE, _REPORT))
        return ListRead([], (), wrong)

    def _require_pins(self, place: Place, file: ListFile, spec_path: str) -> None:
        """Refuse a list that lies elsewhere and is not pinned. Raises `NoPlace`."""
        lacking = [f"`{name}`" for name in ("sha256", "count") if getattr(file, name) is None]
        if place.remote and lacking:
            raise NoPlace(
                f"a list that lies elsewhere must be pinned: {' and '.join(lacking)}"
                f" {'is' if len(lacking) == 1 else 'are'} missing",
                f"review the list, and type `{self._pin(spec_path)}`",
            )

    def _require_pinned(self, taken: Taken, file: ListFile, spec_path: str) -> None:
        """Refuse a list whose bytes are not the pinned ones. Raises `Unreadable`."""
        if file.sha256 in {None, taken.sha256}:
            return
        figures = f"its sha256 is `{taken.sha256[:_DIGITS]}…`, not `{file.sha256[:_DIGITS]}…`"
        if file.count is not None:
            figures += f"; {_length(taken, file.count)}"
        told = quoted_path(shown(file.file))
        message = f"{told} is not the list that was pinned: {figures}"
        hint = f"review the list as it is now, and type `{self._pin(spec_path)}`"
        raise Unreadable(Problem(("contacts", "sha256"), message, hint))

    def _require_count(self, count: int, file: ListFile, spec_path: str) -> None:
        """Refuse a list that is longer or shorter than its pin says. Raises `Unreadable`."""
        if file.count is None or file.count == count:
            return
        told = quoted_path(shown(file.file))
        message = f"{told} has {_people(count)}, not {file.count:,} as it was pinned"
        hint = f"review the list, and type `{self._pin(spec_path)}`"
        raise Unreadable(Problem(("contacts", "count"), message, hint))

    def _pin(self, spec_path: str) -> str:
        """Give what to type to pin a spec's list."""
        spec = os.path.join(self.shown, spec_path)  # noqa: PTH118 - as typed
        root = [] if self.shown == _USUAL_ROOT else ["--batches", self.shown]
        return shlex.join(["reconciler", *root, "pin", spec])


def _form_of(form: str) -> Format:
    """Give what reads lists of a format whole; a list needs no format but its own."""
    match form:
        case ".csv":
            from reconciler.spec.lists import csv_list  # noqa: PLC0415 - as above

            return csv_list
        case ".jsonl":
            from reconciler.spec.lists import jsonl_list  # noqa: PLC0415 - as above

            return jsonl_list
        case _:
            from reconciler.spec.lists import parquet_list  # noqa: PLC0415 - as above

            return parquet_list


def _stream_of(form: str) -> Callable[..., Spooled]:
    """Give what reads lists of a format some contacts at a time; a short list needs none of it."""
    match form:
        case ".csv":
            from reconciler.spec.lists import csv_stream  # noqa: PLC0415 - as above

            return csv_stream.read_stream
        case ".jsonl":
            from reconciler.spec.lists import jsonl_stream  # noqa: PLC0415 - as above

            return jsonl_stream.read_stream
        case _:
            from reconciler.spec.lists import parquet_stream  # noqa: PLC0415 - as above

            return parquet_stream.read_stream


def _require_text(data: bytes, place: Place) -> None:
    """Refuse a CSV list that is a file of another kind. Raises `Unreadable`."""
    for begin, end, what, hint in _NO_TEXT:
        if data.startswith(begin) and data.endswith(end):
            message = f"{quoted_path(shown(place.path))} {what}, in spite of its name"
            raise Unreadable(Problem(FIELD, message, hint))


def _left_unread(place: Place, file: ListFile) -> ListRead:
    """Say that a list was left unread, and what its pins say of it."""
    why = "lies elsewhere" if place.remote else "is encrypted"
    pinned = f"; by its pin it has {_people(file.count)}" if file.count is not None else ""
    message = f"{quoted_path(shown(file.file))} {why}, and was not read{pinned}"
    problem = Problem(FIELD, message, severity=Severity.WARNING)
    return ListRead([], (problem,))


def _of_the_field(file: ListFile, problem: Problem) -> Problem:
    """Put what is wrong with a file as a whole at the field that names it."""
    if problem.path:
        return problem
    told = quoted_path(shown(file.file))
    message = problem.message if problem.message.startswith(told) else f"{told}: {problem.message}"
    return Problem(FIELD, message, problem.hint)


def _length(taken: Taken, pinned: int) -> str:
    """Say how many contacts a list has that is not to be trusted, and nothing else of it."""
    if taken.unreadable is not None:
        return f"it cannot be read, and had {_people(pinned)}"
    if taken.read.diagnostics:
        return f"it has mistakes in it, and had {_people(pinned)}"
    count = len(taken.read.contacts)
    if count == pinned:
        return f"it has {_people(count)}, as many as were pinned"
    return f"it has {_people(count)}, not {pinned:,}"


def _people(count: int) -> str:
    return f"{count:,} contact{'' if count == 1 else 's'}"


def _explain(form: Format, data: bytes, file: ListFile, named: str) -> list[Diagnostic]:
    """Say everything that is wrong with a list, each thing at its line."""
    examined = form.examine_list(data, file, set())
    collector = Collector(examined.problems)
    if examined.contacts or not examined.problems:
        collector.extend(contact_problems(examined.contacts, _CELL_HINT))
    problems = list(collector)
    wanted = {problem.path for problem in problems if problem.place is None}
    wanted |= {problem.first for problem in problems if problem.first is not None}
    placed = form.examine_list(data, file, wanted) if wanted else examined
    return [
        as_diagnostic(
            problem,
            named,
            problem.place or placed.place(problem.path),
            placed.place(problem.first)[0] if problem.first else 0,
            unit="row" if form is _form_of(".parquet") else "line",
        )
        for problem in problems
    ]
