"""What the API does to a run, by name: every kind of fault that the sandbox knows for its requests.

A run makes creates, lists and reads (of batches and of campaigns), and cancels second batches. Each
of those meets each kind of fault that there is for it, before and after its effect where it has
one; `test_every_kind_of_fault_is_there` holds this list to the sandbox's own. Answers with a status
are there once for each class of them that the product tells apart, and with the statuses that
servers and gateways give.

A fault of a create strikes the first create that it meets. A fault of reading is in force for as
long as its run lives, and beside it the answer to the first create is lost, so that there is
something to look for.

Not there, because nobody can survive it (see "What can still go wrong" in docs/reliability.md): a
create that is made twice and answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Rule = dict[str, Any]

BOTH = ("before", "after")
QUICK = 0.3
"""GRAINE_TIMEOUT where a request has to run into it."""
REFUSALS = (400, 401, 403, 404, 409, 413, 422)
DENIALS = frozenset(f"{code} after" for code in REFUSALS)
"""The batch is made, and the answer says that it is not."""
NOT_NOW = (425, 429)
UNCLEAR = (301, 302, 307, 308, 408, 499, 500, 502, 503, 504)
ODD_BODIES: Mapping[str, dict[str, Any]] = {
    "empty object": {"code": 200, "body": {}},
    "list": {"code": 200, "body": []},
    "queued": {"code": 202, "body": {"status": "queued"}},
}
CUT: Rule = {"code": 201, "body": '{"batch_id": "batch_1', "content_type": "application/json"}
LOST = {"operation": "create", "kind": "close", "when": "after"}
"""The answer to a create is lost: the batch is to be found."""
PAST_SETTLE = 760.0
"""Longer than an attempt has to be old to be repeated (700 s pass between two runs)."""


@dataclass(frozen=True)
class Fault:
    """What is done: `rules` for the sandbox, and what the promise allows because of them.

    `quick` is for a run that must not wait as long as usual. `lasting` faults stay in force for one
    more run after the one that was struck. `ever` is how many batches a key may come to have, once
    the limits in docs/reliability.md are touched; `hidden` batches are nothing that anybody could
    cancel in time.
    """

    rules: tuple[Rule, ...] = ()
    quick: bool = False
    lasting: bool = False
    ever: int = 1
    hidden: bool = False

    @property
    def operation(self) -> str:
        """The requests that this is about."""
        return next((r["operation"] for r in self.rules if r is not LOST), "create")


def _of_a_create(kind: str, *, quick: bool = False, ever: int = 1, **fields: Any) -> Fault:
    rule = {"operation": "create", "kind": kind, **fields}
    return Fault((rule,), quick=quick, ever=ever, hidden=kind in {"late", "invisible"})


def _creates() -> Iterator[tuple[str, Fault]]:
    yield "none", Fault()
    for when in BOTH:
        for code in (*REFUSALS, *UNCLEAR):
            yield f"{code} {when}", _of_a_create("status", code=code, when=when)
        for name, fields in ODD_BODIES.items():
            yield f"{name} {when}", _of_a_create("status", **{**fields, "when": when})
        for kind in ("reset", "close", "garbage"):
            yield f"{kind} {when}", _of_a_create(kind, when=when)
        yield f"cut json {when}", _of_a_create("garbage", **{**CUT, "when": when})
        yield f"hang {when}", _of_a_create("hang", when=when, quick=True)
        yield f"hang, reset {when}", _of_a_create("hang", when=when, seconds=0.05, then="reset")
        yield f"hang, answer {when}", _of_a_create("hang", when=when, seconds=0.05, then="answer")
        yield f"hold {when}", _of_a_create("hold", when=when, quick=True)
    for code in NOT_NOW:
        yield f"{code}", _of_a_create("status", code=code, retry_after=0.01)
        lie: Rule = {"code": code, "when": "after", "retry_after": 0.01}
        yield f"{code} after", _of_a_create("status", **lie, ever=2)
    yield "429 as date", _of_a_create("status", code=429, retry_after=0, retry_after_as_date=True)
    yield "storm", _of_a_create("storm", seconds=60, retry_after=0.02)
    for keep in (0, 0.5, 0.97):
        yield f"truncated {keep}", _of_a_create("truncated", keep=keep)
    yield "slow", _of_a_create("slow", seconds=0.05)
    yield "too slow", _of_a_create("slow", seconds=1.0, quick=True)
    yield "no id", _of_a_create("no_batch_id")
    yield "null for id", _of_a_create("no_batch_id", null=True)
    for value in (0, "", ["b"]):
        yield f"{value!r} for id", _of_a_create("no_batch_id", value=value)
    yield "wrong total", _of_a_create("wrong_total", total=7)
    for then in ("close", "reset", "status"):
        yield f"late, {then}", _of_a_create("late", seconds=60, then=then)
    yield "late, hang", _of_a_create("late", seconds=60, then="hang", quick=True)
    yield "late, past settle", _of_a_create("late", seconds=PAST_SETTLE, then="close", ever=2)
    yield "doubled, lost", Fault(({"operation": "create", "kind": "doubled"}, LOST), ever=2)
    for gettable in (True, False):
        yield f"hidden, gettable {gettable}", _hidden(300, gettable=gettable)
    yield "hidden, answered", _of_a_create("invisible", seconds=300)
    yield "hidden, past settle", _hidden(PAST_SETTLE, gettable=True, ever=2)
    yield "naive time", _of_a_create("naive_created_at", timezone="Asia/Kolkata")


def _hidden(seconds: float, *, gettable: bool, ever: int = 1) -> Fault:
    hide = {"operation": "create", "kind": "invisible", "seconds": seconds, "gettable": gettable}
    return Fault((hide, LOST), ever=ever, hidden=True)


UNREADABLE: Mapping[str, Rule] = {
    **{f"{code}": {"kind": "status", "code": code} for code in (400, 401, 403, 404, 307, 500, 503)},
    "404 page": {"kind": "status", "code": 404, "body": "<html>no such page</html>"},
    "429": {"kind": "status", "code": 429, "retry_after": 0.01},
    "empty object": {"kind": "status", "code": 200, "body": {}},
    "storm": {"kind": "storm", "seconds": 60, "retry_after": 0.01},
    "reset": {"kind": "reset"},
    "close": {"kind": "close"},
    "garbage": {"kind": "garbage"},
    "truncated": {"kind": "truncated"},
    "hang": {"kind": "hang"},
    "hang, reset": {"kind": "hang", "seconds": 0.05, "then": "reset"},
    "too slow": {"kind": "slow", "seconds": 1.0},
}
"""Nothing is learned by it."""
ODD: Mapping[str, Rule] = {
    "slow": {"kind": "slow", "seconds": 0.05},
    "hang, answer": {"kind": "hang", "seconds": 0.05, "then": "answer"},
    "naive time": {"kind": "naive_created_at", "timezone": "Pacific/Kiritimati"},
}
"""Odd, and enough to know everything."""
CAP: Rule = {"kind": "cap", "rows": 1}
LISTS: Mapping[str, tuple[Rule, ...]] = {
    "capped": (CAP,),
    "first page again": (CAP, {"kind": "ignore_skip"}),
    "rows repeated": ({"kind": "cap", "rows": 2}, {"kind": "repeat_rows", "rows": 1}),
    "shuffled": (CAP, {"kind": "shuffle"}),
    "shuffled pages": ({"kind": "shuffle", "within": "page"},),
    "with metadata": ({"kind": "with_metadata"},),
    "without counts and times": ({"kind": "drop_fields"},),
    "without ids": ({"kind": "drop_fields", "fields": ["batch_id"]},),
    "without campaign": ({"kind": "drop_fields", "fields": ["campaign_id", "status"]},),
}
TIMEOUTS = {"hang", "too slow"}


def _reads() -> Iterator[tuple[str, Fault]]:
    for operation in ("list", "get", "campaign"):
        odd = ODD if operation != "campaign" else {"slow": ODD["slow"]}
        single = {name: (rule,) for name, rule in {**UNREADABLE, **odd}.items()}
        for name, rules in {**single, **(LISTS if operation == "list" else {})}.items():
            own = tuple({"operation": operation, "times": None, **rule} for rule in rules)
            yield f"{operation}: {name}", Fault((*own, LOST), quick=name in TIMEOUTS, lasting=True)
    # For longer than `settle` it would be a list that leaves out the one batch that matters.
    empty = {"operation": "list", "kind": "empty_list", "times": None}
    yield "list: empty", Fault((empty, LOST))


def _cancels() -> Iterator[tuple[str, Fault]]:
    faults: dict[str, Rule] = {
        name: rule for name, rule in UNREADABLE.items() if name != "404 page"
    }
    faults |= {
        f"{name} after": {**faults[name], "when": "after"} for name in ("500", "404", "reset")
    }
    faults |= {"close after": {"kind": "close", "when": "after"}, "hold": {"kind": "hold"}}
    faults |= {"hang after": {"kind": "hang", "when": "after"}, "slow": ODD["slow"]}
    for name, rule in faults.items():
        quick = name.startswith(("hang", "hold", "too slow"))
        yield (
            f"cancel: {name}",
            Fault(({"operation": "cancel", "times": None, **rule},), quick=quick),
        )


CONTROLS: Mapping[str, Rule] = {
    "500": {"kind": "status", "code": 500},
    "500 after": {"kind": "status", "code": 500, "when": "after"},
    "404": {"kind": "status", "code": 404},
    "429": {"kind": "status", "code": 429, "retry_after": 0.01},
    "reset": {"kind": "reset"},
    "reset after": {"kind": "reset", "when": "after"},
    "hang after": {"kind": "hang", "when": "after"},
    "garbage": {"kind": "garbage"},
    "truncated": {"kind": "truncated"},
}
"""What a changed spec's run meets beside that: one for each way in which a request can end."""


def _replacements() -> Iterator[tuple[str, Fault]]:
    refused = {"operation": "create", "kind": "status", "code": 400}
    for name, rule in CONTROLS.items():
        quick = name.startswith("hang")
        for operation in ("pause", "contacts", "resume"):
            rules = [{"operation": operation, "times": None, **rule}]
            if operation == "resume":  # only what comes to nothing resumes the old batch
                rules.append(refused)
            yield f"{operation}: {name}", Fault(tuple(rules), quick=quick)


FAULTS: Mapping[str, Fault] = {
    **dict(_creates()),
    **dict(_reads()),
    **dict(_cancels()),
    **dict(_replacements()),
}
