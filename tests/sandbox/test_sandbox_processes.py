"""Starting, stopping, and sharing one database between sandboxes and processes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., tuple[Sandbox, Any]]
    Serve = Callable[..., tuple[subprocess.Popen[str], str]]

SERVE = """
import sys
from pathlib import Path
from reconciler.sandbox import serve
serve(Path(sys.argv[1]), speed=0.0, on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def serving() -> Iterator[Serve]:
    """Give a starter of sandboxes in processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def start(database: Path) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(database)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _client(url: str) -> httpx.Client:
    headers = {"Authorization": "Bearer gat_test"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False)


def test_a_second_sandbox_goes_on_where_the_first_stopped(make: Make, tmp_path: Path) -> None:
    """Batches, calls, time and fault rules outlive the sandbox that made them."""
    database = tmp_path / "deep" / "sandbox.db"
    first, api = make(database, speed=0.0)
    batch_id = api.create(20, concurrency_limit=2)
    first.advance(100)
    first.faults.add(operation="get", kind="status", code=503)
    dials, now = first.dials(), first.now()
    first.stop()
    second, api = make(database)
    assert second.now() == now, "the speed stays too"
    assert second.dials() == dials
    assert api.get(f"/batches/{batch_id}").status_code == 503
    assert api.batch(batch_id)["status"] == "in_progress"
    assert [entry.operation for entry in second.log()] == ["create", "get", "get"]
    second.advance(86_400)
    assert second.dials()[: len(dials)] == dials


def test_two_sandboxes_at_once(make: Make, tmp_path: Path) -> None:
    """Two sandboxes over one file show the same batches, time and rules, and lose nothing."""
    database = tmp_path / "sandbox.db"
    (one, first), (two, second) = make(database), make(database)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: (first, second)[i % 2].create(2), range(40)))
    assert len(set(made)) == 40
    assert sorted(first.listed()) == sorted(second.listed()) == sorted(made)
    one.advance(1_000_000)
    assert abs((one.now() - two.now()).total_seconds()) < 60
    assert two.dials() == one.dials()
    two.faults.add(operation="list", kind="status", code=500)
    assert [api.get("/batches/").status_code for api in (first, second)] == [500, 200]


def test_a_gate_opens_across_processes(make: Make, tmp_path: Path) -> None:
    """A request held by one sandbox is seen and released through another on the same file."""
    database = tmp_path / "sandbox.db"
    (_, api), (other, _) = make(database), make(database)
    rule = other.faults.add(operation="create", kind="hold", when="after")
    client = threading.Thread(target=api.create)
    client.start()
    other.faults.wait_held(rule)
    assert len(other.batches()) == 1
    other.faults.release(rule)
    client.join()


def test_the_database_is_private(tmp_path: Path) -> None:
    """The file, which holds phone numbers, is for its owner's eyes only."""
    database = tmp_path / "sandbox.db"
    Sandbox(database).stop()
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_deleted_database_names_batches_anew(make: Make, tmp_path: Path) -> None:
    """Ids of a database that is gone never name another batch; in memory the seed decides."""
    ids = [make(tmp_path / f"{name}.db")[1].create() for name in "ab"]
    assert ids[0] != ids[1]
    assert make(seed=1)[1].create() == make(seed=1)[1].create() != make(seed=2)[1].create()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_until_a_signal(serving: Serve, tmp_path: Path, ending: signal.Signals) -> None:
    """`serve` tells its URL, serves, and ends in order on SIGINT and SIGTERM."""
    process, url = serving(tmp_path / "sandbox.db")
    with _client(url) as client:
        assert client.get("/campaigns/cmp_abc123").status_code == 200
        process.send_signal(ending)
        out, _ = process.communicate(timeout=5)
    assert (process.returncode, out) == (0, "ended\n")


def test_a_created_batch_survives_a_killed_server(
    serving: Serve, make: Make, tmp_path: Path, body: Callable[..., dict[str, Any]]
) -> None:
    """Killed between the effect and the answer, the server has the batch all the same."""
    database = tmp_path / "sandbox.db"
    process, url = serving(database)
    watcher, api = make(database)
    rule = watcher.faults.add(operation="create", kind="hold", when="after")
    failures: list[Exception] = []

    def create() -> None:
        with _client(url) as client:
            try:
                client.post("/batches/", json=body())
            except httpx.TransportError as error:
                failures.append(error)

    client = threading.Thread(target=create)
    client.start()
    watcher.faults.wait_held(rule)
    os.kill(process.pid, signal.SIGKILL)
    client.join()
    assert len(failures) == 1
    assert len(watcher.batches()) == len(api.listed()) == 1


def test_stopping_is_immediate(make: Make, body: Callable[..., dict[str, Any]]) -> None:
    """Stopping cuts off requests that hang or are held, quickly and quietly."""
    sandbox, api = make()
    sandbox.faults.add(operation="create", kind="hang", after=1)
    rule = sandbox.faults.add(operation="create", kind="hold")
    failures: list[Exception] = []

    def create() -> None:
        try:
            api.post("/batches/", body())
        except httpx.TransportError as error:
            failures.append(error)

    clients = [threading.Thread(target=create) for _ in range(2)]
    for client in clients:
        client.start()
    sandbox.faults.wait_held(rule)
    begin = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - begin < 0.5
    for client in clients:
        client.join()
    assert len(failures) == 2


def test_stopping_amid_traffic(caplog: pytest.LogCaptureFixture) -> None:
    """Stopping while clients connect and ask leaves no error behind and no thread."""

    def ask(url: str) -> None:
        with _client(url) as client:
            for _ in range(100):
                try:
                    client.get("/batches/")
                except httpx.TransportError:
                    return

    for _ in range(3):
        sandbox = Sandbox().start()
        clients = [threading.Thread(target=ask, args=(sandbox.url,)) for _ in range(4)]
        for client in clients:
            client.start()
        sandbox.stop()
        for client in clients:
            client.join()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert "sandbox" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """A file of something else is refused and left alone; an empty one becomes a database."""
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    if content:
        with pytest.raises(ValueError, match="not a sandbox's database"):
            Sandbox(file)
        assert file.read_bytes() == content
    else:
        Sandbox(file).stop()


def test_stopping_twice_and_not_started() -> None:
    """Stopping what does not run is harmless, and a sandbox that does not run has no URL."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError):
        _ = sandbox.url
    sandbox.stop()
    sandbox.stop()


def test_going_offline_and_back(make: Make) -> None:
    """An outage refuses connections; afterwards the same API is back on the same port."""
    sandbox, api = make()
    batch_id = api.create()
    url = sandbox.url
    sandbox.disconnect()
    with pytest.raises(httpx.ConnectError):
        api.get("/batches/")
    assert len(sandbox.batches()) == 1
    assert sandbox.start().url == url
    assert api.listed() == [batch_id]


def test_a_port_that_is_taken(make: Make) -> None:
    """A port that somebody listens on is an OSError at once."""
    sandbox, _ = make()
    other = Sandbox(port=int(sandbox.origin.rpartition(":")[2]))
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.stop()


def test_speed_and_start_of_the_clock(make: Make) -> None:
    """Simulated time starts where it is told and runs as fast as it is told."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    sandbox, _ = make(speed=1e6, now=start)
    first = sandbox.now()
    assert first >= start
    time.sleep(0.01)
    assert (sandbox.now() - first).total_seconds() > 10_000
    still, _ = make(speed=0.0, now=start)
    assert still.now() == start
    assert still.advance(5) == still.now()
    with pytest.raises(ValueError, match="forward"):
        still.advance(-1)


def test_latency(make: Make) -> None:
    """Every answer takes at least the latency asked for."""
    _, api = make(latency=0.05)
    begin = time.monotonic()
    assert api.get("/batches/").status_code == 200
    assert time.monotonic() - begin >= 0.05


def test_importing_the_package_needs_no_extra() -> None:
    """The package imports without Starlette; touching Sandbox names what is missing."""
    program = """
import sys
sys.modules["starlette"] = None
import reconciler.sandbox
try:
    reconciler.sandbox.Sandbox
except ImportError as error:
    print(error.name)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("starlette")


def test_the_sandbox_imports_nothing_from_the_rest() -> None:
    """Neither side of the wire can share a bug: no module of the client is loaded."""
    program = """
import sys
from reconciler.sandbox import Sandbox, serve
print(sorted(n for n in sys.modules if n.startswith("reconciler.")
      and not n.startswith("reconciler.sandbox")), "httpx" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] False"
