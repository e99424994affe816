"""Bytes of files that people made: read without hanging, decoded without guessing.

Promises: nothing but a regular file is ever waited for (a FIFO named `x.yaml` is refused), nothing
over its size limit is read into memory, and bytes that are not plain UTF-8 text are explained.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from typing import TYPE_CHECKING, Self

from reconciler.spec.problems import Problem
from reconciler.spec.yaml.builder import LINE_SEPARATORS

if TYPE_CHECKING:
    import hashlib
    from pathlib import Path

MAX_YAML = 64 * 1024 * 1024
MAX_LIST = 512 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UTF8_HINT = "save it as UTF-8 (in Excel: 'CSV UTF-8'; in editors: 'Save with encoding')"


class Unreadable(Exception):  # noqa: N818 - says what it is
    """A file that cannot be read, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def read_bytes(path: str | Path, *, limit: int, hint: str) -> bytes:
    """Read a regular file of at most `limit` bytes, without a UTF-8 BOM.

    `hint` says what to do about a larger one. Raises `Unreadable`.
    """
    return without_bom(stored_bytes(path, limit=limit, hint=hint))


def without_bom(data: bytes) -> bytes:
    """Give bytes without a UTF-8 BOM."""
    return data.removeprefix(_BOM)


def stored_bytes(path: str | Path, *, limit: int, hint: str) -> bytes:
    """Read a regular file of at most `limit` bytes as it lies there. Raises `Unreadable`."""
    with opened_file(path, limit=limit, hint=hint) as file:
        data = file.read(file.size + 1)
        while len(data) < file.size and (chunk := file.read(file.size)):
            data += chunk
    return data


class Opened:
    """A regular file of at most `limit` bytes that is being read; closed at the end of a `with`.

    `size` is how long it was when it was opened. All that is read goes into `hashes` too.
    """

    def __init__(self, path: str | Path, *, limit: int, hint: str) -> None:
        """Open it. Raises `Unreadable`."""
        # Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            self._handle = os.open(path, flags)
        except OSError as error:
            raise Unreadable(_cannot_read(error)) from error
        status = os.fstat(self._handle)
        problem = None
        if not stat.S_ISREG(status.st_mode):
            problem = not_a_file(status.st_mode)
        elif status.st_size > limit:
            problem = too_large(status.st_size, limit, hint)
        if problem is not None:
            os.close(self._handle)
            raise Unreadable(problem)
        self.size = status.st_size
        self.taken = 0
        self.hashes: list[hashlib._Hash] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def read(self, size: int) -> bytes:
        """Give some more bytes, at most so many; none at the end. Raises `Unreadable`."""
        try:
            data = os.read(self._handle, size)
        except OSError as error:
            raise Unreadable(_cannot_read(error)) from error
        self.taken += len(data)
        for each in self.hashes:
            each.update(data)
        return data


def opened_file(path: str | Path, *, limit: int, hint: str) -> Opened:
    """Open a regular file of at most `limit` bytes, for a `with`. Raises `Unreadable`."""
    return Opened(path, limit=limit, hint=hint)


def too_large(size: int, limit: int, hint: str) -> Problem:
    """Say that a file has more bytes than are read."""
    return Problem((), f"the file has {size:,} bytes; at most {limit:,} are read", hint)


def not_a_file(mode: int) -> Problem:
    """Say what something is that is no regular file."""
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    what = next((name for test, name in kinds if test(mode)), "a device")
    return Problem((), f"this is {what}, not a file", "rename it, or begin its name with `_`")


def _cannot_read(error: OSError) -> Problem:
    hint = {
        "PermissionError": "check the file's permissions (`ls -l`)",
        "FileNotFoundError": "restore the file, or what a symlink points at",
    }.get(type(error).__name__, "")
    return Problem((), f"the file cannot be read: {(error.strerror or str(error)).lower()}", hint)


def text_problem(data: bytes) -> Problem | None:
    """Find what keeps bytes from being plain UTF-8 text: the first such place, or None."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem((), "the file is UTF-16, not UTF-8", _UTF8_HINT, place=(1, 1))
    zeros = data.find(b"\0")
    if zeros >= 0 and data[:200].count(b"\0") > len(data[:200]) // 4:
        return Problem((), "the file is UTF-16 or binary, not UTF-8", _UTF8_HINT, place=(1, 1))
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(data, error.start)
        byte = data[error.start]
        likely = bytes([byte]).decode("cp1252", "replace")
        meant = f" (in Latin-1 it would be `{likely}`)" if likely.isprintable() else ""
        message = f"the file is not UTF-8: byte 0x{byte:02X}{meant}"
        return Problem((), message, _UTF8_HINT, place=place)
    control = _CONTROL.search(data)
    if control is not None:
        code = control[0][0]
        message = f"the control character U+{code:04X} stands here"
        return Problem((), message, "delete it", place=_place(data, control.start()))
    return None


def separator_problem(text: str) -> Problem | None:
    """Find an invisible line separator, which YAML and people read differently."""
    found = [(text.find(char), char) for char in LINE_SEPARATORS if char in text]
    if not found:
        return None
    index, char = min(found)
    line = text.count("\n", 0, index) + 1
    name = unicodedata.name(char, "NEXT LINE")
    message = f"the invisible character U+{ord(char):04X} ({name}) stands here"
    column = index - text.rfind("\n", 0, index)
    return Problem((), message, "delete it, or write it as a space", place=(line, column))


def _place(data: bytes, offset: int) -> tuple[int, int]:
    """Turn a byte offset into line and column, the column in characters."""
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode("utf-8", "replace")) + 1
    return (data.count(b"\n", 0, offset) + 1, column)
