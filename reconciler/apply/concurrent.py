"""Several questions to the API at once, and no more than may be under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Result = TypeVar("Result")


def concurrently(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    parallelism: int,
    *,
    stop: threading.Event | None = None,
) -> list[Result]:
    """Do `work` for each item, at most `parallelism` at once; give the results in their order.

    Once one raises (seen in order), or at Ctrl-C, no other is begun and `stop` is set: what is
    under way would go on for as long as a network may take. It is waited for, and the error raised.
    A single item needs no thread, nor the time that it takes to import what runs threads.
    """
    items = list(items)
    if len(items) <= 1:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as said above

    with ThreadPoolExecutor(min(parallelism, len(items))) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            if stop is not None:
                stop.set()
            raise
