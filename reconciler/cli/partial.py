"""A file that is there when it is whole: written as FILE.part, continued after an interruption.

What is written may be private: only its owner can read it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from reconciler.errors import ReconcilerError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.render.results import Form, Known

_PRIVATE = 0o600


class PartialFile:
    """Writes FILE.part; `finish` makes it FILE at once, and only whole.

    `known` are the rows that an interrupted run left there, when it is continued. Raises
    `ReconcilerError` where the file cannot be written, `Refused` where another run writes it or
    what is there cannot be continued.
    """

    def __init__(self, path: Path, form: Form, *, resume: bool) -> None:
        self.path = path
        self.part = Path(f"{path}.part")
        self.known: Known = set()
        if path.is_dir():
            raise ReconcilerError(
                f"cannot write {path}: it is a directory", hint="name a file in it"
            )
        with self._told(self.part):
            self._file = self._open(form, resume=resume)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What could not be written on a full disk cannot be written now; that was told already.
        with suppress(OSError):
            self._file.close()

    def write(self, data: bytes) -> None:
        """Write some whole lines."""
        with self._told(self.part):
            self._file.write(data)

    def flush(self) -> None:
        """Hand over what was written, so that a kill leaves it there."""
        with self._told(self.part):
            self._file.flush()

    def finish(self) -> None:
        """Put the file in its place, whatever stood there before."""
        with self._told(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self.part.replace(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    @staticmethod
    @contextmanager
    def _told(path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReconcilerError(
                f"cannot write {path}: {error.strerror}",
                hint=f"check that {path.parent} exists and can be written",
            ) from error

    def _open(self, form: Form, *, resume: bool) -> IO[bytes]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(self.part, flags, _PRIVATE), "r+b")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Refused(
                    f"another run is writing {self.part}", hint="wait for it to end"
                ) from error
            os.fchmod(file.fileno(), _PRIVATE)
            whole = 0
            if resume:
                self.known, whole = form.read(file)
            # What follows the last whole row broke off there.
            file.seek(whole)
            file.truncate()
            if not whole:
                file.write(form.header)
        except BaseException:
            file.close()
            raise
        return file
