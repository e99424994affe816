"""Nobody waits for a library they do not use: slow modules load where they are needed."""

from __future__ import annotations

import subprocess
import sys

SLOW = {"asyncio", "deepdiff", "httpx", "pydantic", "rich", "ruamel", "starlette", "uvicorn"}


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and give which slow libraries it loaded."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded', *sorted({SLOW!r} & set(sys.modules))))\n"
        f"{statement}\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True
    )
    first, *names = done.stdout.splitlines()[-1].split()
    assert first == "loaded"
    return set(names)


def test_importing_the_package_loads_nothing_slow() -> None:
    """`import reconciler` costs next to nothing."""
    assert loaded_by("import reconciler") == set()


def test_importing_the_vocabulary_loads_nothing_slow() -> None:
    """Values, errors and digests can be used without any of the machinery."""
    modules = "model, observed, errors, ports, digest"
    assert loaded_by(f"from reconciler import {modules}") == set()
