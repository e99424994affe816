"""A list read in both ways: in the obvious one, and a piece at a time."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.digest import request_digest
from reconciler.spec.contacts import all_sound, contact_problems
from reconciler.spec.lists import spool
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    import pytest

    from reconciler.model import Contact
    from reconciler.spec.lists.columns import Examined
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.lists.spool import Spooled
    from reconciler.spec.problems import Path


def spool_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few contacts go through all that a million do."""
    for name, value in (("_RUN", 5), ("_STEP", 2), ("_RANGE", 4), ("_EACH", 1), ("_BLOCK", 3)):
        monkeypatch.setattr(spool, name, value)


@dataclass(frozen=True)
class BothWays:
    """The two ways of one format."""

    whole: Callable[[bytes, ListFile], list[Contact]]
    stream: Callable[[IO[bytes], ListFile], Spooled]
    examine: Callable[[bytes, ListFile, set[Path]], Examined]

    def slowly(self, data: bytes, file: ListFile) -> list[Contact] | None:
        """Read a list in the obvious way; None when something is wrong with it."""
        try:
            contacts = self.whole(data, file)
        except Odd:
            return None
        return sorted(contacts, key=lambda c: c["phone_number"]) if all_sound(contacts) else None

    def streamed(self, data: bytes, file: ListFile) -> Spooled | None:
        """Read a list a piece at a time; None when something is wrong with it."""
        try:
            return self.stream(io.BytesIO(data), file)
        except Odd:
            return None

    def same(self, data: bytes, file: ListFile) -> bool:
        """Compare both ways in every respect; tell whether the list is sound.

        One that is refused has something wrong with it that can be told.
        """
        expected, found = self.slowly(data, file), self.streamed(data, file)
        assert (expected is None) == (found is None)
        examined = self.examine(data, file, set())
        wrong = [*examined.problems, *contact_problems(examined.contacts)]
        assert bool(wrong) is (expected is None)
        if expected is None or found is None:
            return False
        assert list(found) == expected
        assert len(found) == len(expected)
        assert digest_of(found) == request_digest({"campaign_id": "cmp_1"}, expected)
        return True


def digest_of(contacts: Spooled) -> str:
    """Digest a request as it would be digested without holding its contacts."""
    sha = hashlib.sha256(b'{"campaign_id":"cmp_1","contacts":[')
    for piece in contacts.canonical():
        sha.update(piece)
    sha.update(b"]}")
    return f"v1:{sha.hexdigest()}"
