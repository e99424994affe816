"""Pieces of comments: cells of tables, callouts, and taking what fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.render.escape import code, markdown, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.model import Diagnostic

LIMIT = 60_000
"""Characters of a comment. GitHub takes 65,536; the rest is left to who adds something to it."""
_LONGEST = 600
"""Characters of one message."""


def cell(main: str, *small: str) -> str:
    """Give a table's cell: what counts, and below it in small letters what explains it."""
    below = ", ".join(text for text in small if text)
    if not below:
        return main
    return f"{main}<br><sub>{below}</sub>" if main else f"<sub>{below}</sub>"


def callout(kind: str, lines: Iterable[str]) -> list[str]:
    """Give the lines of a coloured box, with a blank one after it; none for no lines.

    `kind` is GitHub's: NOTE, IMPORTANT, WARNING or CAUTION.
    """
    told = [f"> {line}" for line in lines]
    return [f"> [!{kind}]", *told, ""] if told else []


def prose(text: str) -> str:
    """Give a message that may hold what people wrote, its beginning if it is long."""
    return markdown(shortened(text, _LONGEST))


def remark(what: str, message: str, hint: str) -> str:
    """Give an item of a list: what it is about (markdown), what is said of it, what to do."""
    said = f"{what}: {prose(message)}" if what else prose(message)
    return f"- {cell(said, prose(hint))}"


def diagnostic(one: Diagnostic) -> str:
    """Give a diagnostic as an item of a list."""
    place = f"{one.file}:{one.line}" if one.file and one.line else one.file
    what = " ".join(code(shortened(part, _LONGEST)) for part in (place, one.field) if part)
    return remark(what, one.message, one.hint)


def fitting(lines: Sequence[str], room: int) -> list[str]:
    """Take lines from the beginning for as long as they fit into so many characters."""
    taken = []
    for line in lines:
        room -= len(line) + 2
        if room < 0:
            break
        taken.append(line)
    while taken and taken[-1].startswith("> [!"):
        taken.pop()  # a box with nothing in it
    return taken


def size(lines: Iterable[str]) -> int:
    """Count the characters of lines that `fitting` took."""
    return sum(len(line) + 2 for line in lines)
