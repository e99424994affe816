"""Git is asked where it may know something, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.provenance import GitProvenance, is_tracked, path_in_repository, top_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put something in the place of git, and give the file that it leaves where it was run."""
    trace, git = tmp_path / "asked", tmp_path / "bin/git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\n: > {trace}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GIT_DIR", raising=False)
    return trace


@pytest.mark.parametrize("sign", [None, ".git", "GIT_DIR"])
def test_git_is_asked_where_there_is_a_sign_of_it(
    sign: str | None, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root in no repository begins no process to hear so; any sign of one is enough to ask."""
    root = tmp_path / "top/batches"
    root.mkdir(parents=True)
    if sign == ".git":
        (root.parent / ".git").touch()
    elif sign is not None:
        monkeypatch.setenv(sign, str(tmp_path))
    for ask in (
        lambda: GitProvenance(root).uncommitted,
        lambda: is_tracked(root / "state.json"),
        lambda: path_in_repository(root),
        lambda: top_of(root),
    ):
        asked.unlink(missing_ok=True)
        ask()
        assert asked.exists() == (sign is not None)
