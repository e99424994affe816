"""Keyed hashes of phone numbers, and the key. Nothing made here can be turned back without it.

The key comes from the environment, is in no message, and is told from others by a hash of its own.
A plain hash of a number would hide nothing: there are few enough numbers to try them all.
"""

from __future__ import annotations

import hmac
import sys
from array import array
from itertools import islice
from operator import eq
from typing import TYPE_CHECKING

from reconciler.errors import Refused
from reconciler.model import LongContacts
from reconciler.state.calls import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Contact

KEY = "RECONCILER_LEDGER_KEY"
SHORTEST = 32
"""Bytes of the shortest key that is taken."""
_FEWEST_CHARACTERS = 8
_MAKE_ONE = f"make one, and keep it as a secret: {KEY}=$(openssl rand -base64 32)"
_LABEL = b"call-batch-reconciler ledger of calls: which key"
_ID_BYTES = 8
_BLOCK = 10_000


class LedgerKey:
    """A key. `id` tells it from others, and nothing else about it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = hmac.digest(secret, _LABEL, "sha256")[:_ID_BYTES].hex()

    def __repr__(self) -> str:
        return f"LedgerKey({self.id})"

    def hashed(self, numbers: Iterable[str]) -> array[int]:
        """Give the hashes of numbers, ascending, each once."""
        found = array("Q")
        remaining = iter(numbers)
        while some := list(islice(remaining, _BLOCK)):
            found.frombytes(b"".join([self._hash(number) for number in some]))
        if sys.byteorder == "little":
            found.byteswap()
        found = array("Q", sorted(found))
        if any(map(eq, found, islice(found, 1, None))):
            return array("Q", dict.fromkeys(found))
        return found

    def _hash(self, number: str) -> bytes:
        return hmac.digest(self._secret, number.encode(), "sha256")[:WIDTH]

    def of(self, contacts: Sequence[Contact]) -> array[int]:
        """Give the hashes of contacts' numbers, ascending. Raises `OSError` for a long list."""
        return self.hashed(_numbers(contacts))


def _numbers(contacts: Sequence[Contact]) -> Iterator[str]:
    if isinstance(contacts, LongContacts):
        for some in contacts.numbers():
            yield from some
    else:
        yield from (contact["phone_number"] for contact in contacts)


def ledger_key(environ: Mapping[str, str]) -> LedgerKey:
    """Take the key from the environment. Raises `Refused` without one, or with a weak one."""
    written = environ.get(KEY, "").strip()
    if not written:
        raise Refused(
            f"{KEY} is not set, so nobody can say who was called how often", hint=_MAKE_ONE
        )
    secret = written.encode()
    if len(secret) < SHORTEST or len(set(secret)) < _FEWEST_CHARACTERS:
        raise Refused(
            f"{KEY} is too weak a key: it has fewer than {SHORTEST} characters, or few different "
            "ones",
            hint=_MAKE_ONE,
        )
    return LedgerKey(secret)
