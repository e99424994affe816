"""What git has of the files below a root, where it says that they are not modified.

Two processes that run while something else is done: one reads the index, the other compares it with
the work tree on all processors. Of these ways of asking, measured at 100,000 files, this is the
fastest (`ls-files --modified` looks at one file after another, `status` also at what is staged and
at what git does not know). Where git cannot tell, nothing is said, and all is read.
"""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 60.0
_TAGS = ("H 100644 ", "H 100755 ")
"""A regular file as the index has it. Not in lower case (git was told not to look), not `S` (nor to
have it here), not `M` (a conflict)."""
_BLOB = slice(len(_TAGS[0]), len(_TAGS[0]) + 40)
_STAGE = " 0\t"
_PATH = slice(_BLOB.stop + len(_STAGE), None)


class WorkTree:
    """The files below one root. Asks git at once; whoever wants the answers waits for them."""

    def __init__(self, root: Path) -> None:
        self._index = _Question(root, "ls-files", "-v", "--stage", "-z")
        self._modified = _Question(
            root, "diff-files", "--name-only", "--relative", "--ignore-submodules=all", "-z", "--",
            ".",
        )  # fmt: skip

    def blobs(self) -> dict[str, str]:
        """Give for each unmodified regular file, by its path below the root, the id of its blob."""
        listed, modified = self._index.answer(), self._modified.answer()
        if listed is None or modified is None:
            return {}
        blobs = {
            line[_PATH]: line[_BLOB]
            for line in listed
            if line.startswith(_TAGS) and line[_BLOB.stop : _PATH.start] == _STAGE
        }
        for path in modified:
            blobs.pop(path, None)
        return blobs


class _Question:
    """Something that git is asked. Its answer is taken in at once, or git would wait too."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self._command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        self._answer: list[str] | None = None
        # Nobody waits for it who does not want the answer any more.
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def answer(self) -> list[str] | None:
        """Give the answer's entries; None where git has none."""
        self._thread.join()
        return self._answer

    def _ask(self) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - git, with our own words
                self._command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_TIMEOUT,
            )
        except (OSError, subprocess.SubprocessError):
            return
        self._answer = done.stdout.decode(errors="surrogateescape").split("\0")[:-1]
