"""A root whose specs change while an embedded API is calling, real processes, and the oracle.

Time is the oracle's ally: each request takes some seconds of the simulated time, so that calls go
out between any two steps of a run. Whatever the product leaves open, somebody's phone rings.

The oracle looks at what no client can see (who waits in which batch, every phone that rang), after
each request and in the end, and asks for the promises. People are known here by small numbers; no
phone number is in any message.
"""

from __future__ import annotations

import atexit
import copy
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from tests.proof.world import KILLED, SETTLED, Ended, Runs, Started, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.journal import Entry
    from reconciler.sandbox.oracle import KnownBatch

PREFIX = "+919810"
NAME = "welcome"
STEP = 4.0
"""Seconds of simulated time that a request takes."""
LISTENING = 40.0
"""Seconds that pass while it is asked who is on the line: calls take up to 150."""
WAITING = ("pending", "retrying", "followup_scheduled")
CALLED = frozenset({"completed", "max_retries_reached", "failed", "busy", "no_answer"})
OUTCOMES = (
    "completed",
    "busy",  # always: after three tries nobody tries again
    "completed",
    "no_answer, completed",
    "completed",
    "followup, completed",
    "invalid",
    "completed",
)
"""How calls end, by the person's number."""
DAYS = 4 * 86_400
NEVER = datetime.max.replace(tzinfo=UTC)


class ChangeRuns(Runs):
    """A client of the fork server of `killed_change`."""

    module = "tests.change.killed_change"


@cache
def runs() -> ChangeRuns:
    """Give the fork server of this test process."""
    server = ChangeRuns()
    atexit.register(server.close)
    return server


def number(person: int) -> str:
    """Give a person's phone number."""
    return f"{PREFIX}{person:06d}"


def person(phone_number: str) -> int:
    """Give who has a phone number."""
    return int(phone_number.removeprefix(PREFIX))


def brief(ended: Ended) -> str:
    """Say in a few lines how a run ended."""
    try:
        actions = ended.report["actions"]
    except ValueError:
        return f"exit {ended.code}: {ended.out} {ended.err}"
    kept = ("name", "action", "reason", "outcome", "message")
    told = ["; ".join(str(each.get(name)) for name in kept) for each in actions]
    return "\n".join([f"exit {ended.code}", *told, ended.err])


@dataclass
class Told:
    """What an observer saw. `wrong` is what must never be.

    `orphaned` are batches that a run cancelled while there was none of a later generation.
    """

    wrong: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)


@dataclass
class Observer:
    """Sees each request when it arrives and before it is answered, and how things stand then."""

    sandbox: Sandbox
    step: float = STEP
    told: Told = field(default_factory=Told)
    by_hand: bool = False
    side_by_side: bool = False
    """Whether two batches may call the same person by somebody's will (an operator's)."""

    def __post_init__(self) -> None:
        journal = self.sandbox._journal
        begin, update = journal.begin, journal.update

        def begun(method: str, path: str, query: str) -> Entry:
            asks_who_is_called = path.endswith("/contacts") and "status=" in query
            if not self.by_hand:
                self.sandbox._database.advance(LISTENING if asks_who_is_called else self.step)
            return begin(method, path, query)

        def updated(entry: Entry) -> None:
            update(entry)
            if entry.finished:
                self._look(entry)

        journal.begin = begun  # type: ignore[method-assign] # the one place that sees them all
        journal.update = updated  # type: ignore[method-assign] # as above

    def _look(self, entry: Entry) -> None:
        when = f"after {entry.operation} ({entry.id})"
        if not self.side_by_side:
            for who, batches in self.beset(("in_progress",)).items():
                self.told.wrong.append(f"{when}, person {who} waits in {batches} calling batches")
        if entry.operation == "cancel" and entry.status == 200 and not self.by_hand:
            ages = {batch.batch_id: _age(batch) for batch in self.sandbox.batches()}
            if max(ages.values()) == ages[entry.batch_id or ""]:
                self.told.orphaned.append(entry.batch_id or "")

    def beset(self, statuses: Sequence[str]) -> dict[int, int]:
        """Map who waits in several batches of these statuses to how many those are."""
        marks = ", ".join("?" * len(statuses))
        waiting = ", ".join("?" * (len(WAITING) + 1))
        with self.sandbox._store.moment() as (connection, _):
            rows = connection.execute(
                "SELECT phone_number, count(*) AS batches FROM contacts "  # noqa: S608 - marks only
                "JOIN batches ON batches.number = contacts.batch "
                f"WHERE batches.status IN ({marks}) AND contacts.status IN ({waiting}) "
                "GROUP BY phone_number HAVING count(*) > 1",
                (*statuses, *WAITING, "in_progress"),
            ).fetchall()
        return {person(row["phone_number"]): row["batches"] for row in rows}


def _age(batch: KnownBatch) -> int:
    generation: int = batch.metadata["reconciler"]["generation"]
    return generation


