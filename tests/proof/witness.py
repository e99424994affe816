"""Who saw what of each create and its intent, for the oracle.

Three witnesses, none of which asks the product's own code: the API, which looks into the state file
the moment a create arrives and again before it is answered; the process of the run, which puts down
of each create it is about to send whether the disk is sure to hold its intent, whatever happens to
the machine (see `killed_apply`); and the API's log, which says how each was answered.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.journal import Entry

REFUSED = frozenset({400, 401, 403, 404, 405, 409, 413, 422, 429})
"""Answers that say for certain that nothing was created: the only ones that excuse a record."""
NOT_DURABLE = "a create was sent without a durable intent"
TAKEN_EARLY = "an intent was taken back before its create was answered"
FORGOTTEN = "a create that was not refused has no record"


def statuses(state: bytes) -> dict[str, str]:
    """Map each recorded key to its status; nothing is recorded in what is no state.

    Reads the JSON itself: the product's own reader would share its mistakes.
    """
    try:
        batches: Mapping[str, Any] = json.loads(state)["batches"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {
        request["key"]: request["status"]
        for record in batches.values()
        for generation in record["generations"]
        for request in generation["requests"]
    }


class Witness:
    """Watches the creates of one API, and what one state file said of each."""

    def __init__(self, sandbox: Sandbox, state_file: Path) -> None:
        self._sandbox = sandbox
        self._state_file = state_file
        self._arrived: dict[int, tuple[str, str | None]] = {}
        self._answered: dict[int, tuple[str, str | None]] = {}
        self._taken: set[str] = set()
        self._settled: set[str] = set()
        journal = sandbox._journal
        note = journal.update

        def noted(entry: Entry) -> None:
            note(entry)
            self._look(entry)

        # The one place where every request is seen when it arrives and before it is answered.
        journal.update = noted  # type: ignore[method-assign] # see above

    def _look(self, entry: Entry) -> None:
        """Look at the disk as it is now; the sender waits for its answer meanwhile."""
        if entry.operation != "create" or entry.key is None:
            return
        try:
            recorded = statuses(self._state_file.read_bytes())
        except FileNotFoundError:
            recorded = {}
        seen = (entry.key, recorded.get(entry.key))
        self._arrived.setdefault(entry.id, seen)
        if entry.finished:
            self._answered.setdefault(entry.id, seen)

    def somebody_else_writes(self) -> None:
        """Take note that the file is about to be put aside by somebody who is no run.

        The intents that stand in it were there, and that they are not any more is no run's doing.
        """
        self._taken |= statuses(self._state_file.read_bytes()).keys()

    def somebody_settles(self, key: str) -> None:
        """Take note that a person said of a key that nothing was created under it.

        Where its spec says something else by now, its record goes with the next create.
        """
        self._settled.add(key)

    def check_intents(self, synced: Iterable[str]) -> None:
        """No create arrived but with its intent on the disk, and synced there.

        `synced` holds the key of each create that a run began when the disk was sure to hold its
        intent, once for each time.
        """
        for key, status in self._arrived.values():
            if key in self._taken and status is None:
                continue
            assert status == "creating", f"{NOT_DURABLE}: {key} was {status or 'not recorded'}"
        arrived = Counter(key for key, _ in self._arrived.values())
        assert arrived <= Counter(synced), f"{NOT_DURABLE}: it was not synced"

    def check_records(self) -> None:
        """Each create that arrived is recorded, unless it was refused, or settled by a person.

        A refusal takes its intent back, and nothing else does: not before it is there, and not
        where another attempt under the same key may have made a batch.
        """
        for key, status in self._answered.values():
            assert status is not None or key in self._taken, f"{TAKEN_EARLY}: {key}"
        recorded = statuses(self._state_file.read_bytes()) if self._state_file.exists() else {}
        made = {batch.key for batch in self._sandbox.batches()}
        for entry in self._sandbox.log("create"):
            if entry.key is None or entry.key in recorded:
                continue
            refused = entry.finished and entry.status in REFUSED
            gone = (refused or entry.key in self._settled) and entry.key not in made
            assert gone, f"{FORGOTTEN}: {entry.key} of {entry.name}, answer {entry.status}"
