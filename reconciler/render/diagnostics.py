"""Diagnostics for people, for programs and for GitHub's annotations.

All three say the same and count alike; each escapes for its own reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.render.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.model import Diagnostic


def as_text(diagnostics: Iterable[Diagnostic]) -> str:
    """Write `file:line:column: severity: field: message`, and the hint on a line of its own.

    Ends with a line break unless there is nothing to say.
    """
    lines = []
    for one in diagnostics:
        parts = [place(one), one.severity, one.field, one.message]
        lines.append(": ".join(printable(str(part)) for part in parts if part))
        if one.hint:
            lines.append(f"  hint: {printable(one.hint)}")
    return "".join(f"{line}\n" for line in lines)


def as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Give JSON values with the keys severity, file, line, column, field, message, hint."""
    return [
        {
            "severity": str(one.severity),
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "field": one.field,
            "message": one.message,
            "hint": one.hint,
        }
        for one in diagnostics
    ]


def as_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Write workflow commands, which GitHub shows beside the lines of a pull request."""
    lines = []
    for one in diagnostics:
        properties = {
            "file": one.file,
            "line": one.line or None,
            "col": one.column or None,
            "title": one.field or None,
        }
        listed = ",".join(
            f"{name}={_property(str(value))}" for name, value in properties.items() if value
        )
        message = one.message + (f"\nhint: {one.hint}" if one.hint else "")
        lines.append(f"::{one.severity}{' ' if listed else ''}{listed}::{_data(message)}\n")
    return "".join(lines)


def place(one: Diagnostic) -> str:
    """Write as much of file, line and column as is known."""
    if not one.file or not one.line:
        return one.file
    return f"{one.file}:{one.line}:{one.column}" if one.column else f"{one.file}:{one.line}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
