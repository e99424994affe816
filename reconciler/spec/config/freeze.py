"""The brake as it stands in a batches root: the file FREEZE, and `freeze` in `reconciler.yaml`.

Whoever has to stop everything writes one of the two. Either is enough, in whatever state it is:
what is there and cannot be read stops everything too, and so do settings that cannot be read.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from reconciler.errors import InvalidSpecs
from reconciler.model import without_numbers
from reconciler.spec.config.settings import read_settings, settings_of
from reconciler.spec.discover import SETTINGS
from reconciler.spec.problems import printable
from reconciler.spec.source import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.spec.config.settings import Settings

FREEZE = "FREEZE"
MOST_BYTES = 4_096
"""How much of FREEZE is read: a reason is a few words."""
_LINES = 3
_LENGTH = 300


def file_says(data: bytes) -> str:
    """Give the reason that FREEZE holds: its first lines as one, without phone numbers."""
    text = data[:MOST_BYTES].decode("utf-8-sig", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _short(" ".join(lines[:_LINES]))


def freeze_file(root: Path) -> str | None:
    """Say what FREEZE in a root says, empty for no reason; None when nothing of that name is there.

    A directory or a symlink of that name stops everything as a file does.
    """
    path = root / FREEZE
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"nobody can tell whether it is there ({error.strerror})"
    if not stat.S_ISREG(mode):
        return ""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return file_says(os.read(handle, MOST_BYTES))
        finally:
            os.close(handle)
    except OSError:
        return ""


def frozen_here(root: Path, settings: Settings) -> str | None:
    """Say why a root is frozen, as it lies here, in words that name the place; None if it is not.

    `settings` are those that were read from it.
    """
    return freeze_reason(str(root), freeze_file(root), settings)


def freeze_reason(where: str, file: str | None, settings: Settings | None) -> str | None:
    """Put in words what FREEZE and the settings of a root say; None when neither stops anything.

    `file` is what FREEZE says, None where there is none. No settings are those that cannot be read.
    """
    if file is not None:
        return f"{where}/{FREEZE} says: {file}" if file else f"{where}/{FREEZE} gives no reason"
    if settings is None:
        return f"{where}/{SETTINGS} cannot be read, and may say so"
    if settings.freeze is True:
        return f"{where}/{SETTINGS} says `freeze: true`"
    if settings.freeze:
        return f"{where}/{SETTINGS} says: {_short(settings.freeze)}"
    return None


class LocalBrake:
    """Looks at a root as it lies on this machine now. A `Brake`; asked by one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: tuple[bytes | None, Settings | None] | None = None

    def frozen(self) -> str | None:
        """Look at FREEZE, and at the settings if they are not as they were the last time."""
        file = freeze_file(self._root)
        return freeze_reason(str(self._root), file, self._settings() if file is None else None)

    def _settings(self) -> Settings | None:
        try:
            data = read_settings(self._root / SETTINGS)
        except Unreadable:
            return None
        if self._read is None or self._read[0] != data:
            self._read = data, parsed(data)
        return self._read[1]


def parsed(data: bytes | None) -> Settings | None:
    """Give the settings that a file holds, None where it has a mistake. No file holds defaults."""
    try:
        return settings_of(data or b"", SETTINGS)
    except InvalidSpecs:
        return None


def _short(text: str) -> str:
    one_line = printable(without_numbers(" ".join(text.split())))
    return one_line if len(one_line) <= _LENGTH else one_line[: _LENGTH - 1] + "…"
