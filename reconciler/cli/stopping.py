"""SIGINT and SIGTERM: stop sending, let what is under way end, record, and go.

The handler only leaves a note; the engine reads it within the same moment and is done in seconds.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from reconciler.apply.sending import Wakeup

if TYPE_CHECKING:
    import queue
    import threading
    from collections.abc import Iterator
    from types import FrameType

    from reconciler.apply.sending import Event


@contextmanager
def signals_stop(stop: threading.Event, events: queue.SimpleQueue[Event]) -> Iterator[None]:
    """Turn the two signals into `stop` and a wake-up, for as long as the context lasts."""

    def handle(number: int, _: FrameType | None) -> None:
        if not stop.is_set():
            name = signal.Signals(number).name
            click.echo(
                f"{name}: nothing more is sent; waiting a few seconds for what is under way",
                err=True,
            )
        stop.set()
        events.put(Wakeup())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
