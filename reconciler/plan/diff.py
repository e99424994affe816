"""What differs between a recorded generation and a spec, field by field.

Contacts are counted, never shown and never fed to deepdiff, which takes minutes on long lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model import kept_fields
from reconciler.plan.actions import FieldChange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model import Spec
    from reconciler.state.document import Generation


def field_changes(generation: Generation, spec: Spec) -> tuple[FieldChange, ...]:
    """List the fields that differ, by dotted path (`metadata.wave`) in order, then the contacts."""
    changes = list(_fields(generation.fields, kept_fields(spec.requests[0].fields)))
    before = sum(
        request.contacts if request.spec_contacts is None else request.spec_contacts
        for request in generation.requests
    )
    if before != spec.contacts:
        changes.append(FieldChange("contacts", before, spec.contacts))
    elif not changes:
        # The digest moved and no field did: the same number of people, but other ones or other
        # variables.
        changes.append(FieldChange("contacts", "as recorded", "other people or variables"))
    return tuple(changes)


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    from deepdiff import DeepDiff  # noqa: PLC0415 - 120 ms, and only a changed spec needs it

    difference = DeepDiff(dict(before), dict(after), view="tree", verbose_level=2)
    changes = [
        FieldChange(
            ".".join(str(step) for step in item.path(output_format="list")),
            None if item.t1.__class__.__name__ == "NotPresent" else item.t1,
            None if item.t2.__class__.__name__ == "NotPresent" else item.t2,
        )
        for group in difference.values()
        for item in group
    ]
    return sorted(changes, key=lambda change: change.field)
