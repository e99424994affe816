"""Hidden lines of a comment on a pull request: whose it is, and what was reviewed.

They are HTML comments, the first lines of the markdown, and nothing in them can end a comment:

    <!-- call-batch-reconciler:plan ROOT -->
    <!-- call-batch-reconciler:plan-hash ROOT p1:... -->
    <!-- call-batch-reconciler:plan-actions ROOT HASH HASH ... -->

ROOT is the batches root as it was given on the command line, with everything but letters, digits
and `. _ - /` percent-encoded. The actions' hashes are left out where there are very many; then only
the whole can be compared.

Whoever can write a comment can write these lines. Who trusts them has to look at who wrote it, and
whether it was edited since.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OURS = "call-batch-reconciler"
_LINE = re.compile(rf"<!-- {_OURS}:(?P<kind>[a-z-]+) (?P<root>\S+)(?: (?P<values>[^<>]*?))? -->")
PLAN, HASH, ACTIONS, OUTDATED, REPORT = (
    "plan",
    "plan-hash",
    "plan-actions",
    "plan-outdated",
    "report",
)
MOST_ACTIONS = 300
"""Hashes of actions that a comment carries: about 12,000 characters."""


class Marker(Struct, frozen=True):
    """One hidden line. `root` is encoded."""

    kind: str
    root: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"<!-- {' '.join((f'{_OURS}:{self.kind}', self.root, *self.values))} -->"


class Reviewed(Struct, frozen=True):
    """What a comment says was planned. `actions` is None where it only carries the whole."""

    plan_hash: str
    actions: tuple[str, ...] | None


def encoded(root: str) -> str:
    """Give a root as it stands in markers."""
    return quote(root, safe="/").replace("--", "%2D%2D").replace("~", "%7E") or "."


def marker(kind: str, root: str, *values: str) -> str:
    """Write a hidden line. `root` is as given on the command line; values are hashes."""
    return str(Marker(kind, encoded(root), values))


def markers_of(comment: str) -> Iterator[Marker]:
    """Read the hidden lines that a comment begins with."""
    for line in comment.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return
        yield Marker(found["kind"], found["root"], tuple((found["values"] or "").split()))


def without_markers(comment: str) -> str:
    """Give a comment without the hidden lines that it begins with."""
    lines = comment.splitlines()
    hidden = sum(1 for _ in markers_of(comment))
    return "\n".join(lines[hidden:]).strip("\n") + "\n"


def is_plan_of(comment: str, root: str) -> bool:
    """Whether a comment is the current plan of a root: not an outdated one, not another's."""
    return next(markers_of(comment), None) == Marker(PLAN, encoded(root))


def reviewed_in(comment: str, root: str) -> Reviewed | None:
    """Read what a comment says was planned for a root; None where it is no such comment."""
    if not is_plan_of(comment, root):
        return None
    values: dict[str, Sequence[str]] = {
        each.kind: each.values for each in markers_of(comment) if each.root == encoded(root)
    }
    if len(values.get(HASH, ())) != 1:
        return None
    actions = values.get(ACTIONS)
    return Reviewed(values[HASH][0], None if actions is None else tuple(actions))
