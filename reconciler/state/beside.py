"""Files that lie beside the state and are stored with it: the ledger of calls.

Promises: what is laid is durable when the state that it was laid with is. Of a run that is killed
between the two, a launch may be in the ledger that was never begun, and never the other way round.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from reconciler.errors import StateError
from reconciler.state.calls import DIRECTORY, MOST, SUFFIX, WIDTH, LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MOST_BYTES = 2 * MOST * WIDTH
"""Bytes of all files together; more is no ledger of ours."""


@runtime_checkable
class Beside(Protocol):
    """What a store that keeps files beside the state promises."""

    def beside(self) -> Iterable[tuple[str, bytes]]:
        """Read the files that lie beside the state that was loaded last, by name.

        Raises `StateError`, and `LedgerUnusable` for more than a ledger has.
        """

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Say what the next save stores with the state: files by name, None for one that goes.

        What was said before is forgotten, and so is this once it is stored.
        """


def require_bounded(size: int) -> None:
    """Refuse more than a ledger can have. Raises `LedgerUnusable`."""
    if size > MOST_BYTES:
        raise LedgerUnusable(
            f"the ledger of calls has {size:,} bytes; at most {MOST_BYTES:,} are read",
            hint="make it anew: reconciler ledger rebuild",
        )


def read_directory(root: Path) -> Iterator[tuple[str, bytes]]:
    """Read the files of a ledger in a directory of the root; none without one."""
    directory = root / DIRECTORY
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))  # noqa: PTH208 - names are wanted
        paths = [directory / name for name in names]
        require_bounded(sum(path.lstat().st_size for path in paths))
        for path in paths:
            if not path.is_file() or path.is_symlink():
                raise LedgerUnusable(f"{path} is not a file", hint="take it away")
            yield path.name, path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"cannot read {directory}: {error.strerror}",
            hint=f"check that {directory} is a directory that may be read",
        ) from error
