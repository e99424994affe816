"""A document held against the shape of a spec: quickly where it is sound, thoroughly where not.

The models say what a spec is and find every mistake, but importing pydantic and building them takes
longer than all the rest of a small plan. So a document is first taken through the rules that the
models are made of, one field after the other. Whatever that does not take (a mistake, a field it
does not know) is the models' to judge: it never refuses anything itself. Tests hold the two ways
against each other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.model import Clearance, Lifecycle, OnChange
from reconciler.spec import rules
from reconciler.spec.lists.list_rules import list_file
from reconciler.spec.yaml.scalars import Unfit, text

if TYPE_CHECKING:
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.problems import Collector
    from reconciler.spec.rules import Rules

SENT = (
    "campaign_id",
    "organization_id",
    "scheduled_start",
    "concurrency_limit",
    "max_retries_override",
)
"""The fields that are sent as the models read them, in the order of the API."""


_NOTHING_SAID = Clearance()


class Checked(Struct, frozen=True):
    """What a sound spec says besides its contacts and the fields whose content is the user's own.

    `fields` are those of `SENT` that are there. `name` is None where the path says it.
    """

    fields: dict[str, Any]
    name: str | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    on_change: OnChange = OnChange.REMAINING
    max_contacts: int | None = None
    clearance: Clearance = _NOTHING_SAID


def check(document: dict[str, Any], collector: Collector) -> Checked | None:
    """Say what a document says; None when something is wrong, which is then in `collector`."""
    try:
        return _quickly(document)
    except (Unfit, KeyError):
        return _thoroughly(document, collector)


def contacts_file(written: dict[str, Any]) -> ListFile | None:
    """Read a `contacts` that is a mapping; None when something is wrong with it."""
    with suppress(Unfit, KeyError):
        return list_file(written)
    from pydantic import ValidationError  # noqa: PLC0415 - slow, see above

    from reconciler.spec.lists.list_model import ContactsFile  # noqa: PLC0415 - likewise

    try:
        return ContactsFile.model_validate(written).plain()
    except ValidationError:
        return None


def _quickly(document: dict[str, Any]) -> Checked:
    """Take every field through its rule. Raises `Unfit` or `KeyError` for the models to explain."""
    top = rules.ruled(document, _TOP)
    _ = top["contacts"]
    fields = {"campaign_id": top["campaign_id"]}
    fields.update({name: top[name] for name in SENT if name in top})
    return Checked(fields, **top.get("reconcile", {}))


def _contacts(value: Any) -> None:
    """Take contacts that stand in the spec, which are checked apart, or the name of their file."""
    if type(value) is dict:
        list_file(value)
    elif type(value) is not list:
        raise Unfit("")


def _section(value: Any) -> dict[str, Any]:
    """Take `reconcile`, as `Checked` calls what it says."""
    section = rules.ruled(rules.mapping(value), _TOOL)
    split = section.pop("split", None)
    return section if split is None else section | {"max_contacts": split["max_contacts"]}


def _split(value: Any) -> dict[str, int]:
    return rules.ruled(rules.mapping(value), {"max_contacts": rules.max_contacts})


_TOP: Rules = {
    "campaign_id": rules.campaign_id,
    "contacts": _contacts,
    "organization_id": text,
    "scheduled_start": rules.scheduled_start,
    "concurrency_limit": rules.concurrency_limit,
    "max_retries_override": rules.max_retries_override,
    "call_context": rules.mapping,
    "metadata": rules.metadata,
    "reconcile": _section,
}
_TOOL: Rules = {
    "name": rules.name,
    "lifecycle": rules.lifecycle,
    "on_change": rules.on_change,
    "split": _split,
}


def _thoroughly(document: dict[str, Any], collector: Collector) -> Checked | None:
    from pydantic import ValidationError  # noqa: PLC0415 - slow, see above

    from reconciler.spec.clearance import clearance_of  # noqa: PLC0415 - likewise
    from reconciler.spec.model_errors import model_problems  # noqa: PLC0415 - likewise
    from reconciler.spec.models import BatchSpec  # noqa: PLC0415 - likewise

    try:
        batch = BatchSpec.model_validate(document)
    except ValidationError as error:
        collector.extend(model_problems(error, BatchSpec))
        return None
    own = batch.reconcile
    values = {name: getattr(batch, name) for name in SENT}
    return Checked(
        {name: value for name, value in values.items() if value is not None},
        name=own.name,
        lifecycle=own.lifecycle,
        on_change=own.on_change,
        max_contacts=own.split.max_contacts if own.split else None,
        clearance=clearance_of(own),
    )
