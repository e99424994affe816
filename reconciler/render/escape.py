"""Text that stays text: escapes for GitHub's markdown, the HTML in it, mermaid and terminals.

Whatever a person or an API wrote goes through here before it is put between our own words. What
comes out shows exactly what went in: it is no link, mention, reference, emoji, formula, table cell,
tag or diagram of its own. Control characters and those that turn the reading direction are shown as
their codes, in every format.
"""

from __future__ import annotations

import re
import unicodedata

# Only those that every format needs are compiled when a command starts.
_LINE_BREAKS = re.compile(r"[^\S ]+")
_SPECIAL = (
    r"(?i:(?P<syntax>[\\`*{}\[\]<>&|~!]|(?<![^\W_])_|_(?![^\W_])|^[+-]|^\d+(?=[.)]))"
    r"|(?P<later>[@#$]|:(?=//|[\w+-]*[a-z][\w+-]*:|[+-]1:)|(?<=www)\.|(?<=\bGH)-))"
)
"""`syntax` is what cmark reads as such, beginnings of lists included. `later` is what GitHub looks
for in the text that cmark has made: mentions, references, formulas, emoji, addresses. An entity is
a letter again by then; only a tag of its own keeps it apart."""
_IN_CODE = r"(?i:[^\w\s/,.-]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.)"
_MERMAID = r"[^\w\s/.,()+-]"


def printable(text: str) -> str:
    """Give text on one line in which nothing is invisible or moves the cursor."""
    flat = _LINE_BREAKS.sub(" ", text).strip()
    if flat.isascii() and flat.isprintable():
        return flat
    return "".join(
        char if not unicodedata.category(char).startswith("C") else f"\\u{ord(char):04x}"
        for char in flat
    )


def shortened(text: str, longest: int) -> str:
    """Give text of at most so many characters; what was cut off is told by dots."""
    return text if len(text) <= longest else f"{text[: longest - 3].rstrip()}..."


def markdown(text: str) -> str:
    """Give markdown that renders as the text itself."""

    def escaped(found: re.Match[str]) -> str:
        if found["later"]:
            return f"<span>{found[0]}</span>"
        return "".join(f"&#{ord(char)};" for char in found[0])

    return re.sub(_SPECIAL, escaped, printable(text))


def code(text: str) -> str:
    """Give markdown that renders as the text itself, as code. Empty for an empty text."""
    flat = printable(text)
    if not flat:
        return ""
    if "`" not in flat and "|" not in flat:
        return f"`{flat}`"
    entities = re.sub(_IN_CODE, lambda found: f"&#{ord(found[0])};", flat)
    return f"<code>{entities}</code>"


def html_code(text: str) -> str:
    """Give HTML that renders as the text itself, as code: for lines that are no markdown."""
    import html  # noqa: PLC0415 - for comments only

    return f"<code>{html.escape(printable(text))}</code>"


def mermaid(text: str) -> str:
    """Give a label for a mermaid diagram: no separator, comment, directive or keyword.

    Its parser knows keywords at the beginning of a line only, so the first letter is a code.
    """
    flat = printable(text)
    coded = re.sub(_MERMAID, lambda found: f"#{ord(found[0])};", flat[1:])
    return f"#{ord(flat[0])};{coded}" if flat else ""
