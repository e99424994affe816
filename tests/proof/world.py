"""What the proof is made of: a root with specs, an API with faults, runs, and the oracle.

The oracle knows what no client can: every batch that exists and every phone that rang. Its rules
are the product's promises, so a test says what it does to a run and asks the oracle afterwards.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from reconciler.sandbox import Sandbox
from reconciler.state import codec
from reconciler.state.document import State
from tests.proof.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.sandbox.oracle import KnownBatch
    from reconciler.state.document import RequestRecord

SEED = int(os.environ.get("PROOF_SEED") or random.SystemRandom().randrange(10**6))
"""Drives everything random here. Failures print it; PROOF_SEED=n repeats a run."""
SLICE = int(os.environ.get("PROOF_SLICE") or time.time() // 86_400)
"""Which part of what is too much for every day it is today's turn of. PROOF_SLICE=n repeats one."""

PATIENCE = 30.0
"""Seconds after which a run that has not ended is a failure."""
SETTLED = 700.0
"""Seconds after which an attempt is old enough by the default `--settle`."""
KILLED = -9
PEOPLE = 2
_MEMORY = Path("/dev/shm")  # noqa: S108 - only directories of random names are made there


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say with a failure which schedule it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


def in_memory() -> tempfile.TemporaryDirectory[str]:
    """Give a directory in memory, where there is such a place.

    A sync to disk costs more than the rest of a run.
    """
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


class Runs:
    """A client of the fork server: starts runs, and waits for them in any order."""

    module: ClassVar[str] = "tests.proof.killed_apply"
    """The server."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._ended: dict[int, int] = {}
        self._rest = b""

    def start(self, order: Mapping[str, Any]) -> int:
        """Start one run and give its process id."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        while True:
            for message in self._messages(PATIENCE):
                if "started" in message:
                    return message["started"]

    def wait(self, pid: int, timeout: float = PATIENCE) -> int:
        """Give the exit status of a run: its code, or -9 when it was killed."""
        deadline = time.monotonic() + timeout
        while pid not in self._ended:
            list(self._messages(deadline - time.monotonic()))
        return self._ended.pop(pid)

    def _messages(self, timeout: float) -> list[dict[str, int]]:
        """Wait for messages; ends are kept, all are given."""
        assert self._server.stdout is not None
        ready, _, _ = select.select([self._server.stdout], [], [], max(0.0, timeout))
        assert ready, "a run did not end in time"
        read = os.read(self._server.stdout.fileno(), 65536)
        assert read, "the fork server died"
        *lines, self._rest = (self._rest + read).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self._ended |= {m["ended"]: m["status"] for m in messages if "ended" in m}
        return messages

    def close(self) -> None:
        """End the server. Runs that are left over end with their world."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()


@dataclass(frozen=True)
class Ended:
    """A run that ended: its exit status, what it said, and the boundaries it crossed."""

    code: int
    out: str
    err: str
    trace: tuple[str, ...]

    @property
    def report(self) -> dict[str, Any]:
        """The document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def outcomes(self) -> dict[str, str]:
        """Map each name to how its action ended."""
        return {action["name"]: action["outcome"] for action in self.report["actions"]}


class Started:
    """A run under way."""

    def __init__(self, runs: Runs, pid: int, out: Path) -> None:
        self._runs = runs
        self._out = out
        self.err = Path(f"{out}.err")
        self.pid = pid

    def wait(self, timeout: float = PATIENCE) -> Ended:
        """Wait for its end."""
        code = self._runs.wait(self.pid, timeout)
        texts = (Path(f"{self._out}{suffix}") for suffix in (".out", ".err", ".trace"))
        out, err, trace = (text.read_text("utf-8") if text.exists() else "" for text in texts)
        return Ended(code, out, err, tuple(trace.splitlines()))

    def kill(self, signal_number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signal_number)


