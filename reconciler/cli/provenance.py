"""Where a spec comes from, as git has it: the commit checked out and the file's blob."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.in_git import may_be_in_git
from reconciler.state.document import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Spec


class GitProvenance:
    """Sources of the specs below one root. Outside git, only their paths are known."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def source(self, spec: Spec) -> Source:
        """Give a spec's path, the commit checked out, and what bytes it was read from.

        Those bytes, not the ones that lie there now: the spec may have been edited since.
        """
        commit = None if self.uncommitted_of(spec) else self._commit
        origin = spec.origin
        if origin is None:
            return Source(path=spec.path, commit=commit)
        path, blob = origin.contacts or (None, None)
        return Source(
            path=spec.path,
            commit=commit,
            blob=origin.blob,
            lifecycle=spec.lifecycle,
            contacts_path=path,
            contacts_blob=blob,
        )

    def uncommitted_of(self, spec: Spec) -> tuple[str, ...]:
        """Give the paths of what a spec was read from that are not as the commit has them.

        Those are the spec's own and that of its contact list, where it lies below the root and is
        not pinned: what its pin says was reviewed with the spec, wherever the list is kept.
        """
        origin = spec.origin
        listed = origin.contacts if origin is not None and not origin.pinned else None
        paths = (spec.path,) if listed is None else (spec.path, listed[0])
        return tuple(path for path in paths if path in self.uncommitted)

    @cached_property
    def uncommitted(self) -> frozenset[str]:
        """The files below the root, by their paths, that are not as the commit has them.

        What git ignores is among them: no commit has it.
        """
        everything = ("--untracked-files=all", "--ignored=traditional")
        told = _git(self._root, "status", "--porcelain", "-z", *everything, "--", ".")
        prefix = _git(self._root, "rev-parse", "--show-prefix").strip()
        entries = (entry[3:] for entry in told.split("\0") if entry)
        return frozenset(entry.removeprefix(prefix) for entry in entries)

    @cached_property
    def _commit(self) -> str | None:
        return _git(self._root, "rev-parse", "--verify", "--quiet", "HEAD").strip() or None


def _git(directory: Path, *arguments: str) -> str:
    """Give what git says; nothing where there is no git, no repository or no answer."""
    if not may_be_in_git(directory):
        return ""
    command = ["git", "--no-optional-locks", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - git, with our own words
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout


def path_in_repository(directory: Path) -> str | None:
    """Give a directory's path in its repository, `.` for the top of it; None without git."""
    told = _git(directory, "rev-parse", "--show-prefix")
    return (told.strip().removesuffix("/") or ".") if told else None


def parents(directory: Path) -> tuple[str, ...]:
    """Give the commits that the one checked out was made from.

    Empty where none is known: in a clone that is too shallow to have them, too.
    """
    return tuple(_git(directory, "show", "--no-patch", "--format=%P", "HEAD").split())


def remotes(directory: Path) -> tuple[str, ...] | None:
    """Give the names of a repository's remotes; None where there is no repository."""
    if top_of(directory) is None:
        return None
    return tuple(_git(directory, "remote").split())


def top_of(directory: Path) -> Path | None:
    """Give the top directory of the work tree, None outside one."""
    told = _git(directory, "rev-parse", "--show-toplevel").removesuffix("\n")
    return Path(told) if told else None


def default_branch(directory: Path) -> str | None:
    """Give the branch that a clone's remote begins with, else the one checked out."""
    told = _git(directory, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").strip()
    if told:
        return told.removeprefix("origin/")
    return _git(directory, "symbolic-ref", "--quiet", "--short", "HEAD").strip() or None


def merged_into(directory: Path, named: Sequence[str]) -> str | None:
    """Give the branch that changes are merged into, where it is certainly none of the `named`.

    A clone knows which branch its remote begins with. Without that, any branch that is there may be
    the one: what is checked out may be a branch of somebody's work.
    """
    begins = _git(directory, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    here = _git(directory, "symbolic-ref", "--quiet", "--short", "HEAD").strip()
    branch = begins.strip().removeprefix("origin/") or here
    if not branch or branch in named:
        return None
    there = _git(directory, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
    places = {f"refs/{place}/{name}" for name in named for place in ("heads", "remotes/origin")}
    return None if not begins and places & set(there.split()) else branch


def cloned_from(directory: Path) -> tuple[str, str]:
    """Give the address that a clone came from and the commit it is at; empty where not known."""
    url = _git(directory, "remote", "get-url", "origin").strip()
    return url, _git(directory, "rev-parse", "--verify", "--quiet", "HEAD").strip()


def is_tracked(path: Path) -> bool:
    """Whether git has a file in its index, be it here or not; False where there is no git."""
    if not may_be_in_git(path.parent):
        return False
    command = ["git", "-C", str(path.parent), "ls-files", "--error-unmatch", "--", path.name]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)  # noqa: S603 - git, with our own words
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
