"""What each field of a spec takes: one function a field, from what was written to what it means.

The models in `reconciler.spec.models` are made of these, and so is the quick way around them in
`reconciler.spec.quick`. Each raises `Unfit` for what its field does not take. Imports no pydantic:
most commands meet nothing but sound specs, and get by without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model import Lifecycle, OnChange
from reconciler.spec.names import name_problem, normalised
from reconciler.spec.problems import did_you_mean, quoted
from reconciler.spec.schedule import BadSchedule, normalise
from reconciler.spec.yaml.scalars import at_least, fail, is_null, kind_of, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rules = Mapping[str, Callable[[Any], Any]]
    """A field's name → what it takes."""

E164 = r"^\+[1-9][0-9]{6,14}$"
"""A phone number as the API takes it: `+`, country code, number; 7 to 15 digits in all."""


def ruled(written: dict[str, Any], fields: Rules) -> dict[str, Any]:
    """Read fields by their rules, absent ones left out.

    Raises `Unfit` for a value that its field does not take, `KeyError` for a field without a rule.
    """
    values = {}
    for field, value in written.items():
        rule = fields[field]
        if not is_null(value):
            values[field] = rule(value)
    return values


def mapping(value: Any) -> dict[str, Any]:
    """Take a mapping."""
    if not isinstance(value, dict):
        fail(f"is {kind_of(value)} where a mapping is needed", "write `name: value` lines below it")
    return value


def choice(value: Any, allowed: list[str]) -> str:
    """Take one of a few words."""
    written = text(value)
    if written not in allowed:
        meant = did_you_mean(written, allowed)
        listed = ", ".join(f"`{word}`" for word in allowed)
        fail(
            f"is {quoted(written)}; it can be {listed}",
            f"did you mean `{meant}`?" if meant else "",
        )
    return written


def campaign_id(value: Any) -> str:
    """Take an id without spaces."""
    written = text(value)
    if not written.isprintable() or any(char.isspace() for char in written):
        fail(f"is {quoted(written)}, with a space or an invisible character in it", "take that out")
    return written


def scheduled_start(value: Any) -> str:
    """Take a start time, and give it as it is sent."""
    try:
        return normalise(text(value))
    except BadSchedule as error:
        fail(error.message, error.hint)


concurrency_limit = at_least(
    1, "at least 1 is needed", "delete the field to use the campaign's limit"
)
"""Take a number of calls: at least 1."""

max_retries_override = at_least(0, "it cannot be negative", "write 0 for no retries")
"""Take a number of retries: 0 or more."""


def metadata(value: Any) -> dict[str, Any]:
    """Take a mapping without our own key."""
    if "reconciler" in mapping(value):
        fail("has a key `reconciler`, which is reserved for this tool", "choose another name")
    return mapping(value)


max_contacts = at_least(1, "a batch has at least 1 contact", "delete `split` to cut nothing")
"""Take the most contacts of one batch: at least 1."""


def name(value: Any) -> str:
    """Take a spec's name, and give its one spelling."""
    spelled = normalised(text(value))
    problem = name_problem(spelled)
    if problem is not None:
        fail(problem, "a name looks like `renewals/2026-05`")
    return spelled


def lifecycle(value: Any) -> Lifecycle:
    """Take what a batch should be doing."""
    return Lifecycle(choice(value, [str(word) for word in Lifecycle]))


def on_change(value: Any) -> OnChange:
    """Take whom a changed spec calls."""
    return OnChange(choice(value, [str(word) for word in OnChange]))