class Stage(World):
    """One root, one API, real runs. See the module."""

    def __init__(self, directory: Path) -> None:
        super().__init__(runs(), directory, specs=0)
        self.observer = Observer(self.sandbox)
        self.people: dict[str, list[int]] = {}
        self.skipped: dict[int, datetime] = {}
        """Whom somebody took out by hand, and from when on nobody may call them."""
        self.story: list[Any] = []

    # -- doing --------------------------------------------------------------------------------

    def spec(
        self,
        people: Iterable[int],
        name: str = NAME,
        *,
        variant: Iterable[int] = (),
        outcomes: Mapping[int, str] | None = None,
        **fields: Any,
    ) -> None:
        """Write a spec that calls these people; those in `variant` with another variable.

        `outcomes` says of some how their calls end, else it is OUTCOMES.
        """
        self.people[name], variant = list(people), set(variant)
        contacts = [
            {
                "phone_number": number(each),
                "call_variables": {
                    "callee_name": f"Person {each}",
                    "sandbox_outcome": (outcomes or {}).get(each, OUTCOMES[each % len(OUTCOMES)]),
                    **({"greeting": "again"} if each in variant else {}),
                },
            }
            for each in self.people[name]
        ]
        spec = {"campaign_id": "cmp_abc123", "concurrency_limit": 2, **fields, "contacts": contacts}
        path = self.root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(spec), "utf-8")

    def remove(self, name: str = NAME) -> None:
        """Remove a spec."""
        del self.people[name]
        (self.root / f"{name}.yaml").unlink()

    def move(self, old: str, new: str) -> None:
        """Rename a spec."""
        self.people[new] = self.people.pop(old)
        (self.root / f"{old}.yaml").rename(self.root / f"{new}.yaml")

    def in_time(self, seconds: float) -> str:
        """Write down the moment that so many seconds from now will be, for `scheduled_start`."""
        at = datetime.fromtimestamp(self.sandbox._database.now() + seconds, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}Z"

    def start(self, *command: str, **order: Any) -> Started:
        """Start a command, with the API's time for its own: requests took time meanwhile."""
        self._clock = self.sandbox._database.now() - datetime.now(UTC).timestamp()
        return super().start(*command, **order)

    def begin(self, *words: str, **order: Any) -> Started:
        """Start an apply."""
        return self.start(
            *("apply", "--yes", "--format=json", "--parallelism=1", "--verify-for=0", *words),
            **order,
        )

    def apply(self, *words: str, **order: Any) -> Ended:
        """Apply, to its end."""
        return self.begin(*words, **order).wait()

    def plan(self, *words: str) -> list[dict[str, Any]]:
        """Give the plan's actions."""
        ended = self.start("plan", "--format=json", *words).wait()
        assert ended.code == 0, (ended.code, ended.out, ended.err)
        actions: list[dict[str, Any]] = json.loads(ended.out)["actions"]
        return actions

    def converge(
        self, *words: str, runs: int = 5, codes: Iterable[int] = (1, 3), **order: Any
    ) -> list[int]:
        """Apply until a run is content; give all exit statuses. Time passes after each other."""
        told: list[int] = []
        for _ in range(runs):
            ended = self.apply(*words, **order)
            told.append(ended.code)
            if ended.code == 0:
                return told
            assert ended.code in set(codes), (told, brief(ended))
            self.pass_time(SETTLED)
        raise AssertionError(f"no end in sight: {told}, {brief(ended)}")

    def control(self, verb: str, batch_id: str) -> int:
        """Do as an operator does in the vendor's console; give the status."""
        self.observer.by_hand = True
        try:
            there = HTTPConnection(self.sandbox.origin.removeprefix("http://"))
            headers = {"Authorization": "Bearer gat_operator"}
            there.request("POST", f"/api/v1/batches/{batch_id}/{verb}", headers=headers)
            answer = there.getresponse()
            answer.read()
            there.close()
        finally:
            self.observer.by_hand = False
        return answer.status

    def skip(self, batch: KnownBatch, status: str = "pending", *, respected: bool = True) -> None:
        """Take the last one out by hand who waits like this.

        `respected` tells that nobody may call them any more; else it may be too late.
        """
        who = [who for who, each in self.fates(batch).items() if each == status][-1]
        assert self.sandbox.skip(batch.batch_id, number(who))
        self.skipped[who] = self.sandbox.now() if respected else NEVER

    def keep(self) -> Callable[[], None]:
        """Remember how everything stands, and give what brings it back."""
        database = self.sandbox._database
        kept = sqlite3.connect(":memory:")
        with database._lock:
            database._connection.backup(kept)
        files = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        known = copy.deepcopy((self._clock, self.people, self.skipped, self.observer.told))
        seen = {name: copy.copy(value) for name, value in vars(self._witness).items()}

        def back() -> None:
            with database._lock:
                kept.backup(database._connection)
            for path in self.root.rglob("*"):
                if path.is_file() and path not in files:
                    path.unlink()
            for path, data in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._clock, self.people, self.skipped, self.observer.told = copy.deepcopy(known)
            vars(self._witness).update({name: copy.copy(value) for name, value in seen.items()})

        return back

    # -- seeing -------------------------------------------------------------------------------

    def made(self) -> list[KnownBatch]:
        """Give every batch there is, the oldest first."""
        return self.sandbox.batches()

    def statuses(self) -> list[str]:
        """Give the status of every batch, the oldest first."""
        return [batch.status for batch in self.made()]

    def fates(self, batch: KnownBatch) -> dict[int, str]:
        """Give each person of a batch with the status there."""
        return {person(c["phone_number"]): c["status"] for c in batch.contacts}

    def lineage(self, name: str) -> list[KnownBatch]:
        """Give every batch recorded under a name, the oldest first."""
        record = self.state().batches.get(name)
        requests = [r for g in record.generations for r in g.requests] if record else []
        ids = {i for r in requests for i in (r.batch_id, *r.duplicates)}
        return [batch for batch in self.made() if batch.batch_id in ids]

    # -- the oracle ---------------------------------------------------------------------------

    def check_always(self) -> None:
        """At any time between two runs: what never may be was not, and the records are whole."""
        self.check_records()
        assert not self.observer.told.wrong, self.observer.told.wrong
        keys: dict[str | None, list[str]] = defaultdict(list)
        for batch in self.made():
            if batch.status not in {"completed", "cancelled", "expired"}:
                keys[batch.key].append(batch.batch_id)
        twice = [ids for ids in keys.values() if len(ids) > 1]
        assert not twice, f"a key has two live batches: {twice}"

    def check_settled(self, *, cancels_first: bool = False) -> None:
        """After convergence: all is recorded, nothing is left to do, nobody waits in two batches.

        `cancels_first` allows that a batch was cancelled with no newer one there.
        """
        self.check_always()
        recorded = self.state().batch_ids()
        lost = [batch.batch_id for batch in self.made() if batch.batch_id not in recorded]
        assert not lost, f"not recorded: {lost}"
        before = (self.posts(), self.state_file.read_bytes())
        self.check_plan()
        assert (self.posts(), self.state_file.read_bytes()) == before
        begun = [record.replacing for record in self.state().batches.values() if record.replacing]
        left = {batch_id for each in begun for batch_id in each.paused}
        paused = {batch.batch_id for batch in self.made() if batch.status == "paused"}
        assert not left & paused, "a batch is left paused for a change"
        beset = self.observer.beset(("pending", "in_progress"))
        assert not beset, f"these wait in several running batches: {beset}"
        assert cancels_first or self.observer.told.orphaned == [], "cancelled too early"

    def check_plan(self) -> None:
        """Nothing is left to do."""
        left = [f"{each['action']} {each['reason']} {each['name']}" for each in self.plan()]
        assert not left, f"left to do: {left}"

    def check_calls(
        self, *, everyone: Sequence[int] = (), owed: bool = True, hung_up: bool = False
    ) -> None:
        """Days later: who was owed a call has been called, and nobody again.

        `everyone` are generations that were to call all of their people again. `owed` tells that
        every spec wants its people called, `hung_up` that a batch was cancelled amid its calls.
        """
        self.sandbox.advance(DAYS)
        self.check_plan()
        assert not self.observer.told.wrong, self.observer.told.wrong
        problems = [p for name in self.people for p in self._again(name, everyone)]
        if owed:
            problems += [p for name in self.people for p in self._lost(name, hung_up=hung_up)]
        assert not problems, problems

    def _again(self, name: str, everyone: Sequence[int]) -> Iterator[str]:
        dialled = set()
        lineage = self.lineage(name)
        wanted = {batch.batch_id for batch in lineage if _age(batch) in everyone}
        for dial in self.sandbox.dials():
            who = person(dial.phone_number)
            dialled.add((dial.batch_id, who))
            if who in self.skipped and dial.batch_id not in wanted and dial.at > self.skipped[who]:
                yield f"person {who} was skipped by hand and called after that"
        for place, batch in enumerate(lineage):
            if _age(batch) in everyone:
                continue
            for earlier in lineage[:place]:
                for who, status in self.fates(earlier).items():
                    if status in CALLED and (batch.batch_id, who) in dialled:
                        yield (
                            f"person {who} is {status} in generation {_age(earlier)} and was "
                            f"called by generation {_age(batch)}"
                        )

    def _lost(self, name: str, *, hung_up: bool) -> Iterator[str]:
        fates: dict[int, list[str]] = defaultdict(list)
        for batch in self.lineage(name):
            for who, status in self.fates(batch).items():
                # A call that ended so after its batch was cancelled would have had another try.
                half = batch.status == "cancelled" and status in {"busy", "no_answer"}
                fates[who].append("tried once" if half and not hung_up else status)
        for who in self.people[name]:
            if not CALLED & set(fates[who]) and who not in self.skipped:
                yield f"person {who} of {name} is owed a call: {fates[who] or 'in no batch'}"


__all__ = [
    "CALLED",
    "DAYS",
    "KILLED",
    "NAME",
    "SETTLED",
    "Ended",
    "Stage",
    "brief",
    "number",
    "person",
    "runs",
]
