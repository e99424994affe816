"""What a run writes into the ledger of calls: each launch with its intent, in the same save.

A launch is in the ledger before its POST can leave, so that a run that is killed never counts too
few. What certainly made no batch goes again with the record of its intent.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.state.calls import Launch, encode, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from reconciler.model import Contact
    from reconciler.policy.keyed import LedgerKey
    from reconciler.state.beside import Beside
    from reconciler.state.calls import CallLedger


class CallLog(Struct):
    """Keeps a ledger up to date, and has the store store it.

    `keeps` is how long a launch counts, and longer.
    """

    ledger: CallLedger
    key: LedgerKey
    store: Beside
    keeps: timedelta
    _files: dict[str, bytes | None] = field(default_factory=dict)
    _before: dict[str, Launch | None] = field(default_factory=dict)

    def intend(
        self, request: str, contacts: Sequence[Contact], starts_at: datetime | None, now: datetime
    ) -> None:
        """Take note that a request is about to be sent, whose calls begin at `starts_at`, or now.

        Of one that is sent again, people of the earlier attempt stay: it may have arrived.
        """
        earlier = self.ledger.launches.get(request)
        self._before[request] = earlier
        hashes = self.key.of(contacts)
        if earlier is not None:
            hashes = array("Q", sorted({*hashes, *earlier.hashes}))
        at = max(now, starts_at) if starts_at is not None else now
        self._put(Launch(request, at, hashes))

    def withdraw(self, request: str) -> None:
        """Take note that an intent certainly made no batch: what was there before counts again."""
        if request not in self._before:
            return
        earlier = self._before.pop(request)
        if earlier is not None:
            self._put(earlier)
        else:
            self.forget(request)

    def forget(self, request: str) -> None:
        """Take a launch out that made no batch."""
        if request in self.ledger.launches:
            self.ledger.drop(request)
            self._files[name_of(request)] = None

    def lay(self, now: datetime) -> None:
        """Hand over what changed, to be stored with the next save; what is too old goes."""
        for request in self.ledger.older_than(now - self.keeps):
            if request not in self._before:
                self.forget(request)
        self.store.lay(dict(self._files))

    def laid(self) -> None:
        """Take note that it is stored."""
        self._files.clear()

    def _put(self, launch: Launch) -> None:
        self.ledger.put(launch)
        self._files[name_of(launch.request)] = encode(launch, self.key.id)


class NotLogged:
    """Keeps no ledger, where no limit asks for one."""

    def intend(
        self, request: str, contacts: Sequence[Contact], starts_at: datetime | None, now: datetime
    ) -> None:
        """Do nothing."""

    def withdraw(self, request: str) -> None:
        """Do nothing."""

    def forget(self, request: str) -> None:
        """Do nothing."""

    def lay(self, now: datetime) -> None:
        """Do nothing."""

    def laid(self) -> None:
        """Do nothing."""
