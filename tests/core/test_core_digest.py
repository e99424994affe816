from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.digest import DIGEST_VERSION, request_digest, request_key
from reconciler.model import Contact

if TYPE_CHECKING:
    import random

# Pinned for ever: see the file's own first line. A change that needs another digest is a new
# version beside v1, with goldens of its own.
GOLDEN = orjson.loads((Path(__file__).parent / "golden" / "digests_v1.json").read_bytes())
CHUNK = 2_000


def contacts_of(case: dict[str, Any]) -> list[Contact]:
    """Give a golden case's contacts: as written, or so many made by a rule that never changes."""
    if "contacts" in case:
        return list(case["contacts"])
    return [
        {
            "phone_number": f"+91{7_000_000_000 + 37 * i % 1_000_003:010d}",
            "call_variables": {"callee_name": f"Nämé {i}", "n": i, "ratio": i / 4},
        }
        for i in range(case["generated_contacts"])
    ]


def slow_digest(fields: dict[str, Any], contacts: list[Contact]) -> str:
    """Digest the whole document at once, as the definition says: the obvious reference."""
    document = {name: value for name, value in fields.items() if value is not None}
    metadata = dict(document.pop("metadata", {}))
    metadata.pop("reconciler", None)
    if metadata:
        document["metadata"] = metadata
    document["contacts"] = sorted(contacts, key=lambda contact: contact["phone_number"])
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return "v1:" + hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("case", GOLDEN["requests"], ids=lambda case: str(case["what"]))
def test_digests_never_change(case: dict[str, Any]) -> None:
    """A pinned request has its pinned digest, or every unchanged spec would look changed."""
    assert request_digest(case["fields"], contacts_of(case)) == case["digest"]


def test_the_goldens_cover_what_they_should() -> None:
    """There are golden requests on both sides of a chunk's boundary, and none stands twice."""
    cases = GOLDEN["requests"]
    assert len(cases) >= 12
    assert len({case["digest"] for case in cases}) == len(cases)
    assert {CHUNK, CHUNK + 1, 2 * CHUNK + 1} <= {c.get("generated_contacts") for c in cases}
    assert DIGEST_VERSION == "v1"


@pytest.mark.parametrize("case", GOLDEN["keys"], ids=lambda case: str(case["what"]))
def test_keys_never_change(case: dict[str, Any]) -> None:
    """A pinned request has its pinned key, or an attempt in doubt would not be found again."""
    assert request_key(**case["of"]) == case["key"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"lineage": "fedcba"}, "two repositories may both have a `welcome`"),
        ({"name": "welcome2"}, "two specs may have the same contents"),
        ({"generation": 2}, "a reverted spec's second creation is another one"),
        ({"part": 2}, "two parts are two batches"),
        ({"digest": "v1:" + "1" * 64}, "other contents are another request"),
        ({"name": "welcome\x001", "generation": 1}, "fields do not run into each other"),
    ],
)
def test_a_key_depends_on_each_of_its_arguments(changed: dict[str, Any], reason: str) -> None:
    """Every argument that differs gives another key."""
    base: dict[str, Any] = {
        "lineage": "abcdef",
        "name": "welcome",
        "generation": 1,
        "part": 1,
        "digest": "v1:" + "0" * 64,
    }
    assert request_key(**base) != request_key(**{**base, **changed}), reason


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
field_names = st.sampled_from(
    ["scheduled_start", "concurrency_limit", "call_context", "organization_id", "zz", "Ä", "b"]
)
request_fields = st.fixed_dictionaries(
    {"campaign_id": texts},
    optional={"metadata": st.dictionaries(texts, values, max_size=3)},
).flatmap(
    lambda base: st.dictionaries(field_names, values, max_size=4).map(lambda more: {**more, **base})
)
contact_lists = st.lists(
    st.builds(
        lambda number, variables: Contact(
            phone_number=f"+91{number:08d}", call_variables=variables
        ),
        st.integers(0, 10**8 - 1),
        st.dictionaries(texts, values, max_size=2),
    ),
    max_size=5,
    unique_by=lambda contact: contact["phone_number"],
)


