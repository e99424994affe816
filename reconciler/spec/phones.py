"""What is wrong with a phone number, in words that help to mend it.

A number is never repaired: a guess that is wrong rings a stranger. Every message shows the number
masked only.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from reconciler.spec.problems import shown_number

_SCIENTIFIC = re.compile(r"\+?[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")
_DECIMAL = re.compile(r"\+?[0-9]{5,}[.,]0+")
_LONGEST = 100
"""No number is this long, and the searches below take time on what is."""

_MIN_DIGITS, _MAX_DIGITS = 7, 15
_E164_HINT = "write `+`, country code and number, digits only, such as `+14155550123`"
_TEXT_HINT = "format the column as text in the spreadsheet, and export it again"
_APOSTROPHE_HINT = "delete the apostrophe; `reconciler results` writes it in CSV, and none in JSONL"


@dataclass(frozen=True, slots=True)
class BadNumber:
    """Why a text is no E.164 number. `kind` is the short form that is alike for alike mistakes."""

    kind: str
    message: str
    hint: str


def explain(number: str) -> BadNumber:
    """Say why a text that does not match E.164 is no phone number."""
    kind, hint = _reason(number)
    what = f"{shown_number(number)} {kind}" if number else kind
    return BadNumber(kind, what, hint)


def _reason(number: str) -> tuple[str, str]:
    if not number.strip():
        return "the phone number is empty", "write the number, or delete the contact"
    if len(number) > _LONGEST:
        return f"is too long: more than {_LONGEST} characters", _E164_HINT
    for char in number:
        odd = _odd_character(char)
        if odd:
            return odd, "type the number anew: copied text carries characters nobody sees"
    spoilt = _of_a_spreadsheet(number)
    if spoilt is not None:
        return spoilt
    if re.search(r"[0-9]{5,}\s*[/,;|&]\s*\+?[0-9]{5,}", number):
        return "holds more than one number", "write one contact for each number to call"
    if any(char.isalpha() for char in number):
        return "contains letters", _E164_HINT
    if re.search(r"[^0-9+]", number):
        return "contains spaces, dashes or other marks", _E164_HINT
    return _wrong_digits(number)


def _of_a_spreadsheet(number: str) -> tuple[str, str] | None:
    """Tell what a spreadsheet made of a number; None where it was none."""
    if number.startswith("'"):
        return "has an apostrophe before it, as tables for spreadsheets do", _APOSTROPHE_HINT
    if number.startswith("="):
        return "is a formula of a spreadsheet", f"write what it gives; {_TEXT_HINT}"
    if _SCIENTIFIC.fullmatch(number):
        return (
            "is in the scientific notation of a spreadsheet: digits are lost",
            f"take the number from where it came from; {_TEXT_HINT}",
        )
    if _DECIMAL.fullmatch(number):
        return "is a decimal number, as spreadsheets write them", _TEXT_HINT
    return None


def _wrong_digits(number: str) -> tuple[str, str]:
    """Tell what is wrong with digits and plus signs."""
    if number.startswith("00"):
        return "begins with 00 in place of `+`", "write `+` for the 00"
    if "+" in number[1:]:
        return "has a `+` that is not at its beginning", _E164_HINT
    if not number.startswith("+"):
        if number.startswith("0"):
            return "has no country code", "write `+` and the country code for the leading 0"
        return "does not begin with `+` and the country code", _E164_HINT
    if number.startswith("+0"):
        return "has a country code that begins with 0", "no country's code begins with 0"
    digits = len(number) - 1
    if digits < _MIN_DIGITS:
        return f"is too short: {digits} digits, at least {_MIN_DIGITS} are needed", _E164_HINT
    return f"is too long: {digits} digits, at most {_MAX_DIGITS} are allowed", _E164_HINT


def _odd_character(char: str) -> str | None:
    """Name a character that looks like nothing, or like a digit that it is not."""
    if char.isascii():
        if char.isprintable():
            return None
        named = {"\t": "a tab", "\n": "a line break", "\r": "a line break"}.get(char)
        return f"contains {named or f'the control character U+{ord(char):04X}'}"
    code = f"U+{ord(char):04X}"
    name = unicodedata.name(char, "unnamed")
    category = unicodedata.category(char)
    if category[0] in "CZ":
        return f"contains the invisible character {code} ({name})"
    if category == "Nd":
        return f"contains {code} ({name}), which is not one of the digits 0 to 9"
    if category[0] == "L":
        return None
    return f"contains {code} ({name})"
