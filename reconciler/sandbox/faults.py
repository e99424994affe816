"""Faults on command: the rules as data, and which of them a request meets.

FAULT MODEL

Where a fault strikes. A create has one *effect*: the batch exists, durably, and calls people. A
fault strikes before it (nothing happened), after it (the batch exists, the client does not know),
or detaches it from the answer (the batch exists later). Controls (pause, resume, cancel) have an
effect in the same way. Reads have none: their faults lose the answer or falsify it.

What a client must survive, creating no batch twice and losing none, under any mix of these:

  lost answers      status (any code and body; also redirects and 429 storms), reset (a real TCP
                    RST), close (no response), truncated, garbage (a 2xx that is not JSON), hang,
                    slow; each before or after the effect
  false answers     no_batch_id (a 2xx without a usable id), wrong_total
  detached effects  late (the batch comes into being after the client gave up), doubled (something
                    on the way sent the request twice: two batches, one answer), hold (the request
                    waits at a gate until released; kill the client meanwhile)
  blind lists       invisible (a batch that lists do not show for a while, or for ever; readable by
                    id or not), cap (fewer rows than `limit`), ignore_skip, repeat_rows, shuffle,
                    empty_list
  poor rows         drop_fields, naive_created_at; and, not harmful, with_metadata

What it need not survive: `invisible` for ever together with an answer that was lost (nothing could
find that batch); `doubled` with an answer that arrived, unless the batch has a start ahead (the
answer looks right); and forged answers beyond those above (another batch's id, say).

Not modelled: TLS, a server that answers another client's request, a corrupted database.

A RULE is an object:

  {"operation": "create", "kind": "reset", "when": "after", "after": 1, "times": 1,
   "probability": 0.5, "match": {"campaign_id": "cmp_abc123", "name": "renewals/2026-05"}}

`operation` is one of OPERATIONS or `any`; `after` skips so many requests that match; `times` is how
often it applies, null for always (the default is 1); `probability` is drawn from the seed and the
rule's own count, so a run can be repeated; `match` narrows by campaign_id, batch_id, key or name
(the last two out of `metadata.reconciler`). The other fields are the kind's own, see KINDS.

Rules are asked in the order they were added. Of the kinds that decide about the answer the first
one that applies wins and the later ones are not asked (they do not count the request); kinds that
shape what a create or a list does all apply together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.sandbox.kinds import KINDS, NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping

_MATCHABLE = ("campaign_id", "batch_id", "key", "name")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in order; `own` holds the kind's fields, defaults filled in."""

    operation: str
    kind: str
    after: int
    times: int | None
    probability: float
    match: Mapping[str, str]
    own: Mapping[str, Any]

    @property
    def shapes(self) -> bool:
        """Whether it shapes the effect or the rows instead of deciding about the answer."""
        return KINDS[self.kind].shapes

    def as_json(self) -> dict[str, Any]:
        """Give the rule as data, defaults filled in."""
        return {
            "operation": self.operation,
            "kind": self.kind,
            "after": self.after,
            "times": self.times,
            "probability": self.probability,
            "match": dict(self.match),
            **self.own,
        }


@dataclass(frozen=True, slots=True)
class Call:
    """What a rule can tell a request by."""

    operation: str
    campaign_id: str | None = None
    batch_id: str | None = None
    key: str | None = None
    name: str | None = None


def parse_rule(data: Mapping[str, Any]) -> Rule:
    """Check one rule; raises ValueError saying what is wrong with it."""
    kind_name = data.get("kind")
    if not isinstance(kind_name, str) or kind_name not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    kind = KINDS[kind_name]
    operation = str(data.get("operation", "any"))
    if operation != "any" and operation not in kind.operations:
        raise ValueError(f"{kind_name} strikes at any or {', '.join(kind.operations)}")
    # A storm is counted in time; everything else strikes once unless told otherwise.
    times = data.get("times", None if kind_name == "storm" else 1)
    after, probability = data.get("after", 0), data.get("probability", 1)
    if not (times is None or _is(times, (int,))) or not _is(after, (int,)):
        raise ValueError("times and after must be whole numbers; times may be null")
    if not _is(probability, NUMBER) or not 0 <= probability <= 1:
        raise ValueError("probability must be a number from 0 to 1")
    match = data.get("match", {})
    if not isinstance(match, dict) or not set(match) <= set(_MATCHABLE):
        raise ValueError(f"match must be an object with {', '.join(_MATCHABLE)}")
    common = {"kind", "operation", "times", "after", "probability", "match"}
    unknown = set(data) - common - set(kind.fields)
    if unknown:
        raise ValueError(f"{kind_name} knows no {', '.join(sorted(unknown))}")
    own = {name: _own(data, name, *spec) for name, spec in kind.fields.items()}
    return Rule(operation, kind_name, after, times, float(probability), match, own)


def matches(rule: Rule, call: Call) -> bool:
    """Tell whether the request is one this rule speaks of, counts left aside."""
    if rule.operation not in {"any", call.operation}:
        return False
    if call.operation not in KINDS[rule.kind].operations:
        return False
    return all(getattr(call, name) == value for name, value in rule.match.items())


def strikes(rule: Rule, seed: int, rule_id: int, seen: int, applied: int) -> bool:
    """Tell whether a matching request is hit, `seen` and `applied` counting the ones before it."""
    if seen < rule.after or (rule.times is not None and applied >= rule.times):
        return False
    if rule.probability >= 1:
        return True
    draw = hashlib.blake2b(f"{seed}/{rule_id}/{seen}".encode(), digest_size=8).digest()
    return int.from_bytes(draw, "big") / 2**64 < rule.probability


def _own(data: Mapping[str, Any], name: str, default: Any, allowed: tuple[Any, ...]) -> Any:
    value = data.get(name, default)
    if isinstance(allowed[0], str):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}")
    elif not _is(value, allowed):
        raise ValueError(f"{name} must be {' or '.join(kind.__name__ for kind in allowed)}")
    return value


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    """Check a type as JSON means it: a boolean is no number."""
    if isinstance(value, bool):
        return bool in kinds or object in kinds
    return isinstance(value, kinds)
