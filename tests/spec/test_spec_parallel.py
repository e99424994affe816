"""Reading specs in several processes gives what reading them in one gives, whatever dies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.spec.load import load_specs
from reconciler.spec.parallel import processors, shared_out

if TYPE_CHECKING:
    from tests.spec.conftest import Root

HERE = Path(__file__).parent
MATERIAL = sorted(
    path for below in ("corpus", "sound") for path in (HERE / below).rglob("*") if path.is_file()
)
ENOUGH = 110
"""More files than `loaded_both_ways` has one process read."""


def _draw(root: Path, seed: int) -> Path:
    """Make a root of sound and unsound files, lists beside them, and names that clash."""
    chance = random.Random(seed)  # noqa: S311 - nobody guards anything with this
    (root / "contacts").mkdir(parents=True)
    for name, rows in (("good", "+14155550100,Asha\n"), ("bad", "+1415,Asha\n")):
        (root / f"contacts/{name}.csv").write_text("phone_number,callee_name\n" + rows)
    for index in range(ENOUGH + chance.randrange(40)):
        directory = root / chance.choice(("", "a", "b/c", "B"))
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{chance.choice('xyXY')}{index:03}.{chance.choice(('yaml', 'yml'))}"
        match chance.randrange(4):
            case 0:
                path.write_bytes(chance.choice(MATERIAL).read_bytes())
            case 1:
                path.symlink_to(chance.choice(("nowhere", "/etc/hostname")))
            case _:
                path.write_text(_spec(chance), encoding="utf-8")
    return root


def _spec(chance: random.Random) -> str:
    people = "".join(
        f'  - phone_number: "+1415555{chance.randrange(200, 230):04}"\n'
        f"    call_variables: {{zz: last, callee_name: Asha, aa: {chance.randrange(9)}}}\n"
        for _ in range(chance.randrange(1, 6))
    )
    contacts = chance.choice(
        (
            f"contacts:\n{people}",
            f"contacts:\n{people}",
            "contacts: {file: contacts/good.csv}\n",
            "contacts: {file: contacts/bad.csv}\n",
        )
    )
    own = chance.choice(
        (
            "",
            "",
            f"reconcile: {{name: n{chance.randrange(60)}}}\n",
            f"reconcile: {{name: N{chance.randrange(60)}, split: {{max_contacts: 2}}}}\n",
            "reconcile: {lifecycle: paused, approved_by: [meera]}\n",
            "reconcile: {lifecycle: pausd}\nunknown: 1\nscheduled_start: 2036-01-01T10:00\n",
            "metadata: {team: renewals, number: 12, nested: [1, x, ~]}\n",
        )
    )
    return f"campaign_id: cmp_{chance.randrange(3)}\n{contacts}{own}"


@pytest.mark.parametrize("way", ["as-ever", "others-die", "no-fork", "no-memory"])
def test_several_processes_read_what_one_reads(tmp_path: Path, way: str) -> None:
    """Specs, diagnostics and their order are the same, also where processes die or cannot begin."""
    roots = [_draw(tmp_path / str(seed), seed) for seed in range(6)]
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / "loaded_both_ways.py", way, *roots],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("6 roots were shared out\n", "")
    assert done.returncode == 0


@pytest.mark.parametrize("way", ["as-ever", "others-die", "no-fork"])
def test_a_few_long_lists_are_read_by_several_processes(tmp_path: Path, way: str) -> None:
    """How much their lists hold shows while specs are read; what is left is shared out then."""
    for index in range(6):
        rows = "".join(f"+1415555{index}{row:03},Asha\n" for row in range(1000))
        (tmp_path / f"{index}.csv").write_text("phone_number,callee_name\n" + rows)
        (tmp_path / f"{index}.yaml").write_text(
            f"campaign_id: cmp_1\ncontacts: {{file: {index}.csv}}\n"
        )
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / "loaded_both_ways.py", way, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1 roots were shared out\n", "")
    assert done.returncode == 0


def test_the_drawn_roots_have_everything_in_them(tmp_path: Path) -> None:
    """What is compared above holds sound specs, mistakes, clashes and lists of their own."""
    loaded = load_specs(_draw(tmp_path / "0", 0), shown="batches")
    said = " ".join(one.message for one in loaded.diagnostics)
    assert len(loaded.specs) > 20
    for part in ("belongs to", "in capitals", "unknown field", "points at nothing", "pausd"):
        assert part in said
    assert any(spec.origin and spec.origin.contacts for spec in loaded.specs)


def test_an_interrupted_process_ends_the_others() -> None:
    """Ctrl-C in the middle of reading leaves no process behind."""
    program = (
        "import os, pathlib, signal, time\n"
        "from reconciler.spec.parallel import shared_out\n"
        "here = os.getpid()\n"
        "def work(_):\n"
        "    if os.getpid() == here: os.kill(here, signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "try: shared_out(work, range(8), 3)\n"
        "except KeyboardInterrupt: pass\n"
        "print(pathlib.Path(f'/proc/self/task/{here}/children').read_text().split())\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    assert time.monotonic() - began < 30


def test_an_interrupt_of_all_of_them_is_told_once() -> None:
    """Ctrl-C in a terminal reaches every process: only the first one says so."""
    program = (
        "import os, signal, time\n"
        "from reconciler.spec.parallel import shared_out\n"
        "def work(n):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "shared_out(work, range(8), 3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.count("KeyboardInterrupt") == 1


def test_beside_another_thread_there_is_one_process() -> None:
    """A fork would keep for ever whatever lock another thread holds."""
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert processors() == 1
    finally:
        waiting.set()
        thread.join()


def test_a_thread_that_was_joined_is_in_nobodys_way() -> None:
    """It is gone for Python a little before it is gone for the system."""
    program = (
        "import threading\n"
        "from reconciler.spec.parallel import processors\n"
        "def ended():\n"
        "    thread = threading.Thread(target=list)\n"
        "    thread.start(); thread.join()\n"
        "    return processors()\n"
        "print({ended() for _ in range(300)} == {processors()})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_what_goes_wrong_here_is_raised() -> None:
    """A mistake of ours is not swallowed with the work."""
    with pytest.raises(ZeroDivisionError):
        shared_out(lambda number: 1 // number, [0], 1)


def test_a_small_root_is_read_by_one_process(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few specs are read before another process would have begun."""
    monkeypatch.setattr("reconciler.spec.load.processors", lambda: pytest.fail("asked"))
    for index in range(20):
        root.spec(f"reconcile: {{name: n{index}}}\n", f"{index}.yaml")
    assert len(root.load().specs) == 20
