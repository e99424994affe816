"""State in a file of a root: the usual store, whose lock git does not ask its user about."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from reconciler.cli.in_git import may_be_in_git
from reconciler.state.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IGNORED = """\
# Written by the reconciler: the lock of an apply is nothing to commit, and neither is this file.
.state.json.lock
.gitignore
"""


class RootStore(FileStore):
    """A `FileStore` that keeps its lock out of what git shows as new.

    The lock file stays where it is: a process that waits on a file which another one removes, and a
    third that makes it anew, would both hold the lock.
    """

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock, and let git ignore it."""
        with super().exclusive():
            _ignore_lock(self._path.parent)
            yield


def _ignore_lock(directory: Path) -> None:
    """Write a `.gitignore` that ignores the lock, and itself, where nothing does so yet.

    One that is there is its owner's. A directory that cannot be written is no error here.
    """
    path = directory / ".gitignore"
    if path.is_symlink() or path.exists() or not _is_shown(directory):
        return
    with suppress(OSError), path.open("x", encoding="utf-8") as file:
        file.write(_IGNORED)


def _is_shown(directory: Path) -> bool:
    """Whether git would tell of a lock there: not outside a repository, nor where it is ignored."""
    if not may_be_in_git(directory):
        return False
    command = ["git", "-C", str(directory), "check-ignore", "--quiet", "--", ".state.json.lock"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)  # noqa: S603 - git, with our own words
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 1
