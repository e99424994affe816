"""Names that two specs share: a spec's name is its identity, so neither may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from reconciler.model import Diagnostic, Severity
from reconciler.spec.problems import quoted_path
from reconciler.spec.source import MAX_YAML, Unreadable, read_bytes
from reconciler.spec.yaml.positions import nearest, positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NAME = ("reconcile", "name")


class Named(Protocol):
    """A spec file that was read. `name` is empty when it is not known, `named` if the file says it.

    `file` is the path as the user would type it, `path` the path below the root.
    """

    path: str
    file: str
    name: str
    named: bool


Read = TypeVar("Read", bound=Named)


def name_clashes(root: Path, loaded: Iterable[Read]) -> Iterator[tuple[Read, Diagnostic]]:
    """Find names that two specs share: an error; and such as differ in capitals only: a warning."""
    first: dict[str, Read] = {}
    folded: dict[str, Read] = {}
    for one in loaded:
        if not one.name:
            continue
        other = first.setdefault(one.name, one)
        if other is not one:
            for this, that in ((one, other), (other, one)):
                yield this, _clash(root, this, that, Severity.ERROR)
            continue
        other = folded.setdefault(one.name.casefold(), one)
        if other is not one:
            yield one, _clash(root, one, other, Severity.WARNING)


def _clash(root: Path, one: Named, other: Named, severity: Severity) -> Diagnostic:
    line, column = _name_place(root, one)
    other_line, _ = _name_place(root, other)
    where = f"{other.file}:{other_line}" if other_line else other.file
    if severity is Severity.ERROR:
        message = f"the name {quoted_path(one.name)} belongs to {where} too"
        hint = "give each spec a name of its own: `reconcile: {name: …}`, or rename a file"
    else:
        names = f"{quoted_path(one.name)} differs from {quoted_path(other.name)}"
        message = f"the name {names} of {where} only"
        message += " in capitals"
        hint = "give one of them a clearer name"
    return Diagnostic(severity, one.file, line, column, "reconcile.name", message, hint)


def _name_place(root: Path, one: Named) -> tuple[int, int]:
    """Find where a spec says its name; (0, 0) when its path says it."""
    if not one.named:
        return (0, 0)
    try:
        data = read_bytes(root / one.path, limit=MAX_YAML, hint="")
    except Unreadable:
        return (0, 0)
    return nearest(positions(data, {_NAME}), _NAME, key=False)
