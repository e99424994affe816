"""What only a terminal shows: bars while it lasts, and the table at the end."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.watch.conftest import World

PATIENCE = 120.0
"""Seconds after which a test gives up waiting."""


def on_a_terminal(
    world: World, *words: str, until: str = "", then: Callable[[int], object] = lambda _: None
) -> tuple[int, str]:
    """Run a command on a terminal of its own; `then` gets its process id once `until` is shown."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "--batches", str(world.root), *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(terminal)
    shown, waiting = "", bool(until)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            ready, _, _ = select.select([controller], [], [], deadline - time.monotonic())
            assert ready, f"nothing more came: {shown}"
            try:
                data = os.read(controller, 65_536)
            except OSError:  # how Linux tells that the last process has left the terminal
                break
            if not data:
                break
            shown += data.decode(errors="replace")
            if waiting and until in shown:
                waiting = False
                then(process.pid)
        return process.wait(PATIENCE), shown
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def test_ctrl_c_leaves_the_last_table(world: World) -> None:
    """Bars go on until somebody has seen enough; what was known last stays on the screen."""
    world.spec("now", people=50)
    world.apply()
    status, shown = on_a_terminal(
        world,
        *("status", "--watch", "--interval", "60"),
        until="0 of 50 people done.",
        then=lambda process: os.kill(process, signal.SIGINT),
    )
    assert status == 0
    assert "━" in shown
    assert "per hour" in shown.rpartition("━")[2]
    assert "Traceback" not in shown


def test_bars_end_with_the_batches(world: World) -> None:
    """When everything has ended the watching has, too."""
    world.spec("now", people=5)
    world.apply()
    status, shown = on_a_terminal(
        world,
        *("status", "--watch", "--interval", "0.1"),
        until="0 of 5 people done.",
        then=lambda _: world.sandbox.advance(40 * 86_400.0),
    )
    assert status == 0
    assert "1 batch: 1 completed. 5 of 5 people done." in shown


def test_a_bar_for_results(world: World, tmp_path: Path) -> None:
    """A person who waits for a file sees how far it is, and no number."""
    world.spec(people=20)
    world.apply()
    status, shown = on_a_terminal(world, "results", "welcome", "--out", str(tmp_path / "out.csv"))
    assert status == 0
    assert "20/20" in shown
    assert "20 rows written to" in shown
    assert "98123" not in shown


def test_a_reader_that_has_seen_enough(world: World) -> None:
    """Rows into `head` end quietly: no complaint, no failure."""
    world.spec(people=1_500)
    world.apply()
    words = [sys.executable, "-m", "reconciler", "--batches", str(world.root), "results", "welcome"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"generation,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0
