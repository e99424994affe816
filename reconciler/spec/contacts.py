"""Contacts: a fast check that all are sound, and an exact one that says which is not and why.

Both hold contacts to the same rules: an E.164 number that no other contact of the batch has, and
call variables that are text, `callee_name` among them and not blank.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler.spec.problems import FIRST, Problem, did_you_mean, quoted, shown_number
from reconciler.spec.rules import E164

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_E164 = re.compile(E164.rstrip("$") + r"\Z", re.ASCII)
_ALL_E164 = re.compile(r"(?:\+[1-9][0-9]{6,14}\n)*+", re.ASCII)
_FIELDS = ("phone_number", "call_variables")
_NAME = "callee_name"
_INSTEAD = {
    **dict.fromkeys(
        ("phone", "number", "mobile", "tel", "telephone", "to", "msisdn", "cell"), "phone_number"
    ),
    **dict.fromkeys(("variables", "vars", "callvariables", "call_vars"), "call_variables"),
}
_INLINE_HINT = 'write `- phone_number: "+14155550123"`, and `call_variables:` below it'
_NAME_HINT = "write `callee_name: …` within `call_variables`: the agent greets people with it"


def all_sound(contacts: list[Any]) -> bool:
    """Tell whether every contact keeps every rule. False says nothing about which or why.

    `contacts` come from `spec.yaml.builder` or `spec.lists.csv_list`: a mapping has text
    keys, and values that are text or mappings of text.
    """
    try:
        numbers = [contact["phone_number"] for contact in contacts]
        for contact in contacts:
            if not contact["call_variables"][_NAME].strip() or len(contact) != len(_FIELDS):
                return False
            if type(contact["call_variables"]) is not dict:
                return False
        joined = "\n".join(numbers)
    except (KeyError, TypeError, AttributeError):
        return False
    if not numbers or len(set(numbers)) != len(numbers):
        return False
    # A line break within a number would make one number look like two.
    if joined.count("\n") != len(numbers) - 1:
        return False
    return _ALL_E164.fullmatch(joined + "\n") is not None


def contact_problems(contacts: Iterable[Any], name_hint: str = _NAME_HINT) -> Iterator[Problem]:
    """Find everything that is wrong with contacts, in their order. Paths begin with `contacts`.

    `name_hint` says how to give a contact without one a `callee_name`.
    """
    first: dict[str, int] = {}
    empty = True
    for index, contact in enumerate(contacts):
        empty = False
        path = ("contacts", index)
        if not isinstance(contact, dict):
            kind = "is not a contact"
            yield Problem(path, f"this {kind}", _INLINE_HINT, kind)
            continue
        yield from _field_problems(contact, index)
        yield from _number_problems(contact, index, first)
        yield from _variable_problems(contact, index, name_hint)
    if empty:
        hint = "add at least one, or delete the spec"
        yield Problem(("contacts",), "there are no contacts", hint)


def _meant(name: str) -> str | None:
    """Find the field of a contact that a name stands for, or None."""
    plain = name.lower().replace("-", "_")
    return _INSTEAD.get(plain) or did_you_mean(name, _FIELDS)


def _field_problems(contact: dict[str, Any], index: int) -> Iterator[Problem]:
    """Find fields that a contact does not have, and say what was probably meant."""
    for name in contact:
        if name in _FIELDS:
            continue
        meant = _meant(name)
        kind = f"unknown field {quoted(name)}"
        hint = (
            f"did you mean `{meant}`?" if meant else f"move {quoted(name)} below `call_variables`"
        )
        yield Problem(("contacts", index, name), kind, hint, kind, at_key=True)


def _number_problems(
    contact: dict[str, Any], index: int, first: dict[str, int]
) -> Iterator[Problem]:
    """Find what is wrong with a contact's number, and whether it was there before."""
    path = ("contacts", index, "phone_number")
    if "phone_number" not in contact:
        if any(_meant(name) == "phone_number" for name in contact):
            return  # said already, at the field that it should be
        kind = "`phone_number` is missing"
        yield Problem(path, kind, _INLINE_HINT, kind)
        return
    number = contact["phone_number"]
    if not isinstance(number, str):
        kind = "is not text"
        yield Problem(path, f"`phone_number` {kind}", _INLINE_HINT, kind)
        return
    if _E164.match(number) is None:
        from reconciler.spec.phones import explain  # noqa: PLC0415 - only for mistakes

        bad = explain(number)
        yield Problem(path, bad.message, bad.hint, bad.kind)
        return
    before = first.setdefault(number, index)
    if before != index:
        kind = "is in this batch twice"
        yield Problem(
            path,
            f"{shown_number(number)} {kind}; first {FIRST}",
            "keep one of the two contacts",
            kind,
            first=("contacts", before, "phone_number"),
        )


def _variable_problems(contact: dict[str, Any], index: int, name_hint: str) -> Iterator[Problem]:
    """Find what is wrong with a contact's call variables."""
    path = ("contacts", index, "call_variables")
    variables = contact.get("call_variables")
    if variables is None and any(_meant(name) == "call_variables" for name in contact):
        return  # said already, at the field that it should be
    if variables is None or variables == "":
        kind = "`call_variables` with a `callee_name` is missing"
        yield Problem(path, kind, _NAME_HINT, kind)
        return
    if not isinstance(variables, dict):
        kind = "`call_variables` is not a mapping"
        yield Problem(path, kind, "write `callee_name: …` lines below it", kind)
        return
    for name, value in variables.items():
        if not isinstance(value, str):
            kind = f"call variable {quoted(name)} is not text"
            hint = "a call variable is one text; put it in quotes if it has braces or brackets"
            yield Problem((*path, name), kind, hint, kind)
    if _NAME not in variables:
        meant = did_you_mean(_NAME, [name for name in variables if name.isidentifier()])
        meant = meant or next((n for n in variables if did_you_mean(n, [_NAME])), None)
        kind = "`callee_name` is missing"
        hint = f"rename {quoted(meant)} to `callee_name`" if meant else name_hint
        yield Problem((*path, _NAME), kind, hint, kind)
    elif isinstance(variables[_NAME], str) and not variables[_NAME].strip():
        kind = "`callee_name` is blank"
        yield Problem((*path, _NAME), kind, "write the name the agent greets the person with", kind)
