"""What a scalar means: text as written, a whole number, or a value of the YAML 1.2 core schema.

Which of the three applies is decided by the field, never by the text: `No` as a name stays `No`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from reconciler.spec.problems import Problem, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.spec.problems import Path

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""What a scalar without quotes says for "no value"."""

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_PHONE_LIKE = re.compile(r"\+[0-9]{7,}", re.ASCII)
_64_BIT = 1 << 63
_MAX_DIGITS = 20


class Plain(str):
    """A scalar written without quotes."""

    __slots__ = ()


class Unfit(ValueError):  # noqa: N818 - says what a value is
    """A value that a field does not take; the message goes on after the field's name.

    A `ValueError`, because that is what pydantic collects from the checks it calls.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def fail(message: str, hint: str = "") -> NoReturn:
    """Refuse a value. Raises `Unfit`."""
    raise Unfit(message, hint)


def is_null(value: object) -> bool:
    """Tell whether a value is an absence: nothing, `~` or `null` without quotes."""
    return value is None or (type(value) is Plain and value in NULLS)


def kind_of(value: object) -> str:
    """Name what somebody wrote, for messages."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if is_null(value) else "text"


def text(value: Any) -> str:
    """Take any scalar as the text it is written as."""
    if isinstance(value, str) and not is_null(value):
        if not value.strip():
            fail("is empty", "write a value, or delete the field")
        return str(value)
    if is_null(value):
        fail("is empty", "write a value")
    fail(f"is {kind_of(value)} where text is needed")


def whole_number(value: Any) -> int:
    """Take a plain decimal integer; what merely looks like one is refused with the way to write it.

    Numbers that come from Python (defaults) pass.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        fail(f"is {kind_of(value)} where a whole number is needed")
    if type(value) is not Plain:
        if _INTEGER.fullmatch(value):
            fail(f'is the text "{value[:30]}", not a number', "remove the quotes")
        fail(f"is the text {quoted(value)} where a whole number is needed")
    if _INTEGER.fullmatch(value) and len(value) <= _MAX_DIGITS:
        number = int(value)
        if str(abs(number)) != value.lstrip("+-"):
            fail(f"has leading zeros ({quoted(value)})", f"write `{number}`")
        if -_64_BIT <= number < _64_BIT:
            return number
    if _INTEGER.fullmatch(value):
        fail("is too large a number", "write a smaller one")
    meant = _meant(value)
    fail(
        f"is {quoted(value)} where a whole number is needed",
        f"write `{meant}`" if meant is not None else "write decimal digits only, such as `10`",
    )


def at_least(least: int, why: str, hint: str = "") -> Callable[[Any], int]:
    """Give what takes a whole number from `least` on; `why` says what a lower one would break."""

    def take(value: Any) -> int:
        number = whole_number(value)
        if number < least:
            fail(f"is {number}; {why}", hint)
        return number

    return take


def _meant(value: str) -> int | None:
    """Guess the whole number that another notation means, for the hint only."""
    if len(value) > _MAX_DIGITS:
        return None
    if _BASED.fullmatch(value):
        return int(value, 0)
    plain = value.replace("_", "").replace(",", "")
    if _INTEGER.fullmatch(plain):
        return int(plain)
    if _FLOAT.fullmatch(value):
        number = float(value)
        if math.isfinite(number) and number.is_integer() and abs(number) < _64_BIT:
            return int(number)
    return None


def core(value: Any, path: Path, problems: list[Problem]) -> Any:
    """Resolve a tree of scalars by the YAML 1.2 core schema into JSON values.

    Stricter in what would surprise: `.inf`, `.nan` and integers over 64 bit have no JSON; an
    unquoted `+919876543210` would lose its `+` and `0123` its zero, so both ask for quotes. Adds
    what it refuses to `problems`. Recurses as deep as the reader lets collections nest.
    """
    if isinstance(value, dict):
        return {str(key): core(inner, (*path, key), problems) for key, inner in value.items()}
    if isinstance(value, list):
        return [core(inner, (*path, index), problems) for index, inner in enumerate(value)]
    if type(value) is not Plain:
        return value
    try:
        return _core_scalar(value)
    except Unfit as error:
        problems.append(Problem(path, error.message, error.hint))
        return None


def _core_scalar(value: str) -> Any:
    if value in NULLS:
        return None
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if _INTEGER.fullmatch(value):
        return _core_integer(value)
    if _BASED.fullmatch(value):
        if len(value) > _MAX_DIGITS or int(value, 0) >= _64_BIT:
            fail(f"{quoted(value)} does not fit into 64 bits", "put it in quotes, as text")
        return int(value, 0)
    if _FLOAT.fullmatch(value):
        number = float(value)
        if not math.isfinite(number):
            fail(f"{quoted(value)} is too large a number", "put it in quotes, as text")
        return number
    if _NO_NUMBER.fullmatch(value):
        fail(f"{quoted(value)} cannot be sent: JSON has no such number", "put it in quotes")
    return str(value)


def _core_integer(value: str) -> int:
    if _PHONE_LIKE.fullmatch(value):
        fail(
            f"{quoted(value)} would be read as a number and lose its `+`",
            "put it in quotes",
        )
    digits = value.lstrip("+-")
    if len(digits) > 1 and digits.startswith("0"):
        fail(
            f"{quoted(value)} would be read as a number and lose its leading zero",
            "put it in quotes if it is text, or write the number without the zero",
        )
    if len(value) > _MAX_DIGITS or not -_64_BIT <= int(value) < _64_BIT:
        fail(f"{quoted(value)} does not fit into 64 bits", "put it in quotes, as text")
    return int(value)
