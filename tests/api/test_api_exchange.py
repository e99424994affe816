"""The threads that exchanges run in: kept for a moment, and never in anybody's way."""

from __future__ import annotations

import threading

import pytest

from reconciler.api.exchange import Exchange, GivenUpError


def test_exchanges_that_follow_each_other_share_threads() -> None:
    """Beginning a thread costs as much as a quick request, so that there is not one for each."""
    threads = set()
    for _ in range(100):
        Exchange(1).run(lambda: threads.add(threading.current_thread()), 5, None)
    assert len(threads) < 50


def test_an_exchange_that_hangs_keeps_no_other_from_running() -> None:
    """One that was given up keeps its thread; what comes after it has another, and is not late."""
    resume, ran = threading.Event(), threading.Event()
    hanging = Exchange(1)

    def hang() -> None:
        resume.wait(5)

    hanging.run(hang, 0.01, None)
    Exchange(1).run(ran.set, 5, None)
    resume.set()
    assert ran.is_set()
    assert not hanging.complete


def test_a_thread_without_an_exchange_ends() -> None:
    """Who asked the API and asks no more has no thread left, and may fork."""
    threads: list[threading.Thread] = []
    Exchange(1).run(lambda: threads.append(threading.current_thread()), 5, None)
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_what_was_given_up_is_cleaned_up_in_silence() -> None:
    """The library tells of a step that failed as it is thrown away, where nobody hears an error.

    Python would print it, with a traceback.
    """
    exchange = Exchange(1)
    exchange.run(lambda: None, 0.0, None)
    exchange.trace("http11.receive_response_body.failed", {})
    exchange.trace("http11.response_closed.started", {})
    with pytest.raises(GivenUpError):
        exchange.trace("http11.send_request_headers.started", {})