class World:
    """One root, one API, one clock for both, and as many runs as it takes."""

    def __init__(self, runs: Runs, directory: Path, specs: int = 3) -> None:
        self._runs = runs
        self._count = 0
        self._clock = 0.0
        self.directory = directory
        self.root = directory / "batches"
        self.state_file = self.root / "state.json"
        self.root.mkdir(parents=True)
        self.sandbox = Sandbox(speed=0.0).start()
        self._witness = Witness(self.sandbox, self.state_file)
        self.names = [f"spec-{number}" for number in range(1, specs + 1)]
        for name in self.names:
            self.write(name)

    def close(self) -> None:
        """Stop the API and remove the root."""
        self.sandbox.stop()
        shutil.rmtree(self.directory)

    # -- doing --------------------------------------------------------------------------------

    def write(self, name: str, *, people: int = PEOPLE, file: str = "", more: str = "") -> None:
        """Write a spec; each name has phone numbers of its own."""
        digits = sum(ord(letter) << (3 * place) for place, letter in enumerate(name)) % 10**4
        contacts = "".join(
            f'  - phone_number: "+1555{digits:04d}{person:03d}"\n'
            f"    call_variables: {{callee_name: Person {person}}}\n"
            for person in range(people)
        )
        text = f"campaign_id: cmp_abc123\ncontacts:\n{contacts}{more}"
        (self.root / f"{file or name}.yaml").write_text(text, "utf-8")

    def start(
        self, *command: str, timeout: float = 20.0, url: str | None = None, **order: Any
    ) -> Started:
        """Start a command; `timeout` is GRAINE_TIMEOUT, `order` is the fork server's."""
        self._count += 1
        out = self.directory / f"run-{self._count}"
        environment = {
            "GRAINE_API_KEY": "gat_proof",
            "GRAINE_API_URL": url or self.sandbox.url,
            "GRAINE_TIMEOUT": str(timeout),
            "PATH": "",
            "RECONCILER_DEBUG": "1",
        }
        pid = self._runs.start(
            {
                "arguments": list(command),
                "environment": environment,
                "directory": str(self.directory),
                "out": str(out),
                "clock": self._clock,
                **order,
            }
        )
        return Started(self._runs, pid, out)

    def begin(
        self,
        *,
        parallelism: int = 1,
        verify_for: float = 0.0,
        settle: float | None = None,
        **order: Any,
    ) -> Started:
        """Start an apply."""
        options = [] if settle is None else [f"--settle={settle}"]
        return self.start(
            "apply",
            "--yes",
            "--format=json",
            f"--parallelism={parallelism}",
            f"--verify-for={verify_for}",
            *options,
            **order,
        )

    def apply(self, **options: Any) -> Ended:
        """Apply, to its end."""
        return self.begin(**options).wait()

    def resolve(self, name: str, *how: str) -> Ended:
        """Settle a name by hand."""
        return self.start("resolve", name, *how).wait()

    def somebody_settled(self, key: str) -> None:
        """Take note that a person said of a key that nothing was created under it."""
        self._witness.somebody_settles(key)

    def meddle(self, state: bytes | None) -> None:
        """Put another state in the place of the one that a run is working with; None removes it."""
        self._witness.somebody_else_writes()
        if state is None:
            self.state_file.unlink()
        else:
            self.state_file.write_bytes(state)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the API and for the clock of the runs to come."""
        self._clock += seconds
        if seconds > 0:
            self.sandbox.advance(seconds)

    @staticmethod
    def wait_until_told(run: Started, words: str) -> None:
        """Wait until a run has said something on stderr."""
        deadline = time.monotonic() + PATIENCE
        while words not in run.err.read_text("utf-8"):
            assert time.monotonic() < deadline, f"it never said: {words}"
            time.sleep(0.002)

    def turn_clock(self, seconds: float) -> None:
        """Set the clock of the runs to come forward or back; the API's goes on as it was."""
        self._clock += seconds

    # -- seeing -------------------------------------------------------------------------------

    def state(self) -> State:
        """Read the recorded state, which must be whole."""
        if not self.state_file.exists():
            return State(lineage="")
        return codec.decode(self.state_file.read_bytes(), where="state.json")

    def record(self, name: str) -> RequestRecord:
        """Give the only request recorded under a name."""
        (record,) = self.state().batches[name].current.requests
        return record

    def posts(self) -> list[str]:
        """Give the key of every create that ever arrived whole, in order."""
        return [entry.key for entry in self.sandbox.log("create") if entry.key is not None]

    def batches(self, name: str) -> list[KnownBatch]:
        """Give every batch made for a name, cancelled ones too."""
        return [batch for batch in self.sandbox.batches() if batch.name == name]

    # -- the oracle ---------------------------------------------------------------------------

    def check_records(self) -> None:
        """After any run, dead or not: the state is whole and knows of every create that arrived.

        But for those that were refused, which leave no record; their intents were there.
        """
        self.state()
        self.check_intents()
        self._witness.check_records()

    def check_intents(self) -> None:
        """At any time: no create ever arrived whose intent was not durable."""
        synced = [path.read_text("utf-8") for path in self.directory.glob("run-*.intended")]
        self._witness.check_intents("".join(synced).split())

    def let_arrive(self) -> None:
        """Wait until whatever a dead run had sent has reached the API and been dealt with.

        What is held at a gate waits there; what was released has been dealt with afterwards.
        """
        before, busy = None, True
        while busy or before != self.sandbox.log():
            before = self.sandbox.log()
            # The server takes what has arrived in turn: an answer to us comes after it.
            there = HTTPConnection(self.sandbox.origin.removeprefix("http://"))
            there.request("GET", "/_sandbox/health")
            there.getresponse().read()
            there.close()
            held = {hold["request"] for hold in self.sandbox.faults.held()}
            busy = any(
                entry.fault == "hold" and not entry.finished and entry.id not in held
                for entry in before
            )

    def converge(self, *, runs: int = 4, **options: Any) -> list[int]:
        """Apply again and again, time passing between, until a run is content; give all codes."""
        codes: list[int] = []
        for _ in range(runs):
            codes.append(self.apply(**options).code)
            if codes[-1] == 0:
                break
            assert codes[-1] in {1, 3}, codes
            self.pass_time(SETTLED)
        assert codes[-1] == 0, f"no end in sight: {codes}"
        return codes

    def check(self, names: Sequence[str] = (), *, ever: int = 1) -> None:
        """After convergence: every promise. `ever` is how many batches a key may have had."""
        self.pass_time(60)
        for _ in range(1, ever):  # a second batch is cancelled, and not looked at again
            last = self.apply()
            assert last.code == 0, (last.code, last.out, last.err)
        self._check_batches(names or self.names, ever)
        before = (self.posts(), self.state_file.read_bytes())
        plan = self.start("plan", "--format=json", "--detailed-exitcode").wait()
        assert plan.code == 0, plan.out
        assert json.loads(plan.out)["actions"] == []
        assert (self.posts(), self.state_file.read_bytes()) == before
        if ever == 1:
            self._check_dials()
        self.check_intents()

    def _check_batches(self, names: Sequence[str], ever: int) -> None:
        state = self.state()
        recorded = state.batch_ids()
        by_key: dict[str | None, list[KnownBatch]] = defaultdict(list)
        for batch in self.sandbox.batches():
            by_key[batch.key].append(batch)
            assert batch.batch_id in recorded, f"{batch.batch_id} of {batch.name} is lost"
        for key, batches in by_key.items():
            live = [batch for batch in batches if batch.status != "cancelled"]
            assert len(live) == 1, f"{key} has {len(live)} live batches"
            assert len(batches) <= ever, f"{key} had {len(batches)} batches"
        live_names = sorted(str(b.name) for b in self.sandbox.batches() if b.status != "cancelled")
        assert live_names == sorted(names), live_names
        ids = {batch.batch_id: batch for batch in self.sandbox.batches()}
        assert sorted(state.batches) == sorted(names)
        for name, _, request in state.requests():
            assert request.batch_id is not None, f"{name} is still in doubt"
            batch = ids[request.batch_id]
            assert (batch.key, batch.status != "cancelled") == (request.key, True), name

    def _check_dials(self) -> None:
        """After two days, every phone has rung, each for one batch only."""
        self.sandbox.advance(2 * 86_400)
        rang = Counter(
            number
            for number, _ in {(dial.phone_number, dial.batch_id) for dial in self.sandbox.dials()}
        )
        assert set(rang.values()) == {1}, "somebody was called by two batches"
        everyone = {number for b in self.sandbox.batches() for number in b.phone_numbers}
        assert set(rang) == everyone
