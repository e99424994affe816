"""What the rules about this repository share: where it is, and what is committed in it."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def committed(root: Path) -> tuple[Path, ...]:
    """Give every file git tracks that is in the work tree, as absolute paths."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    paths = (root / name for name in listing.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def modules(root: Path) -> tuple[Path, ...]:
    """Give every module of the package, committed or not."""
    return tuple(sorted((root / "reconciler").rglob("*.py")))


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    """Give pyproject.toml as data."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
