"""Modules of ours run as processes of their own: to measure in, or to answer what is measured."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import PYTHON, Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]


def in_a_fresh_process(module: str, *arguments: str) -> dict[str, float]:
    """Run a module and give the figures that it prints as JSON.

    Nothing is imported there, held in memory or cached by what was measured before. Raises
    Unmeasurable if it fails; what it says of that goes to stderr.
    """
    done = subprocess.run(
        [PYTHON, "-m", module, *arguments], cwd=_ROOT, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise Unmeasurable(f"{module} {' '.join(arguments)}\nended with {done.returncode}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


@contextlib.contextmanager
def answering(module: str, *arguments: str) -> Iterator[str]:
    """Run a server, and give the API's address; it ends with the context.

    It listens on loopback, and the first that it prints is its port.
    """
    with subprocess.Popen(
        [PYTHON, "-m", module, *arguments], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for above
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/api/v1"
        finally:
            process.kill()
