"""Where state in git lives: remote, branch and path, and the branch that the specs are on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.provenance import remotes
from reconciler.errors import Refused, StateError
from reconciler.state.file import STATE_NAME
from reconciler.state.git import Git
from reconciler.state.git_store import GitStore, Place

if TYPE_CHECKING:
    from reconciler.ports import Clock, Ids


def git_store(
    root: Path, *, remote: str, branch: str | None, clock: Clock, ids: Ids, run: str
) -> GitStore:
    """Give the store of a root whose state lives on a branch; default: the one checked out.

    Raises `StateError` outside a repository and without a remote, `Refused` when no branch is
    known.
    """
    git = Git(root)
    _require_remote(root, remote)
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


def _require_remote(root: Path, remote: str) -> None:
    """Say that there is no remote at all, which a new repository begins without."""
    if "/" in remote or ":" in remote or (root / remote).exists():
        return  # an address of its own
    if remotes(root) == ():
        raise StateError(
            "no remote yet, and the state is to live on one (state: git)",
            hint="git remote add origin URL; or, on one machine: --state file",
        )


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
