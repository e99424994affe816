"""Where state in git lives: remote, branch and path, and the branch that the specs are on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import Refused
from reconciler.state.file import STATE_NAME
from reconciler.state.git import Git
from reconciler.state.git_store import GitStore, Place

if TYPE_CHECKING:
    from reconciler.ports import Clock, Ids


def git_store(
    root: Path, *, remote: str, branch: str | None, clock: Clock, ids: Ids, run: str
) -> GitStore:
    """Give the store of a root whose state lives on a branch; default: the one checked out.

    Raises `StateError` outside a repository, `Refused` when no branch is known.
    """
    git = Git(root)
    path = Path(os.path.realpath(root)).relative_to(os.path.realpath(git.toplevel())) / STATE_NAME
    source = _source_branch(git, remote)
    chosen = branch or source
    if chosen is None:
        raise Refused(
            "a detached checkout of no known branch: nobody can say where its state lives",
            hint="name the branch with --state-branch, or check the branch out",
        )
    place = Place(remote=remote, branch=chosen, path=path.as_posix(), source_branch=source)
    return GitStore(git, place, clock=clock, ids=ids, run=run)


def _source_branch(git: Git, remote: str) -> str | None:
    """Tell which branch the checkout is of: git's word, the CI's, or the remote's default."""
    current = git.current_branch()
    if current:
        return current
    if os.environ.get("GITHUB_BASE_REF"):
        # A pull request's checkout is of no branch; what it would change is the one it goes into.
        return os.environ["GITHUB_BASE_REF"]
    if os.environ.get("GITHUB_REF_TYPE") == "branch" and os.environ.get("GITHUB_REF_NAME"):
        return os.environ["GITHUB_REF_NAME"]
    return git.default_branch(remote)
