"""Who of new batches is in specs that are left unread, told without reading those.

Behind `SpecSet.met`, and only to save time: whatever goes wrong with what is kept, the specs are
read as they would be without it. It lies in the repository's git directory, which all its work
trees share and nothing of which is ever pushed.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.cli.hashed_file import Draft
from reconciler.cli.hashed_people import HashedPeople
from reconciler.model import LongContacts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reconciler.cli.hashed_file import Hashing
    from reconciler.cli.hashed_people import People
    from reconciler.model import Contact, Request, Spec
    from reconciler.state.document import Generation, State

DIRECTORY = "call-batch-reconciler"
_SECONDS_A_DAY = 86_400
_NOBODY: Mapping[str, int] = MappingProxyType({})


class Meetings:
    """What is known of who is in the specs of one repository.

    `git_directory` gives where it is kept, None for nowhere; it is asked when something is to be
    looked up.
    """

    def __init__(self, git_directory: Callable[[], Path | None]) -> None:
        self._git_directory = git_directory
        self._kept: HashedPeople | None = None
        self._needed: set[bytes] = set()
        self._state: State | None = None
        self._hashes: dict[str, bytes] = {}

    def met(
        self, state: State, names: Iterable[str], new: Mapping[str, Sequence[Request]]
    ) -> Mapping[str, Mapping[str, int]]:
        """Count who is in unread specs and in new batches, see `SpecSet.met`; `state` has both."""
        try:
            kept = self._open()
            if kept is None or kept.hashing is None:
                return {}
            known = self._known(kept, kept.hashing, state, names)
            specs = set(known.values())
            self._needed |= specs
            shared = _shared(kept, kept.hashing, new) if specs else {}
        except OSError:
            return {}
        return {name: shared.get(spec, _NOBODY) for name, spec in known.items()}

    def _known(
        self, kept: HashedPeople, hashing: Hashing, state: State, names: Iterable[str]
    ) -> dict[str, bytes]:
        """Give the hashes of the specs that are kept, by name."""
        if state is not self._state:
            self._state, self._hashes = state, {}
        hashes, have = self._hashes, kept.specs
        known = {}
        for name in names:
            spec = hashes.get(name)
            if spec is None:
                spec = hashes[name] = _recorded(hashing, state.batches[name].current)
            if spec in have:
                known[name] = spec
        return known

    def remember(self, specs: Iterable[Spec], now: datetime) -> None:
        """Keep who is in specs that were read, for the next run; where that fails, do not."""
        chosen = [spec for spec in specs if spec.origin is not None]
        if not chosen:
            return
        try:
            kept = self._open()
            if kept is not None:
                day = int(now.timestamp()) // _SECONDS_A_DAY
                kept.add(_people(kept.ready(), chosen), self._needed, day)
        except (OSError, MemoryError, KeyboardInterrupt):
            return  # what the command was run for is done

    def _open(self) -> HashedPeople | None:
        if self._kept is None:
            directory = self._git_directory()
            self._kept = None if directory is None else HashedPeople(directory / DIRECTORY)
        return self._kept


def _recorded(hashing: Hashing, current: Generation) -> bytes:
    """Give the hash of a spec as it is recorded: its bytes, those of its list, and what it says.

    The digest says it all; the blobs are what it was read from.
    """
    source = current.source
    return hashing.spec(f"{source.blob}\0{source.contacts_blob or ''}\0{current.of}")


def _people(hashing: Hashing, specs: Iterable[Spec]) -> Iterator[People]:
    for spec in specs:
        if spec.origin is not None:
            listed = spec.origin.contacts[1] if spec.origin.contacts else ""
            contacts = spec.whole.contacts
            hashed = hashing.spec(f"{spec.origin.blob}\0{listed}\0{spec.digest}")
            yield hashed, len(contacts), _numbers(contacts)


def _numbers(contacts: Sequence[Contact]) -> Iterator[Collection[str]]:
    """Give the numbers of contacts, each once, some at a time. Raises `OSError`."""
    if isinstance(contacts, LongContacts):
        yield from contacts.numbers()
    else:
        yield frozenset(contact["phone_number"] for contact in contacts)


def _shared(
    kept: HashedPeople, hashing: Hashing, new: Mapping[str, Sequence[Request]]
) -> dict[bytes, dict[str, int]]:
    """Count for each spec who is in each new one. Nobody is in two requests of one spec."""
    draft = Draft()
    names = list(new)
    for index, name in enumerate(names):
        for request in new[name]:
            for some in _numbers(request.contacts):
                draft.put(hashing.each(some), index)
    shared: dict[bytes, dict[str, int]] = defaultdict(dict)
    for spec, index, count in kept.met(draft):
        shared[spec][names[index]] = count
    return shared
