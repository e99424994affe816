"""Fingerprints: what makes two requests the same, and the key a request is created under.

A digest is `v1:` and the SHA-256 of the request's canonical JSON (compact, UTF-8, keys sorted),
contacts sorted by phone number, without `metadata.reconciler`. So comments, key order, quoting and
the order of contacts are no change. Golden tests pin v1 for ever: a digest that moved would make
every unchanged spec look changed, and people would be called again. A different canonical form is
a new version beside this one, never an edit of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.model import LongContacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.model import Contact

DIGEST_VERSION = "v1"
_CHUNK = 2_000


def request_digest(fields: Mapping[str, Any], contacts: Sequence[Contact]) -> str:
    """Digest a request given as the API's fields but contacts, and the contacts.

    `fields` must be JSON values with integers of at most 64 bits (spec reading guarantees it).
    """
    sha = hashlib.sha256()
    significant = _significant(fields)
    separator = b"{"
    for name in sorted([*significant, "contacts"]):
        sha.update(separator + orjson.dumps(name) + b":")
        if name == "contacts":
            _update_with_contacts(sha, contacts)
        else:
            sha.update(_canonical(significant[name]))
        separator = b","
    sha.update(b"}")
    return f"{DIGEST_VERSION}:{sha.hexdigest()}"


def request_key(*, lineage: str, name: str, generation: int, part: int, digest: str) -> str:
    """Derive the idempotency key of a request: the same for every attempt to create it.

    `lineage` makes it differ between two states (two repositories may both have a `welcome`);
    generation makes a reverted spec's second creation differ from its first.
    """
    text = "\0".join([lineage, name, str(generation), str(part), digest])
    return "rk1_" + hashlib.sha256(text.encode()).hexdigest()[:40]


def _significant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what is not the person's request: absences, and our own marker in the metadata."""
    significant = {name: value for name, value in fields.items() if value is not None}
    metadata = significant.pop("metadata", None) or {}
    own = {name: value for name, value in metadata.items() if name != "reconciler"}
    if own:
        significant["metadata"] = own
    return significant


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _update_with_contacts(sha: hashlib._Hash, contacts: Sequence[Contact]) -> None:
    """Feed the sorted contacts in chunks, so that a long list is never serialised whole."""
    sha.update(b"[")
    if isinstance(contacts, LongContacts):
        for piece in contacts.canonical():
            sha.update(piece)
        sha.update(b"]")
        return
    ordered = sorted(contacts, key=lambda contact: contact["phone_number"])
    for start in range(0, len(ordered), _CHUNK):
        chunk = _canonical(ordered[start : start + _CHUNK])
        sha.update((b"," if start else b"") + chunk[1:-1])
    sha.update(b"]")
