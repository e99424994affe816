"""Contact lists as they lie there: taken once, hashed as they come, held as bytes only if short.

A long list that lies elsewhere or is encrypted is kept in a file that is memory alone, so that it
is read from there as one on disk is read from its file; nothing of it is written to disk.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.spec.blobs import blob_hash, git_blob
from reconciler.spec.problems import Problem
from reconciler.spec.source import MAX_LIST, Unreadable, opened_file, stored_bytes, without_bom
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.spec.lists.csv_stream import Readable
    from reconciler.spec.lists.places import Place
    from reconciler.spec.lists.spool import File

SPLIT = "split the list and its spec in two"


class Stored(Struct, frozen=True):
    """A list as it lies there, or what was encrypted there.

    `sha256` is that of the file as it lies there, in hexadecimal digits, and `blob` what git calls
    it if it lies below the root. `sealed` tells that `kept` is still encrypted.
    """

    place: Place
    kept: bytes | File
    sealed: bool
    sha256: str
    blob: str | None = None

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return len(self.kept) if isinstance(self.kept, bytes) else self.kept.size

    def stream(self) -> Readable:
        """Give what is kept, from its beginning on."""
        if isinstance(self.kept, bytes):
            return io.BytesIO(self.kept)
        from reconciler.spec.lists.spool import Reading  # noqa: PLC0415 - only where a list is long

        return Reading(self.kept)

    def content(self) -> bytes:
        """Give what the list says: decrypted, without a BOM. Raises `Unreadable`."""
        data = self.kept if isinstance(self.kept, bytes) else self.kept.read(0, self.kept.size)
        if self.sealed:
            from reconciler.spec.lists.sealed import opened  # noqa: PLC0415 - only where a list needs it

            data = opened(data)
        return data if self.place.format == ".parquet" else without_bom(data)


def from_disk(path: Path, place: Place, long: int) -> Stored:
    """Take a list below the root; an encrypted one of `long` bytes is opened. Raises `Unreadable`.

    One that cannot be opened is left as it is: what is wrong with it is said when it is read.
    """
    if place.sealed:
        with opened_file(path, limit=MAX_LIST, hint=SPLIT) as file:
            blob, sha256 = blob_hash(file.size), hashlib.sha256()
            file.hashes = [blob, sha256]
            plain = _unsealed(file) if file.size >= long else None
            if plain is not None and file.taken == file.size:
                return Stored(place, plain, False, sha256.hexdigest(), blob.hexdigest())  # noqa: FBT003 - a field
    data = stored_bytes(path, limit=MAX_LIST, hint=SPLIT)
    return Stored(place, data, place.sealed, hashlib.sha256(data).hexdigest(), git_blob(data))


def from_elsewhere(place: Place, long: int) -> Stored:
    """Take a list that lies elsewhere, and open one of `long` bytes that is encrypted.

    Raises `Unreadable`.
    """
    from reconciler.spec.lists.remote import fetch_into  # noqa: PLC0415 - only where a list needs it

    taking = _Taking(long)
    fetch_into(place, taking.begin)
    stored = Stored(place, taking.kept(), place.sealed, taking.sha256.hexdigest())
    if stored.sealed and stored.size >= long:
        plain = _unsealed(stored.stream())
        if plain is not None:
            return replace(stored, kept=plain, sealed=False)
    return stored


class _Taking:
    """Takes the bytes of a list as they come, into memory."""

    def __init__(self, long: int) -> None:
        self._long = long
        self._short = bytearray()
        self._file: File | None = None
        self.sha256 = hashlib.sha256()

    def begin(self, size: int) -> Callable[[memoryview], None]:
        """Give what takes so many bytes."""
        if size >= self._long:
            self._file = _in_memory()
        return self._take

    def kept(self) -> bytes | File:
        """Give what was taken."""
        return bytes(self._short) if self._file is None else self._file

    def _take(self, data: memoryview) -> None:
        """Take some more. Raises `Unreadable`."""
        self.sha256.update(data)
        if self._file is None:
            self._short += data
            return
        try:
            self._file.write(data)
        except OSError as error:
            raise no_room(error, memory=True) from error


def _unsealed(stream: Readable) -> File | None:
    """Decrypt a list into memory; None where that is not possible. Raises `Unreadable`."""
    from reconciler.spec.lists.sealed import opened_into  # noqa: PLC0415 - only where a list needs it

    plain = _in_memory()
    if plain is None:
        return None
    try:
        opened_into(stream, plain)
    except (Odd, Unreadable):
        return None  # told when the list is read, after what its pins say
    except OSError as error:
        raise no_room(error, memory=True) from error
    return plain


def _in_memory() -> File | None:
    """Make a file that is memory alone; None where this system has none. Raises `Unreadable`."""
    from reconciler.spec.lists.spool import File  # noqa: PLC0415 - only where a list is long

    try:
        return File(memory=True)
    except Odd:
        return None
    except OSError as error:
        raise no_room(error, memory=True) from error


def no_room(error: OSError, *, memory: bool) -> Unreadable:
    """Say that a list cannot be laid down while it is worked with."""
    import tempfile  # noqa: PLC0415 - slow, and only for this error

    where = "memory" if memory else tempfile.gettempdir()
    why = (error.strerror or type(error).__name__).lower()
    hint = "" if memory else "make room there, or name another directory: TMPDIR=…"
    message = f"the list cannot be kept in {where} while it is worked with: {why}"
    return Unreadable(Problem((), message, hint))
