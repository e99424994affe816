"""Contacts kept as JSON are a sequence like any other."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from reconciler.digest import request_digest
from reconciler.spec.packed import Packed

if TYPE_CHECKING:
    from reconciler.model import Contact

CONTACTS: list[Contact] = [
    {"phone_number": "+14155550109", "call_variables": {"zz": "last", "callee_name": "Ünal 🙂"}},
    {"call_variables": {"callee_name": "Asha"}, "phone_number": "+14155550100"},
]


def test_packed_contacts_are_the_contacts() -> None:
    """Order, keys' order, slices and length are those of the list; so is the digest."""
    packed = Packed(CONTACTS)
    assert list(packed) == CONTACTS
    assert [list(one) for one in packed] == [list(one) for one in CONTACTS]
    assert list(packed[0]["call_variables"]) == ["zz", "callee_name"]
    assert (len(packed), packed[-1], packed[1:]) == (2, CONTACTS[1], CONTACTS[1:])
    assert request_digest({"campaign_id": "c"}, packed) == request_digest(
        {"campaign_id": "c"}, CONTACTS
    )


def test_packed_contacts_equal_the_same_contacts() -> None:
    """They equal a list of the same contacts in the same order, and nothing else."""
    packed = Packed(CONTACTS)
    assert packed == CONTACTS
    assert packed == Packed([{"call_variables": {**c["call_variables"]}, **c} for c in CONTACTS])
    assert packed != Packed(CONTACTS[::-1])
    assert packed != CONTACTS[:1]
    assert pickle.loads(pickle.dumps(packed)) == packed  # noqa: S301 - made here


def test_packed_contacts_show_no_number() -> None:
    """Where a request is printed by mistake, nobody's number is."""
    assert repr(Packed(CONTACTS)) == "<2 contacts>"
