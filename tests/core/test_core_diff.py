from __future__ import annotations

import pytest

from reconciler.model import without_numbers
from reconciler.plan.actions import FieldChange
from reconciler.plan.diff import field_changes
from tests.core.builders import created, generation, people, request, spec


@pytest.mark.parametrize(
    ("before", "after", "expected", "reason"),
    [
        (
            {"concurrency_limit": 5},
            {"concurrency_limit": 10},
            [FieldChange("concurrency_limit", 5, 10)],
            "a value changed",
        ),
        ({}, {"concurrency_limit": 10}, [FieldChange("concurrency_limit", None, 10)], "added"),
        ({"concurrency_limit": 5}, {}, [FieldChange("concurrency_limit", 5, None)], "removed"),
        (
            {"metadata": {"wave": 1, "team": "a"}},
            {"metadata": {"wave": 2, "team": "a"}},
            [FieldChange("metadata.wave", 1, 2)],
            "what stands inside an object is named by its path",
        ),
        (
            {"metadata": {"tags": ["a", "b"]}},
            {"metadata": {"tags": ["a", "c"]}},
            [FieldChange("metadata.tags.1", "b", "c")],
            "and inside a list by its place",
        ),
        (
            {"max_retries_override": 1, "concurrency_limit": 1},
            {"max_retries_override": 2, "concurrency_limit": 2},
            [FieldChange("concurrency_limit", 1, 2), FieldChange("max_retries_override", 1, 2)],
            "several are sorted by name",
        ),
        ({"x": 10}, {"x": 10.0}, [FieldChange("x", 10, 10.0)], "another type is another value"),
    ],
)
def test_fields_that_differ_are_listed(
    before: dict[str, object], after: dict[str, object], expected: list[FieldChange], reason: str
) -> None:
    """Each field that differs is named with both its values."""
    changes = field_changes(generation(spec(**before)), spec(**after))  # type: ignore[arg-type]  # a table's values
    assert list(changes) == expected, reason


def test_contacts_are_counted_and_never_shown() -> None:
    """Another number of people is two numbers."""
    old, new = spec(n=2), spec(n=5)
    assert field_changes(generation(old), new) == (FieldChange("contacts", 2, 5),)


def test_other_people_are_told_without_saying_who() -> None:
    """The same number of other people is a change of contacts, with no number in it."""
    old = spec()
    other = request()
    changed = spec()
    moved = other.__class__(1, other.fields, people(2, first=900), "v1:" + "0" * 64)
    changed = changed.__class__(changed.name, changed.file, changed.path, (moved,))
    (change,) = field_changes(generation(old), changed)
    assert change.field == "contacts"
    assert "+91" not in repr(change)


def test_numbers_in_fields_are_masked() -> None:
    """A number in a field is masked where it is recorded, and where its change is shown."""
    old = spec(metadata={"callback": "+919876543210"})
    recorded = generation(old, created(old))
    kept = recorded.__class__(
        generation=1,
        campaign_id=recorded.campaign_id,
        fields=without_numbers(dict(recorded.fields)),
        source=recorded.source,
        requests=recorded.requests,
    )
    assert "+919876543210" not in repr(kept)
    new = spec(metadata={"callback": "+14155550199"})
    (change,) = field_changes(kept, new)
    assert change == FieldChange("metadata.callback", "+91********10", "+14*******99")