def shuffled(value: Any, order: random.Random) -> Any:
    """Give the same JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    if isinstance(value, list):
        return [shuffled(each, order) for each in value]
    return value


@given(request_fields, contact_lists)
def test_a_digest_is_what_its_definition_says(
    fields: dict[str, Any], contacts: list[Contact]
) -> None:
    """The digest in pieces equals that of the whole sorted document."""
    assert request_digest(fields, contacts) == slow_digest(fields, contacts)


@given(request_fields, contact_lists, st.randoms(use_true_random=False))
def test_order_is_no_change(
    fields: dict[str, Any], contacts: list[Contact], order: random.Random
) -> None:
    """The order of keys, at every depth, and of contacts does not matter."""
    mixed = shuffled(contacts, order)
    order.shuffle(mixed)
    assert request_digest(shuffled(fields, order), mixed) == request_digest(fields, contacts)


@given(request_fields, contact_lists, values)
def test_our_own_marker_and_absences_are_no_change(
    fields: dict[str, Any], contacts: list[Contact], marker: Any
) -> None:
    """A null is an absence, empty metadata too, and `metadata.reconciler` is never looked at."""
    plain = request_digest(fields, contacts)
    metadata = fields.get("metadata") or {}
    own = metadata.get("reconciler")
    assert request_digest({**fields, "max_retries_override": None}, contacts) == plain
    with_marker = {**fields, "metadata": {**metadata, "reconciler": marker}}
    assert request_digest(with_marker, contacts) == plain
    if not metadata or (own is not None and len(metadata) == 1):
        assert request_digest({**fields, "metadata": None}, contacts) == plain
        assert request_digest({**fields, "metadata": {}}, contacts) == plain


@given(request_fields, contact_lists, st.data())
def test_any_changed_field_is_a_change(
    fields: dict[str, Any], contacts: list[Contact], data: st.DataObject
) -> None:
    """Another value of any field gives another digest."""
    name = data.draw(st.sampled_from(sorted({*fields, "brand_new"} - {"metadata"})))
    before, after = fields.get(name), data.draw(values)
    changed = request_digest({**fields, name: after}, contacts) != request_digest(fields, contacts)
    assert changed == (canonical(before) != canonical(after))


@given(contact_lists.filter(bool), st.data())
def test_any_changed_person_is_a_change(contacts: list[Contact], data: st.DataObject) -> None:
    """Another number, another variable, one person more or one less gives another digest."""
    fields = {"campaign_id": "cmp_a"}
    before = request_digest(fields, contacts)
    i = data.draw(st.integers(0, len(contacts) - 1))
    rest = contacts[:i] + contacts[i + 1 :]
    assert request_digest(fields, rest) != before
    stranger = Contact(phone_number="+14155550100", call_variables={})
    assert request_digest(fields, [*contacts, stranger]) != before
    moved = Contact(phone_number="+14155550100", call_variables=contacts[i]["call_variables"])
    assert request_digest(fields, [*rest, moved]) != before
    variables = {**contacts[i]["call_variables"], "brand_new": data.draw(scalars)}
    told = Contact(phone_number=contacts[i]["phone_number"], call_variables=variables)
    if "brand_new" not in contacts[i]["call_variables"]:
        assert request_digest(fields, [*rest, told]) != before


def canonical(value: Any) -> bytes:
    """Give a value's canonical JSON: 1 and 1.0 are two, and so are 0.0 and -0.0."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1]),
    st.randoms(use_true_random=False),
)
def test_the_boundary_between_chunks_leaves_no_trace(n: int, order: random.Random) -> None:
    """A list of any length, in any order, digests as if it had been serialised whole."""
    contacts = contacts_of({"generated_contacts": n})
    order.shuffle(contacts)
    fields = {"campaign_id": "cmp_a", "zz": "after the contacts"}
    assert request_digest(fields, contacts) == slow_digest(fields, contacts)


def test_ints_and_floats_are_two_values() -> None:
    """`10` and `10.0` are written differently, so they are sent differently."""
    assert request_digest({"campaign_id": "c", "call_context": {"a": 10}}, []) != request_digest(
        {"campaign_id": "c", "call_context": {"a": 10.0}}, []
    )
