from __future__ import annotations

import contextlib
from itertools import count

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.errors import StateUnusable
from reconciler.state.codec import Encoder, decode, encode
from reconciler.state.document import State
from tests.state.strategies import name_records, some_text, states

pytestmark = pytest.mark.usefixtures("few_at_once")
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(states())
def test_what_was_written_is_read_again(state: State) -> None:
    """Writing then reading gives the same value, and writing that the same bytes."""
    data = encode(state)
    again = decode(data, where="state.json")
    assert again == state
    assert encode(again) == data


@few
@given(states())
def test_the_text_is_sorted_whatever_the_order_was(state: State) -> None:
    """Two runs that know the same write the same bytes."""
    turned = replace(state, batches=dict(reversed(list(state.batches.items()))))
    assert encode(turned) == encode(state)


@few
@given(states())
def test_the_text_is_what_a_plain_serialiser_writes(state: State) -> None:
    """Putting it together from pieces leaves no trace: it is one sorted, indented document."""
    data = encode(state)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    assert orjson.dumps(orjson.loads(data), option=options) == data


@few
@given(states(), st.data())
def test_remembered_texts_are_never_stale(state: State, data: st.DataObject) -> None:
    """An encoder that saw many versions writes each as a fresh one would."""
    encoder, ids = Encoder(), count(10**6)
    assert encoder.encode(state) == encode(state)
    for _ in range(data.draw(st.integers(1, 5))):
        known = sorted(state.batches)
        name = data.draw(st.sampled_from(known) | some_text if known else some_text)
        change = data.draw(st.sampled_from(["replace", "drop", "swap", "serial"]))
        other = data.draw(st.sampled_from(known)) if known else name
        if change == "replace":
            state = state.with_record(name, data.draw(name_records(ids)))
        elif change == "drop":
            state = state.with_record(name, None)
        elif change == "swap":
            mine, theirs = state.record(name), state.record(other)
            state = state.with_record(name, theirs).with_record(other, mine)
        state = replace(state, serial=state.serial + 1)
        if data.draw(st.booleans()):
            assert encoder.encode(state) == encode(state)
        if data.draw(st.integers(0, 3)) == 0:
            state = encoder.decode(encode(state), where="state.json")
    assert encoder.encode(state) == encode(state)


@few
@given(states(most=2), st.data())
def test_a_damaged_file_is_refused_or_means_the_same(state: State, data: st.DataObject) -> None:
    """One changed byte never makes a file that fails in another way than `StateUnusable`."""
    whole = bytearray(encode(state))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(StateUnusable):
        decode(bytes(whole), where="state.json")


@few
@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    """Bytes that are no state give `StateUnusable` and nothing else."""
    with pytest.raises(StateUnusable):
        decode(noise, where="state.json")


def test_an_empty_state_has_its_text() -> None:
    """A state without batches is written too."""
    state = State(lineage="a", serial=1)
    assert decode(encode(state), where="state.json") == state
    assert b'"batches": {},' in encode(state)
