"""Reads roots in one process and in several, and says whether anything differs.

A program of its own: whatever runs tests has more than one thread, and then nothing is shared out.
Arguments are a way to go wrong (see `WAYS`) and the roots.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from reconciler.spec import load
from reconciler.spec.parallel import shared_out

HERE = os.getpid()
PROCESSES = 3
MANY = 100


def _dies(real: Any) -> Any:
    """Let every other process be killed at its tenth file."""
    seen = 0

    def read(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if os.getpid() != HERE and seen > 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    return read


def _refuses(*_: Any) -> int:
    raise OSError(11, "Resource temporarily unavailable")


WAYS: dict[str, Any] = {
    "as-ever": lambda: patch.dict({}),
    "others-die": lambda: patch.object(load, "_load_short", _dies(load._load_short)),
    "no-fork": lambda: patch.object(os, "fork", _refuses),
    "no-memory": lambda: patch.object(os, "memfd_create", _refuses),
}


def main(way: str, roots: list[Path]) -> None:
    """Compare."""
    with (
        patch.object(load, "_MANY_FILES", MANY),
        patch.object(load, "shared_out", wraps=shared_out) as sharing,
    ):
        for root in roots:
            with patch.object(load, "processors", lambda: 1):
                alone = load.load_specs(root, shown="batches", max_contacts=3)
            with patch.object(load, "processors", lambda: PROCESSES), WAYS[way]():
                together = load.load_specs(root, shown="batches", max_contacts=3)
            if repr(alone) != repr(together) or alone != together:
                sys.exit(f"{root} reads differently")
            if Path(f"/proc/self/task/{HERE}/children").read_text():
                sys.exit("a process was left behind")
    sys.stdout.write(f"{sharing.call_count} roots were shared out\n")


if __name__ == "__main__":
    main(sys.argv[1], [Path(each) for each in sys.argv[2:]])
