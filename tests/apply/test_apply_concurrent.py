"""Several questions at once: bounded, in order, and told when nobody waits any more."""

from __future__ import annotations

import threading

import pytest

from reconciler.apply.concurrent import concurrently


def test_as_many_at_once_as_allowed_and_no_more() -> None:
    """Three meet at a barrier, which a fourth would have to be there for to break."""
    together = threading.Barrier(3, timeout=30)
    lock = threading.Lock()
    at_once = most = 0

    def work(item: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        together.wait()
        with lock:
            at_once -= 1
        together.wait()
        return item * 10

    assert concurrently(work, range(9), 3) == [n * 10 for n in range(9)]
    assert most == 3


def test_nothing_and_one_need_no_thread() -> None:
    """Most roots have one campaign."""
    assert concurrently(lambda _: threading.current_thread(), [], 4) == []
    assert concurrently(lambda _: threading.current_thread(), ["one"], 4) == [
        threading.current_thread()
    ]


def test_what_is_under_way_is_told_and_waited_for_when_one_fails() -> None:
    """Whoever fails first is heard once nothing of the rest is under way any more."""
    stop, began = threading.Event(), threading.Event()
    ended = []

    def work(item: str) -> None:
        if item == "fails":
            began.wait(timeout=30)
            raise ValueError(item)
        began.set()
        ended.append(stop.wait(timeout=30))

    with pytest.raises(ValueError, match="fails"):
        concurrently(work, ["fails", "waits"], 2, stop=stop)
    assert ended == [True]
