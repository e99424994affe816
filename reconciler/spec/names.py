"""A spec's name: its identity, which keys, generations and state hang on.

Letters of any script, digits and `.`, `_`, `-`, with `/` between the parts. Normalised to NFC,
because file systems differ in how they spell `é` and a name must not.
"""

from __future__ import annotations

import unicodedata

from reconciler.spec.problems import quoted

MAX_NAME = 200

_PUNCTUATION = frozenset("._-/")


def normalised(name: str) -> str:
    """Give the one spelling of a name."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def name_problem(name: str) -> str | None:
    """Say what keeps a text from being a name, or None."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"has {len(name)} characters; at most {MAX_NAME} are allowed"
    bad = next((char for char in name if not _allowed(char)), None)
    if bad is not None:
        what = "a space" if bad == " " else quoted(bad)
        return f"contains {what}; letters, digits and `.`, `_`, `-`, `/` are allowed"
    parts = name.split("/")
    if not parts[0] or not parts[-1]:
        return "begins or ends with `/`"
    if "" in parts:
        return "contains `//`"
    if ".." in parts or "." in parts:
        return "contains a part that is only dots"
    return None


def _allowed(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in _PUNCTUATION
    return unicodedata.category(char)[0] in "LMN"
