"""What is wrong in one file, before lines and columns are known.

Reading specs is fast because the fast pass keeps no positions. A check that finds something says
where in the document it is (`("contacts", 17, "phone_number")`); `spec.yaml.positions` turns
that into a line and a column afterwards, for the few problems there are.

No text made here shows a phone number: `quoted` masks whatever looks like one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import NUMBER, Severity, masked, masked_in_path, masked_unless_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Path = tuple[str | int, ...]
"""Where in a document: keys and list indexes from the top."""

MANY = 50
"""From here on, problems of one kind in a contact list are summed up …"""

SHOWN = 20
"""… after this many were shown one by one."""

FIRST = "{first}"
"""Stands in a message for the line of `Problem.first`."""

_LONGEST = 60


class Problem(Struct, frozen=True):
    """One thing that is wrong at `path`; `at_key` points at the field's name, not its value.

    `kind` groups problems that are alike, so that 12,000 of them stay readable. `place` is a known
    (line, column) and then wins over the path. `first` is another path whose line the message
    shows in place of `FIRST`.
    """

    path: Path
    message: str
    hint: str = ""
    kind: str = ""
    at_key: bool = False
    place: tuple[int, int] | None = None
    first: Path | None = None
    severity: Severity = Severity.ERROR


class Collector:
    """Problems of one file, kept bounded: at most `MANY` of a kind are remembered, all counted."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._problems: list[Problem] = []
        self._counts: dict[str, int] = {}
        self.extend(problems)

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, problem: Problem) -> None:
        """Take one problem in."""
        if problem.kind:
            count = self._counts.get(problem.kind, 0) + 1
            self._counts[problem.kind] = count
            if count > MANY:
                return
        self._problems.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take many problems in, one at a time."""
        for problem in problems:
            self.add(problem)

    def __iter__(self) -> Iterator[Problem]:
        """Give the problems; where a kind has more than `MANY`, the first ones and a summary."""
        seen: dict[str, int] = {}
        for problem in self._problems:
            count = self._counts.get(problem.kind, 0)
            if count <= MANY:
                yield problem
                continue
            seen[problem.kind] = nth = seen.get(problem.kind, 0) + 1
            if nth <= SHOWN:
                yield problem
            elif nth == SHOWN + 1:
                yield replace(
                    problem,
                    message=f"and {count - SHOWN:,} more like this, from here on: {problem.kind}",
                    first=None,
                )


def printable(text: str) -> str:
    """Escape what a terminal would obey or not show: control, format and surrogate characters."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def quoted(text: str) -> str:
    """Show a user's own text within a message: in backticks, short, printable, numbers masked."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"`{printable(NUMBER.sub(masked_unless_date, short))}`"


def quoted_path(text: str) -> str:
    """Show a path, an address or a name as `quoted` does, and with the dates in it.

    Cut last: the beginning of a longer number is no date.
    """
    whole = NUMBER.sub(masked_in_path, text)
    short = whole if len(whole) <= _LONGEST else whole[: _LONGEST - 1] + "…"
    return f"`{printable(short)}`"


def shown_number(text: str) -> str:
    """Show a phone number, or what was written in its place: masked, printable, short."""
    if len(text) > _LONGEST:
        return f"`{printable(text[:3])}…` ({len(text):,} characters)"
    return f"`{printable(masked(text))}`"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that a person most likely meant, or None.

    Also sees through camelCase, dashes and capitals: `concurrencyLimit`, `Phone Number`.
    """
    if len(name) > _LONGEST:
        return None
    names = {_plainly(one): one for one in known}
    plain = _plainly(name)
    if plain in names:
        return names[plain]
    import difflib  # noqa: PLC0415 - only where something is wrong

    close = difflib.get_close_matches(plain, names, n=1, cutoff=0.7)
    return names[close[0]] if close else None


def _plainly(name: str) -> str:
    """Write a name the way ours are written: small letters, with `_` between the words."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
    return re.sub(r"[\s-]+", "_", plain)


def dotted(path: Path) -> str:
    """Write a path the way people read it: `contacts[17].phone_number`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = quoted(step)[1:-1]
            text += f".{name}" if text else name
    return text
