"""Which files below a batches root are specs, and what stands there that was probably meant as one.

Promises: directory symlinks are not followed, nothing outside the root is a spec, and what looks
like a spec but is not read is said rather than passed over in silence.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from msgspec import Struct

from reconciler.model import Severity
from reconciler.spec.problems import Problem
from reconciler.spec.source import not_a_file

SETTINGS = "reconciler.yaml"
STATE = "state.json"
SUFFIXES = (".yaml", ".yml")
_MARKS = frozenset({SETTINGS, STATE})
_IGNORED = ("_", ".")


class Found(Struct, frozen=True):
    """One spec file, or one thing that is not read and why. `path` is below the root, with `/`."""

    path: str
    problem: Problem | None = None


def discover(root: Path) -> list[Found]:
    """Walk a root. Sorted by path; raises OSError only when the root itself cannot be listed."""
    paths, odd = walk(root)
    return sorted((*map(Found, paths), *odd), key=lambda one: one.path)


def walk(root: Path) -> tuple[list[str], list[Found]]:
    """Walk a root: the paths of specs, and all that is not read and why, both in no order.

    Raises OSError only when the root itself cannot be listed.
    """
    real_root = os.path.realpath(root)
    paths: list[str] = []
    odd: list[Found] = []
    pending = [""]
    while pending:
        below = pending.pop()
        entries = _entries(root, below, odd)
        prefix = f"{below}/" if below else ""
        for entry in entries:
            name = entry.name
            if name.startswith(_IGNORED):
                continue
            if below and name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
                paths.append(prefix + name)  # most are like this
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(prefix + name)
            found = _entry(prefix + name, entry, real_root)
            paths.extend(one.path for one in found if one.problem is None)
            odd.extend(one for one in found if one.problem is not None)
    return paths, odd


def _entries(root: Path, below: str, odd: list[Found]) -> list[os.DirEntry[str]]:
    """List a directory that belongs to a root; say why of one that does not, or is not readable."""
    try:
        with os.scandir(os.path.join(root, below)) as scan:  # noqa: PTH118 - hot
            entries = list(scan)
    except OSError as error:
        if not below:
            raise
        problem = Problem((), f"the directory cannot be read: {error.strerror}".lower())
        odd.append(Found(below, problem))
        return []
    if below and (nested := _nested_root(below, entries)):
        odd.append(nested)
        return []
    return entries


def _nested_root(below: str, entries: list[os.DirEntry[str]]) -> Found | None:
    """Refuse a root within the root: its specs would get other names, and be created again."""
    marks = [each.name for each in entries if each.name in _MARKS and not _is_directory(each)]
    if not marks:
        return None
    mark = min(marks)
    return Found(
        f"{below}/{mark}",
        Problem(
            (),
            f"`{below}` is a batches root of its own, because it holds `{mark}`",
            f"name it with `--batches`, or move `{mark}` away",
        ),
    )


def _entry(path: str, entry: os.DirEntry[str], real_root: str) -> list[Found]:
    """Classify one directory entry."""
    name = entry.name
    lower = name.lower()
    if not lower.endswith(SUFFIXES):
        if entry.is_symlink() and _is_directory(entry):
            return [
                Found(
                    path,
                    _warn(
                        "a symlink to a directory is not followed",
                        "move the specs here, or begin its name with `_`",
                    ),
                )
            ]
        return []
    if _is_directory(entry):
        what = "a symlink to a directory" if entry.is_symlink() else "a directory"
        return [Found(path, _warn(f"this is {what}, not a spec", "give it another name"))]
    if path.lower() in {SETTINGS, "reconciler.yml"}:
        if path == SETTINGS:
            return []
        hint = f"rename it to `{SETTINGS}`"
        return [Found(path, Problem((), f"settings are read from `{SETTINGS}` only", hint))]
    if not name.endswith(SUFFIXES):
        message = "the suffix of a spec is `.yaml` or `.yml`, in lower case"
        return [Found(path, Problem((), message, "rename the file"))]
    if not entry.is_file(follow_symlinks=False):
        problem = _special(entry, real_root)
        return [Found(path, problem)]
    return [Found(path)]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether something is a directory, or a symlink to one; not a symlink that leads nowhere."""
    try:
        return entry.is_dir()
    except OSError:  # it leads to itself, or to where nobody may look
        return False


def _special(entry: os.DirEntry[str], real_root: str) -> Problem | None:
    """Say why a symlink or a special file is no spec; None when it is one after all."""
    if not entry.is_symlink():
        return not_a_file(entry.stat(follow_symlinks=False).st_mode)
    try:
        mode = os.stat(entry.path).st_mode  # noqa: PTH116 - follows the link, as meant
    except OSError:
        hint = "correct or delete the symlink"
        return Problem((), "this symlink points at nothing", hint)
    if not stat.S_ISREG(mode):
        return not_a_file(mode)
    if not is_within(entry.path, real_root):
        message = "this symlink points out of the batches root"
        return Problem((), message, "copy the spec here in place of the symlink")
    return None


def is_within(path: str | Path, real_root: str) -> bool:
    """Tell whether a path, all symlinks followed, lies below an already resolved root."""
    real = os.path.realpath(path)
    return os.path.commonpath([real, real_root]) == real_root


def _warn(message: str, hint: str) -> Problem:
    return Problem((), message, hint, severity=Severity.WARNING)


def further_up(root: Path) -> str:
    """Find a root of this path in a directory above, up to the top of the repository."""
    here = Path.cwd()
    if root.is_absolute() or not any((each / ".git").exists() for each in (here, *here.parents)):
        return ""
    up = Path()
    for each in (here, *here.parents):
        if (each / root).is_dir():
            return shlex.quote(str(up / root))
        if (each / ".git").exists():
            break
        up /= ".."
    return ""
