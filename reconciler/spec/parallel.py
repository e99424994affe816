"""Work on many items shared out among processes, where that is safe and pays.

Every process takes the next few items from one queue when it is done with its last ones, this one
too, so nobody waits for the slowest. Promises: an item is either done or said not to be; what a
process did that did not end well counts as not done. Nothing is written to any disk: results come
back through memory that the kernel keeps.

The processes are forks of this one, which is the only way to begin in a millisecond. A fork copies
one thread only, and whatever lock another thread held stays locked in it for ever. So there are
none unless this process has a single thread.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")
Piece = tuple[int, list[Result | None]]
"""A piece's number, and the results of its items."""

_MOST_PIECES = 512
"""How many pieces items are cut into at most: their numbers fit into any pipe."""

_NUMBER = 4
"""Bytes of a piece's number in the queue. So few are read at once or not at all."""

_PATIENCE = 20
"""Milliseconds that a thread of Python's may take to end after it was joined."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def processors() -> int:
    """Say how many processes would have a processor each; 1 where forking is out of question."""
    if sys.platform != "linux" or not _alone():
        return 1
    return len(os.sched_getaffinity(0))


def _alone() -> bool:
    """Tell whether this process has no thread but this one, of Python's or of anybody's."""
    for _ in range(_PATIENCE):
        if threading.active_count() > 1:
            return False
        try:
            if len(os.listdir("/proc/self/task")) == 1:  # noqa: PTH208 - numbers, no paths
                return True
        except OSError:
            return False
        time.sleep(0.001)  # a thread that was joined is still about to end
    return False


def shared_out(
    work: Callable[[Item], Result | None], items: Sequence[Item], processes: int
) -> list[Result | None]:
    """Do `work` for each item, in `processes` processes of which this is one.

    Gives the results in the order of the items: None where `work` gives that, and where a process
    died or could not be begun, for the caller to do again. Results are pickled. What `work` raises
    in this process is raised; in another it counts as not done.
    """
    return _Sharing(work, items, processes - 1).finish()


def aside(
    work: Callable[[Item], Result | None], items: Sequence[Item]
) -> Callable[[], list[Result | None]] | None:
    """Begin to do `work` for each item in another process, while this one does something else.

    Gives what does the rest here and gives all results, as `shared_out` does; it must be called
    once. Gives None where no process can be begun, or would have no processor of its own.
    """
    if processors() == 1:
        return None
    sharing = _Sharing(work, items, 1)
    if sharing.is_shared:
        return sharing.finish
    sharing.close()
    return None


class _Sharing(Generic[Item, Result]):
    """Items being worked off by several processes."""

    def __init__(
        self, work: Callable[[Item], Result | None], items: Sequence[Item], others: int
    ) -> None:
        """Begin so many `others`, or as many of them as can be begun."""
        self._size = size = -(-len(items) // _MOST_PIECES)
        self._work = work
        self._pieces = [items[start : start + size] for start in range(0, len(items), size)]
        self._queue = _queue(len(self._pieces))
        self._others: list[_Other] = []
        for _ in range(others):
            self._others.extend(_begun(self._worked_off))

    @property
    def is_shared(self) -> bool:
        """Whether any other process has begun."""
        return bool(self._others)

    def finish(self) -> list[Result | None]:
        """Do the rest here, wait for the others, and give all results."""
        done: dict[int, list[Result | None]] = {}
        try:
            done.update(self._worked_off())
            for other in self._others:
                done.update(other.ended())
        finally:
            self.close()
        none: list[Result | None] = [None] * self._size
        return [
            result
            for number, piece in enumerate(self._pieces)
            for result in done.get(number, none[: len(piece)])
        ]

    def close(self) -> None:
        """End whoever has not ended, and give back what they used."""
        os.close(self._queue)
        for other in self._others:
            other.stop()

    def _worked_off(self) -> Iterator[Piece[Result]]:
        """Take pieces from the queue until it is empty, and give the results of each."""
        while number := os.read(self._queue, _NUMBER):
            piece = int.from_bytes(number)
            yield piece, [self._work(item) for item in self._pieces[piece]]


def _queue(pieces: int) -> int:
    """Give a descriptor from which each number below `pieces` can be read once, by whomever."""
    reading, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(_NUMBER) for number in range(pieces)))
    os.close(writing)
    return reading


class _Other:
    """Another process, and the memory that it writes its results into."""

    def __init__(self, process: int, memory: int) -> None:
        self._process = process
        self._running = True
        self._memory = memory

    def ended(self) -> Iterator[Piece[Any]]:
        """Wait until it has ended, and give what it did: nothing, unless it ended well."""
        if self._wait() != 0:
            return
        import pickle  # noqa: PLC0415 - most roots are read by one process

        with open(self._memory, "rb", closefd=False) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            while file.tell() < size:
                yield pickle.load(file)  # noqa: S301 - written by a fork of this process

    def stop(self) -> None:
        """End it if it has not ended, and give its memory back."""
        if self._running:
            os.kill(self._process, signal.SIGKILL)
            self._wait()
        os.close(self._memory)

    def _wait(self) -> int:
        """Wait until it has ended, once; give its status, 0 when it ended well."""
        _, status = os.waitpid(self._process, 0)
        self._running = False  # its number may be another's from now on
        return status


def _begun(results: Callable[[], Iterator[Piece[Any]]]) -> Iterator[_Other]:
    """Begin another process that works for these results; give none where that is impossible."""
    try:
        memory = os.memfd_create("results", os.MFD_CLOEXEC)
    except OSError:
        return
    # Until it is on its own, no signal may make it go on as if it were this process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        process = os.fork()
        if process == 0:
            _be_the_other(memory, results)
    except OSError:
        os.close(memory)
        return
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    yield _Other(process, memory)


def _be_the_other(memory: int, results: Callable[[], Iterator[Piece[Any]]]) -> NoReturn:
    """Write results and end, whatever happens, without a word and without what others do at exit.

    What goes wrong here goes wrong again where it is done again, and is told there.
    """
    status = 1
    try:
        import pickle  # noqa: PLC0415 - as above

        for each in _ENDING:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        with open(memory, "wb") as file:
            for piece in results():
                pickle.dump(piece, file, pickle.HIGHEST_PROTOCOL)
        status = 0
    finally:
        os._exit(status)
