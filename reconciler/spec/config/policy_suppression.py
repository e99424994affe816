"""The shape of `policy.suppression`: do-not-call lists, what each is for, and how old it may be."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.spec.clearance import MOST_NAMES, Day, Names
from reconciler.spec.config.durations import DURATION_SCHEMA
from reconciler.spec.config.setting_rules import lasting
from reconciler.spec.fields import Model, Text
from reconciler.spec.lists.list_rules import SEALED
from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice
from reconciler.spec.yaml.scalars import at_least, fail, kind_of, text

FORMATS = (".csv", ".txt")
"""How lists of numbers are written, by the suffix of their files."""

MAX_AGE = 30 * 86_400.0
"""Seconds that a list may be old where nothing is said: the usual month between scrubs."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA256_SCHEMA = {"type": ["string", "number"], "pattern": "^[0-9a-fA-F]{64}$"}
_NAME = re.compile(r"[^\s`]{1,64}")
_DAY_IN_NAME = re.compile(r"(?<![0-9])([0-9]{4})([-_]?)([0-9]{2})\2([0-9]{2})(?![0-9])")


def _name(value: Any) -> str:
    written = text(value).strip()
    if _NAME.fullmatch(written) is None or not written.isprintable():
        fail(f"is {quoted(written)}; a name has no spaces", "write a short one: `national-dnd`")
    return written


_max_age = lasting(
    "a list is some hours old when it is used", "write how long a scrub holds: `30d`"
)


def _action(value: Any) -> str:
    return choice(value, ["exclude", "refuse"])


def _sha256(value: Any) -> str:
    written = text(value).lower()
    if _SHA256.fullmatch(written) is None:
        fail(f"is {quoted(written)}, not 64 hexadecimal digits", "`sha256sum FILE` says it")
    return written


_count = at_least(1, "a list has at least one number", "count the lines with a number")


def _lists(value: Any) -> Any:
    if not isinstance(value, list):
        fail(f"is {kind_of(value)} where a list is needed", "write `- name: …` lines below it")
    if len(value) > MOST_NAMES:
        fail(f"has {len(value):,} entries; {MOST_NAMES} are the most")
    return value


def day_in(path: str) -> dt.date | None:
    """Give the day that the name of a file says, `dnd-2026-11-20.csv`; None unless it says one."""
    days = set()
    for found in _DAY_IN_NAME.finditer(os.path.basename(path)):  # noqa: PTH119 - may be an address
        try:
            days.add(dt.date(int(found[1]), int(found[3]), int(found[4])))
        except ValueError:
            continue
    return days.pop() if len(days) == 1 else None


class Suppression(Model):
    """A do-not-call list. One that lies elsewhere must be pinned."""

    name: Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string"})]
    """What the list is called wherever its people are counted."""
    file: Text
    """A `.csv` or `.txt` file: its path below the batches root, or its address elsewhere. With
    `.age` after its suffix it is encrypted."""
    column: Text | None = None
    """The header of the column with the numbers. A list of one number a line needs none."""
    date: Day | None = None
    """The day the list was drawn. Can be left out where the file's name says one day."""
    max_age: Annotated[float, BeforeValidator(_max_age), WithJsonSchema(DURATION_SCHEMA)] = MAX_AGE
    """How old it may be: counted from the beginning of its day, in UTC. Older refuses."""
    campaigns: Names | None = None
    """The campaigns it is for. Absent: all."""
    action: Annotated[Literal["exclude", "refuse"], BeforeValidator(_action)] = "exclude"
    """Whether people on it are left out of a batch, or the batch is refused."""
    sha256: Annotated[str, BeforeValidator(_sha256), WithJsonSchema(_SHA256_SCHEMA)] | None = None
    """The SHA-256 of the file as it lies there."""
    count: Annotated[int, Field(ge=1), BeforeValidator(_count)] | None = None
    """How many lines of it hold a number."""

    @model_validator(mode="after")
    def _dated(self) -> Suppression:
        if self.drawn is None:
            fail(
                f"has a list {quoted(self.name)} without a date",
                "write `date: 2026-11-20`: the day the list was drawn",
            )
        return self

    @property
    def drawn(self) -> dt.date | None:
        """The day the list was drawn, by what is written or by the file's name."""
        return self.date or day_in(self.file.removesuffix(SEALED))


def _apart(lists: tuple[Suppression, ...]) -> tuple[Suppression, ...]:
    names = [each.name for each in lists]
    twice = next((each for index, each in enumerate(names) if each in names[:index]), None)
    if twice is not None:
        fail(f"has two lists called {quoted(twice)}", "people are counted by these names")
    return lists


Suppressions = Annotated[tuple[Suppression, ...], BeforeValidator(_lists), AfterValidator(_apart)]
"""Several do-not-call lists, each with a name of its own."""
