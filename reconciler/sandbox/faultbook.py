"""The rules in force, how often each has struck, and the gate where held requests wait.

Kept in the database: rules and gates work for every process that shares it, and a rule that has
struck once stays struck when its process is killed.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.sandbox.faults import Call, Rule, matches, parse_rule, strikes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.sandbox.database import Database

_POLL_SECONDS = 0.003


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that struck a request."""

    rule_id: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class Encounter:
    """All that one request meets: at most one fault deciding its answer, and the shaping ones."""

    deciding: Fault | None = None
    shaping: Sequence[Fault] = ()


class FaultBook:
    """Install, inspect and clear fault rules. See `reconciler.sandbox.faults` for the rules."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._seed = seed

    def add(self, rule: Mapping[str, Any] | None = None, /, **fields: Any) -> int:
        """Install one rule, as a mapping or keywords, and give its id; ValueError if it is wrong.

        `sandbox.faults.add(operation="create", kind="reset", when="after")`
        """
        return self.add_all([{**(rule or {}), **fields}])[0]

    def add_all(self, rules: Sequence[Mapping[str, Any]]) -> list[int]:
        """Install rules in this order and give their ids; ValueError, and none, if one is wrong."""
        parsed = [json.dumps(parse_rule(rule).as_json()) for rule in rules]
        with self._database.transaction() as connection:
            return [
                int(
                    connection.execute("INSERT INTO rules (rule) VALUES (?)", (rule,)).lastrowid
                    or 0
                )
                for rule in parsed
            ]

    def remove(self, rule_id: int) -> bool:
        """Take one rule away, letting go what it holds; False when there is none."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE holds SET released = 1 WHERE rule = ?", (rule_id,))
            gone = connection.execute("DELETE FROM rules WHERE id = ?", (rule_id,)).rowcount
            return bool(gone)

    def clear(self) -> None:
        """Take all rules away and release everything held."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE holds SET released = 1")
            connection.execute("DELETE FROM rules")

    def rules(self) -> list[dict[str, Any]]:
        """Give the rules in force, each with `id`, `seen` and `applied`."""
        return [
            {
                "id": row["id"],
                **json.loads(row["rule"]),
                "seen": row["seen"],
                "applied": row["applied"],
            }
            for row in self._database.rows("SELECT * FROM rules ORDER BY id")
        ]

    def take(self, call: Call) -> Encounter:
        """Decide what a request meets, and count it."""
        if not self._database.rows("SELECT 1 FROM rules LIMIT 1"):
            return Encounter()
        deciding: Fault | None = None
        shaping: list[Fault] = []
        with self._database.transaction() as connection:
            now = self._database.now()
            for row in connection.execute("SELECT * FROM rules ORDER BY id").fetchall():
                rule = parse_rule(json.loads(row["rule"]))
                if not matches(rule, call) or (deciding and not rule.shapes):
                    continue
                struck = strikes(rule, self._seed, row["id"], row["seen"], row["applied"])
                first = row["first_at"]
                if rule.kind == "storm" and first is not None:
                    struck = struck and now < first + rule.own["seconds"]
                connection.execute(
                    "UPDATE rules SET seen = seen + 1, applied = applied + ?, first_at = ? "
                    "WHERE id = ?",
                    (struck, now if struck and first is None else first, row["id"]),
                )
                if not struck:
                    continue
                fault = Fault(row["id"], rule)
                if rule.shapes:
                    shaping.append(fault)
                else:
                    deciding = fault
        return Encounter(deciding, tuple(shaping))

    def hold(self, rule_id: int, request_id: int) -> int:
        """Register a request that waits at the gate; gives the hold's id."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO holds (rule, request) VALUES (?, ?)", (rule_id, request_id)
            )
            return int(cursor.lastrowid or 0)

    def let_go(self, hold_id: int) -> None:
        """Forget a hold whose request has gone."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM holds WHERE id = ?", (hold_id,))

    def is_released(self, hold_id: int) -> bool:
        """Tell whether the gate has opened for this hold."""
        rows = self._database.rows("SELECT released FROM holds WHERE id = ?", hold_id)
        return not rows or bool(rows[0]["released"])

    def held(self, rule_id: int | None = None) -> list[dict[str, int]]:
        """Give the requests at the gate now: `id` (of the hold), `rule`, `request` (log id)."""
        return [
            {"id": row["id"], "rule": row["rule"], "request": row["request"]}
            for row in self._database.rows(
                "SELECT id, rule, request FROM holds WHERE NOT released "
                "AND (? IS NULL OR rule = ?) ORDER BY id",
                rule_id,
                rule_id,
            )
        ]

    def wait_held(
        self, rule_id: int | None = None, *, count: int = 1, timeout: float = 10.0
    ) -> list[dict[str, int]]:
        """Block until `count` requests are at the gate and give them; TimeoutError otherwise.

        When it returns, each is exactly where its rule says: before the effect nothing has
        happened yet, after it the effect is durable, and no answer has left.
        """
        deadline = time.monotonic() + timeout
        while len(found := self.held(rule_id)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} requests reached the gate")
            time.sleep(_POLL_SECONDS)
        return found

    def release(self, rule_id: int | None = None) -> int:
        """Open the gate for all that wait there now (of one rule, or all); gives how many."""
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE holds SET released = 1 WHERE NOT released AND (? IS NULL OR rule = ?)",
                (rule_id, rule_id),
            ).rowcount
