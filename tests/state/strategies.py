"""Any state that a run could have stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from reconciler.model import Lifecycle
from reconciler.state.document import (
    Audit,
    Generation,
    NameRecord,
    RecordedBy,
    RequestRecord,
    Source,
    State,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_epoch = datetime(2026, 1, 1, tzinfo=UTC)
# Milliseconds, as the clock gives them.
moments = st.integers(0, 10**12).map(lambda n: _epoch + timedelta(milliseconds=n))
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
audits = st.builds(Audit, who=some_text, at=moments, said=texts, why=texts)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give a value or its absence."""
    return st.none() | strategy


@st.composite
def requests(
    draw: st.DrawFn, ids: Iterator[int], part: int, *, may_be_in_doubt: bool
) -> RequestRecord:
    """Give one request's record; keys and batch ids never stand twice."""
    in_doubt = may_be_in_doubt and draw(st.booleans())
    first = draw(moments)
    common: dict[str, Any] = {
        "part": part,
        "key": f"rk1_{next(ids)}_{draw(texts)}",
        "digest": "v1:" + draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        "contacts": draw(st.integers(0, 10**6)),
        "attempt": draw(st.integers(0, 9)),
        "first_attempted_at": first,
        "attempted_at": first + timedelta(seconds=draw(st.integers(0, 10**6))),
        "run": draw(some_text),
        "expires_at": draw(maybe(moments)),
        "watch_until": draw(maybe(moments)),
        "audit": tuple(draw(st.lists(audits, max_size=2))),
    }
    if in_doubt:
        return RequestRecord(
            status=Status.CREATING,
            unknown=draw(maybe(texts)),
            released_at=draw(maybe(moments)),
            **common,
        )
    return RequestRecord(
        status=Status.CREATED,
        batch_id=f"bat_{next(ids)}_{draw(texts)}",
        recorded_at=draw(moments),
        recorded_by=draw(maybe(st.sampled_from(RecordedBy))),
        duplicates=tuple(f"bat_{next(ids)}" for _ in range(draw(st.integers(0, 2)))),
        **common,
    )


@st.composite
def name_records(draw: st.DrawFn, ids: Iterator[int]) -> NameRecord:
    """Give what is recorded under a name: several generations, only the last ever in doubt."""
    numbers = sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=3)))
    generations = []
    for number in numbers:
        parts = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=3)))
        last = number == numbers[-1]
        generations.append(
            Generation(
                generation=number,
                campaign_id=draw(texts),
                fields=draw(st.dictionaries(texts, json_values, max_size=3)),
                source=Source(path=draw(texts), commit=draw(maybe(texts)), blob=draw(maybe(texts))),
                requests=tuple(draw(requests(ids, part, may_be_in_doubt=last)) for part in parts),
            )
        )
    return NameRecord(generations=tuple(generations), lifecycle=draw(st.sampled_from(Lifecycle)))


@st.composite
def states(draw: st.DrawFn, most: int = 4) -> State:
    """Give any state that was stored."""
    ids = count()
    names = draw(st.lists(some_text, max_size=most, unique=True))
    return State(
        lineage=draw(some_text),
        serial=draw(st.integers(1, 10**9)),
        batches={name: draw(name_records(ids)) for name in names},
    )
