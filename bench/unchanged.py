"""Planning a root in which little or nothing has changed, in real clones with recorded state.

The limit is what nobody gets round who asks git what changed and is written in Python: `git
status`, an interpreter with click and pydantic, and for very many specs reading and hashing the
state. All of it is measured in the same turn, and the plan is divided by the sum.

What one changed spec more costs is held against the same in a root with a tenth of the specs, also
in the same turn: between the thousandth and the four thousandth nothing may depend on those that
did not change. It is a difference of larger times, so it is taken over thousands, all shared out
among processors alike, and of the time that these spent, which does not grow when they are busy
with something else. What the first changed spec and the first process beside this one cost is said
in the notes.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.measure import (
    PYTHON,
    RECONCILER,
    Ratio,
    Report,
    Unmeasurable,
    at_most,
    divided,
    environment,
    seconds,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.measure import Scale

FEW, MANY = 10_000, 100_000
CHANGED = (1, 100, 1_000, 4_000)
NEW = (1, 100)
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


class Took(NamedTuple):
    """What a command took, in seconds: on the wall, and of processors, its children's included."""

    wall: float
    spent: float


Turns = dict[str, list[Took]]
"""What was measured in each turn, by what that was."""


def run(scale: Scale) -> Report:
    """Measure; the larger root only where there is time."""
    sizes = (FEW,) if scale.quick else (FEW, MANY)
    took: dict[int, Turns] = {specs: {} for specs in sizes}
    with ExitStack() as stack:
        clones = {
            specs: Path(stack.enter_context(tempfile.TemporaryDirectory())) for specs in sizes
        }
        for specs, clone in clones.items():
            make(clone, specs)
        for turn in range(scale.turns + 1):
            for specs, clone in clones.items():
                for what, value in _turn(clone).items():
                    if turn:
                        took[specs].setdefault(what, []).append(value)
    ratios = [_unchanged(specs, turns) for specs, turns in took.items()]
    if MANY in took:
        ratios.append(one_more(took[FEW], took[MANY]))
    return Report("Planning what has not changed", ratios, notes(took))


def _turn(clone: Path) -> dict[str, Took]:
    """Measure everything once in one clone, and leave it as it was."""
    env = {**environment(), **_QUIET}
    figures = {
        "git status": _took(["git", "-C", str(clone), "status", "--porcelain"], env),
        "imports": _took([PYTHON, "-c", "import click, pydantic"], env),
        "reading and hashing the state": _read(clone / "batches" / "state.json"),
        "plan": plan(clone, "Nothing to do"),
    }
    for count in CHANGED:
        with changed(clone, count):
            figures[f"plan, {count:,} changed"] = plan(clone, f"{count:,} to replace")
    for count in NEW:
        with new(clone, count):
            figures[f"plan, {count:,} new"] = plan(clone, f"{count:,} to create")
    return figures


def _unchanged(specs: int, turns: Turns) -> Ratio:
    """Hold a plan against what nobody gets round."""
    parts = ["git status", "imports"]
    if specs > FEW:
        parts.append("reading and hashing the state")
    limit = [
        sum(part.wall for part in each) for each in zip(*(turns[p] for p in parts), strict=True)
    ]
    against = "git status + import click, pydantic" + (" + the state" if specs > FEW else "")
    values = divided([each.wall for each in turns["plan"]], limit)
    return Ratio(f"plan of {specs:,} unchanged specs", against, values, at_most(3))


def one_more(few: Turns, many: Turns) -> Ratio:
    """Hold one changed spec more beside many unchanged ones against the same beside few."""
    return Ratio(
        f"one more changed spec beside {MANY:,}, processor time",
        f"the same beside {FEW:,}",
        divided(_each(many), _each(few)),
        at_most(1.5),
    )


def _each(turns: Turns) -> list[float]:
    """Give what one changed spec more costs, in seconds of processors, in each turn."""
    least, most = CHANGED[-2:]
    pairs = zip(turns[f"plan, {least:,} changed"], turns[f"plan, {most:,} changed"], strict=True)
    each = [(more.spent - some.spent) / (most - least) for some, more in pairs]
    if min(each) <= 0:
        raise Unmeasurable(f"{most:,} changed specs took no longer than {least:,}: too much noise")
    return each


def notes(took: Mapping[int, Turns]) -> list[str]:
    """Say all figures, and what the first changed and the first new spec cost."""
    said = [
        f"{specs:,} specs, {what}: {_ms(each.wall for each in values)} ms, of processors "
        f"{_ms(each.spent for each in values)} ms"
        for specs, turns in took.items()
        for what, values in turns.items()
    ]
    for specs, turns in took.items():
        each = statistics.median(_each(turns)) * 1000
        said.append(f"{specs:,} specs, each changed one more: {each:.2f} ms of processors")
    for what in ("changed", "new"):
        first = {
            specs: statistics.median(
                one.spent - none.spent
                for none, one in zip(turns["plan"], turns[f"plan, 1 {what}"], strict=True)
            )
            for specs, turns in took.items()
        }
        costs = ", ".join(
            f"{1000 * cost:,.0f} ms beside {specs:,}" for specs, cost in first.items()
        )
        said.append(f"the first {what} spec, of processors: {costs}")
    return said


def _ms(values: Iterator[float]) -> str:
    return f"{statistics.median(values) * 1000:,.0f}"


def plan(clone: Path, expected: str) -> Took:
    """Plan in a clone; raise Unmeasurable if that does not say what is expected."""
    env = {**environment(), **_QUIET}
    env.pop("GRAINE_API_KEY")
    before = _spent()
    wall, said, _ = timed([RECONCILER, "--batches", str(clone / "batches"), "plan"], env)
    spent = _spent() - before
    if expected not in said.partition("\n")[0]:
        raise Unmeasurable(f"instead of {expected!r} a plan said:\n{said[:300]}")
    return Took(wall, spent)


def _took(command: Sequence[str], env: Mapping[str, str]) -> Took:
    before = _spent()
    wall = seconds(command, env)
    return Took(wall, _spent() - before)


def _spent() -> float:
    """Give what all children that have ended spent of processors, and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read(path: Path) -> Took:
    start, before = time.perf_counter(), time.process_time()
    hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    return Took(time.perf_counter() - start, time.process_time() - before)


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


@contextmanager
def changed(clone: Path, count: int) -> Iterator[None]:
    """Give other call variables to the people of some specs, until the context ends."""
    before = {}
    for index in range(count):
        target = clone / "batches" / _path(index * 2)
        stat = target.stat()
        before[target] = (target.read_bytes(), (stat.st_atime_ns, stat.st_mtime_ns))
        target.write_bytes(before[target][0].replace(b"Basic Health", b"Premium Health"))
    yield
    for target, (data, times) in before.items():
        target.write_bytes(data)
        os.utime(target, ns=times)  # what is as new as the index is compared byte by byte
    _git(clone, "status", "--porcelain")


@contextmanager
def new(clone: Path, count: int) -> Iterator[None]:
    """Add some specs with people of recent batches, until the context ends.

    Who else is in those, a plan before has kept.
    """
    added = [clone / "batches" / f"new-{index:03d}.yaml" for index in range(count)]
    for index, target in enumerate(added):
        target.write_bytes(_spec(index, comment="# again\n").replace(b": 10", b": 9"))
    yield
    for target in added:
        target.unlink()


def make(clone: Path, specs: int) -> None:
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
