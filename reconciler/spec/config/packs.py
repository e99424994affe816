"""Packs: versioned sets of rules that come with the reconciler, each citing where it is from.

They are data files beside this module, of the same form as a root's own `policy`. A pack can only
tighten: it is judged beside the root's own rules, and takes none of them away. It is help with the
law as somebody understood it on the day it says, and no legal advice.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reconciler.spec.clearance import Day, Names
from reconciler.spec.config.policy import Policy
from reconciler.spec.fields import Model, Text
from reconciler.spec.rules import mapping
from reconciler.spec.yaml.documents import read_document
from reconciler.spec.yaml.scalars import fail, text, whole_number

NOTICE = "help with keeping the law, not legal advice"
"""What is said of every pack, wherever packs are told of."""


def _notice(value: Any) -> str:
    if text(value) != NOTICE:
        fail("is not what a pack must say of itself", f"write `{NOTICE}`")
    return NOTICE


def _sources(value: Any) -> dict[str, str]:
    return {str(rule): text(source) for rule, source in mapping(value).items()}


class Scope(Model):
    """Whose calls a pack is about: by country, or by how the number begins."""

    regions: Names = ()
    """ISO 3166 codes, as `IN`."""
    prefixes: Names = ()
    """Beginnings of numbers, as `+1305`."""


class Pack(Model):
    """One pack."""

    version: Annotated[int, Field(ge=1), BeforeValidator(whole_number)]
    """Counted up whenever a rule changes."""
    title: Text
    """What the rules are from."""
    as_of: Day
    """The day on which the sources were last looked at."""
    notice: Annotated[str, BeforeValidator(_notice)]
    """What every pack says of itself, and every refusal by one of its rules."""
    scope: Scope
    """Whom it is about; everybody else is left to the other rules."""
    policy: Policy
    """The rules."""
    sources: Annotated[dict[str, str], BeforeValidator(_sources)]
    """Where each rule is from, with its date."""


@cache
def pack(name: str) -> Pack:
    """Give a pack by its name, one of `PACKS` in `reconciler.spec.config.policy`."""
    data = files("reconciler.spec.config").joinpath("packs", f"{name}.yaml").read_bytes()
    document = read_document(data).document
    return Pack.model_validate(document.value if document else None)
