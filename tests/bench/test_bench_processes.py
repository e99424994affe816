"""What is measured in a process of its own, and what answers from one."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from bench.measure import Unmeasurable, compared, in_turns
from bench.processes import answering, in_a_fresh_process


def test_a_process_that_fails_has_no_figures(capfd: pytest.CaptureFixture[str]) -> None:
    """Which one it was is the finding; why stands on stderr."""
    with pytest.raises(Unmeasurable, match=r"bench\.nothing one two\nended with 1"):
        in_a_fresh_process("bench.nothing", "one", "two")
    assert "bench.nothing" in capfd.readouterr().err


def test_a_server_ends_with_its_context() -> None:
    """Whoever comes later finds nobody there."""
    with answering("bench.sink") as url:
        address = urlsplit(url)
        socket.create_connection((address.hostname, address.port or 0)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port or 0))


def test_the_first_turn_is_thrown_away() -> None:
    """It fills caches; what is measured may be more than a number."""
    turns = iter(range(100))
    measured = in_turns(2, {"one": lambda: {"turn": next(turns)}})
    assert measured == {"one": [{"turn": 1}, {"turn": 2}]}


def test_another_tool_is_divided_by_turn_by_turn() -> None:
    """A median of ratios, not a ratio of medians."""
    measured = {"ours": [1.0, 2.0, 9.0], "theirs": [2.0, 8.0, 3.0]}
    found, note = compared("ours", "theirs", "many files", measured)
    assert (found.subject, found.against) == ("ours, many files", "theirs")
    assert found.values == (0.5, 0.25, 3.0)
    assert found.met
    assert note == "many files: 2.00 s, theirs 3.00 s: 2.0 times as fast"
