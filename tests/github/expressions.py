"""GitHub's expressions, as far as our workflows use them; anything else is an error.

Values are text, booleans, None (an unknown property) and mappings. Text compares without regard to
case and a missing value equals the empty text, as GitHub has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>==|!=|&&|\|\||!|\(|\))"
    r"|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))"
)
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass
class Scope:
    """What names and functions mean. `contexts` maps `inputs`, `github` and so on to mappings."""

    contexts: Mapping[str, Any]
    functions: Mapping[str, Callable[[], bool]]

    def lookup(self, path: str) -> Any:
        """Give what a dotted name means."""
        first, *rest = path.split(".")
        value = self.contexts[first]
        for part in rest:
            value = value.get(part) if hasattr(value, "get") else None
        return value


def evaluate(expression: str, scope: Scope) -> Any:
    """Give an expression's value."""
    tokens = []
    at = 0
    while expression[at:].strip():
        found = _TOKEN.match(expression, at)
        assert found, f"not understood: {expression!r} at {at}"
        tokens.append(found)
        at = found.end()
    parser = _Parser(tokens, scope)
    value = parser.either()
    assert not parser.tokens, f"not understood: {expression!r}"
    return value


def filled(text: str, scope: Scope) -> str:
    """Give a text with its expressions replaced by their values."""
    return _EMBEDDED.sub(lambda found: as_text(evaluate(found[1], scope)), text)


def holds(condition: str | None, scope: Scope, *, so_far: bool) -> bool:
    """Tell whether a step's `if` holds; without a status function it needs `so_far`."""
    if condition is None:
        return so_far
    inner = condition.strip()
    if inner.startswith("${{"):
        inner = inner.removeprefix("${{").removesuffix("}}")
    asks = re.search(r"\b(?:always|cancelled|success|failure)\(", inner)
    value = bool(evaluate(inner, scope))
    return value if asks else value and so_far


def as_text(value: Any) -> str:
    """Give a value as it stands in a text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Parser:
    def __init__(self, tokens: list[re.Match[str]], scope: Scope) -> None:
        self.tokens = tokens
        self._scope = scope

    def _take(self, *signs: str) -> str | None:
        if self.tokens and self.tokens[0]["sign"] in signs:
            return self.tokens.pop(0)["sign"]
        return None

    def either(self) -> Any:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self._take("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.single()
        sign = self._take("==", "!=")
        if sign is None:
            return value
        same = as_text(value).lower() == as_text(self.single()).lower()
        return same if sign == "==" else not same

    def single(self) -> Any:
        if self._take("!"):
            return not self.single()
        if self._take("("):
            value = self.either()
            assert self._take(")")
            return value
        token = self.tokens.pop(0)
        if token["text"] is not None:
            return token["text"][1:-1].replace("''", "'")
        name = token["name"]
        assert name, token[0]
        if self._take("("):
            assert self._take(")")
            return self._scope.functions[name]()
        return self._scope.lookup(name)
