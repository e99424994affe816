"""Planning a root in which little or nothing has changed, in a real clone with recorded state.

The limit is what nobody gets round who asks git what changed and is written in Python: `git
status`, an interpreter with click and pydantic, and for very many specs reading and hashing the
state. All of it is measured in the same turn, and the plan is divided by the sum.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import (
    PYTHON,
    RECONCILER,
    Ratio,
    Report,
    Unmeasurable,
    at_most,
    environment,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.measure import Scale

FEW, MANY = 10_000, 100_000
CHANGED = 100
_WHEN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
"""So recent that whoever is in a new spec too is told."""
_QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}


def run(scale: Scale) -> Report:
    """Measure; the larger root only where there is time."""
    ratios: list[Ratio] = []
    notes: list[str] = []
    sizes = (FEW,) if scale.quick else (FEW, MANY)
    for specs in sizes:
        with tempfile.TemporaryDirectory() as directory:
            clone = Path(directory)
            _make(clone, specs)
            _measure(clone, specs, scale.turns, ratios, notes)
    return Report("Planning what has not changed", ratios, notes)


def _measure(clone: Path, specs: int, turns: int, ratios: list[Ratio], notes: list[str]) -> None:
    env = {**environment(), **_QUIET}
    env.pop("GRAINE_API_KEY")
    plan = [RECONCILER, "--batches", str(clone / "batches"), "plan"]
    took: dict[str, list[float]] = {}

    def note(what: str, value: float) -> None:
        took.setdefault(what, []).append(value)

    for turn in range(turns + 1):
        figures = {
            "git status": seconds(["git", "-C", str(clone), "status", "--porcelain"], env),
            "imports": seconds([PYTHON, "-c", "import click, pydantic"], env),
            "reading and hashing the state": _read(clone / "batches" / "state.json"),
            "plan": seconds(plan, env),
        }
        for changed in (1, CHANGED):
            _touch(clone, changed)
            figures[f"plan, {changed} changed"] = seconds(plan, env)
            _git(clone, "checkout", "-q", ".")
            seconds(["git", "-C", str(clone), "status", "--porcelain"], env)
        # Some of its people are in a recent batch; who else is, a plan before it has kept.
        new = clone / "batches" / "new.yaml"
        new.write_bytes(_spec(1, comment="# again\n").replace(b": 10", b": 9"))
        figures["plan, 1 new"] = seconds(plan, env)
        new.unlink()
        if turn:
            for what, value in figures.items():
                note(what, value)
    limit = [
        status + imports + (state if specs > FEW else 0)
        for status, imports, state in zip(
            took["git status"], took["imports"], took["reading and hashing the state"], strict=True
        )
    ]
    against = "git status + import click, pydantic" + (" + the state" if specs > FEW else "")
    ratios.append(
        Ratio(
            f"plan of {specs:,} unchanged specs",
            against,
            tuple(mine / bare for mine, bare in zip(took["plan"], limit, strict=True)),
            at_most(3),
        )
    )
    each = [
        (many - one) / (CHANGED - 1) * 1000
        for one, many in zip(took["plan, 1 changed"], took[f"plan, {CHANGED} changed"], strict=True)
    ]
    notes += [
        f"{specs:,} specs, {what}: {statistics.median(values) * 1000:,.0f} ms"
        for what, values in took.items()
    ]
    notes.append(f"{specs:,} specs, each changed one more: {statistics.median(each):.2f} ms")


def _read(path: Path) -> float:
    start = time.perf_counter()
    hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    return time.perf_counter() - start


def _spec(index: int, *, comment: str = "") -> bytes:
    contacts = "".join(
        f'  - phone_number: "+9198{index * 3 + each:08d}"\n'
        "    call_variables: {callee_name: Asha Rao, current_plan: Basic Health}\n"
        for each in range(3)
    )
    head = f"{comment}campaign_id: cmp_{index % 50:06d}\nconcurrency_limit: 10\n"
    return f"{head}contacts:\n{contacts}".encode()


def _path(index: int) -> str:
    return f"team-{index // 100:04d}/{index:06d}.yaml"


def _touch(clone: Path, count: int) -> None:
    """Change the comment of some specs: they have to be read, and nothing has to be done."""
    for index in range(count):
        target = clone / "batches" / _path(index * 7)
        target.write_bytes(_spec(index * 7, comment="# reviewed\n"))


def _make(clone: Path, specs: int) -> None:
    """Make a clone of so many specs, each created lately. By git's fast import, and the codec."""
    from reconciler.digest import request_digest, request_key  # noqa: PLC0415 - not measured
    from reconciler.model import Lifecycle  # noqa: PLC0415 - as above
    from reconciler.spec.blobs import git_blob  # noqa: PLC0415 - as above
    from reconciler.state import document as d  # noqa: PLC0415 - as above
    from reconciler.state.codec import encode  # noqa: PLC0415 - as above

    _git(clone, "init", "-q", "-b", "main")
    stream = [b"commit refs/heads/main\ncommitter bench <bench@example.org> 1777593600 +0000\n"]
    stream.append(b"data 5\nspecs\n")
    batches: dict[str, d.NameRecord] = {}
    for index in range(specs):
        path, data = _path(index), _spec(index)
        stream.append(
            b"M 100644 inline batches/%b\ndata %d\n%b\n" % (path.encode(), len(data), data)
        )
        name = path.removesuffix(".yaml")
        fields = {"campaign_id": f"cmp_{index % 50:06d}", "concurrency_limit": 10}
        digest = request_digest(
            fields,
            [
                {
                    "phone_number": f"+9198{index * 3 + each:08d}",
                    "call_variables": {"callee_name": "Asha Rao", "current_plan": "Basic Health"},
                }
                for each in range(3)
            ],
        )
        request = d.RequestRecord(
            part=1,
            key=request_key(lineage="bench", name=name, generation=1, part=1, digest=digest),
            status=d.Status.CREATED,
            digest=digest,
            contacts=3,
            attempt=1,
            first_attempted_at=_WHEN,
            attempted_at=_WHEN,
            run="bench",
            batch_id=f"bat_{index:08d}",
            recorded_at=_WHEN,
            recorded_by=d.RecordedBy.CREATED,
        )
        source = d.Source(path=path, blob=git_blob(data), lifecycle=Lifecycle.ACTIVE)
        generation = d.Generation(
            generation=1,
            campaign_id=str(fields["campaign_id"]),
            fields=fields,
            source=source,
            requests=(request,),
        )
        batches[name] = d.NameRecord(generations=(generation,))
    state = encode(d.State(lineage="bench", serial=1, batches=batches))
    stream.append(b"M 100644 inline batches/state.json\ndata %d\n%b\n\n" % (len(state), state))
    done = subprocess.run(
        ["git", "-C", str(clone), "fast-import", "--quiet"], input=b"".join(stream), check=False
    )
    if done.returncode:
        raise Unmeasurable("git fast-import failed")
    _git(clone, "reset", "-q", "--hard")
    time.sleep(1.1)  # what is as new as the index is compared byte by byte
    _git(clone, "update-index", "-q", "--refresh")
    _git(clone, "status", "--porcelain")


def _git(clone: Path, *arguments: str) -> None:
    env: Mapping[str, str] = {**os.environ, **_QUIET}
    subprocess.run(["git", "-C", str(clone), *arguments], env=env, check=True, capture_output=True)
