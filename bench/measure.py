"""Measuring on a noisy machine: pairs that ran next to each other, and the median of their ratios.

An absolute time says more about the machine than about the program. So each benchmark measures
something else too (an interpreter that does nothing, a bare parser, a server's latency, another
tool), takes turns between the two, divides within each turn and reports the middle ratio with the
extremes beside it. A ratio may have a limit: what its median is meant to reach.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Measured = TypeVar("_Measured")

PYTHON = sys.executable
RECONCILER = str(Path(sys.executable).with_name("reconciler"))


class Unmeasurable(Exception):  # noqa: N818 - no error of ours, but a finding
    """What was to be measured did not do its work, so that its time means nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure: turns of each pair, spec files to validate, batches to create.

    `contacts` are those of the list that is read, `zones` the files that two tools plan side by
    side. `beside` is the interpreter of an environment that holds the tools we are compared with,
    or None where nobody made one. `quick` asks for a first look: sizes may be cut further.
    """

    turns: int
    specs: int
    creates: int
    contacts: int
    zones: int = 5_000
    beside: Path | None = None
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """What a median is meant to reach. A benchmark says whether it does, and ends with 0."""

    value: float
    least: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        return f"at {'least' if self.least else 'most'} {self.value:g}"

    def met(self, median: float) -> bool:
        """Say whether a median keeps to it."""
        return median >= self.value if self.least else median <= self.value


def at_most(value: float) -> Limit:
    """Give the limit of what should be small."""
    return Limit(value)


def at_least(value: float) -> Limit:
    """Give the limit of what should be large."""
    return Limit(value, least=True)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One line of the table: `subject` took `median` times what `against` took.

    `limit` is what the median is meant to reach, where somebody has set that. What has a limit of
    its own and no partner (a peak of memory) puts its unit into `against`.
    """

    subject: str
    against: str
    values: tuple[float, ...]
    limit: Limit | None = None

    @property
    def median(self) -> float:
        """The middle of the ratios of all turns."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median keeps to its limit; None without a limit."""
        return None if self.limit is None else self.limit.met(self.median)


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found; `notes` are absolute figures, for orientation only."""

    title: str
    ratios: Sequence[Ratio]
    notes: Sequence[str] = field(default=())


def in_turns(
    turns: int, subjects: Mapping[str, Callable[[], _Measured]], *, warm: bool = True
) -> dict[str, list[_Measured]]:
    """Run every subject once in each turn and give their measurements, in order of the turns.

    With `warm`, one more turn goes before and is thrown away: it fills caches of the disk and
    writes bytecode.
    """
    measured: dict[str, list[_Measured]] = {name: [] for name in subjects}
    for turn in range(turns + warm):
        for name, subject in subjects.items():
            value = subject()
            if turn >= warm:
                measured[name].append(value)
    return measured


def ratio(
    subject: str,
    against: str,
    measured: Mapping[str, Sequence[float]],
    limit: Limit | None = None,
) -> Ratio:
    """Divide a subject's measurements by another's, turn by turn."""
    return Ratio(subject, against, divided(measured[subject], measured[against]), limit)


def divided(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Divide two measurements, turn by turn."""
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def compared(
    command: str, against: str, where: str, measured: Mapping[str, Sequence[float]]
) -> tuple[Ratio, str]:
    """Hold a command to being no slower than another tool; give the figures in words too.

    `measured` has the seconds of both; `where` says what they were given to do.
    """
    ours, theirs = measured[command], measured[against]
    found = Ratio(f"{command}, {where}", against, divided(ours, theirs), at_most(1))
    return found, (
        f"{where}: {statistics.median(ours):.2f} s, {against} {statistics.median(theirs):.2f} s:"
        f" {1 / found.median:.1f} times as fast"
    )


def timed(
    command: Sequence[str], env: Mapping[str, str], *, status: int = 0
) -> tuple[float, str, str]:
    """Time a command from start to exit; give seconds, stdout and stderr.

    Raises Unmeasurable if it ends with another exit status.
    """
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode != status:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise Unmeasurable(f"{' '.join(command)}\nended with {done.returncode}:\n{said}")
    return took, done.stdout, done.stderr


def seconds(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Time a command from start to exit; raise Unmeasurable if it fails."""
    return timed(command, env)[0]


def beside(scale: Scale, program: str) -> str:
    """Give the path of a program we are compared with; raise Unmeasurable where there is none."""
    if scale.beside is None:
        raise Unmeasurable(
            "no environment to compare with: `make bench` builds one from requirements/bench.txt;"
            " --beside names its interpreter"
        )
    # Not resolved: an environment's interpreter is a link to one that lies elsewhere.
    path = scale.beside.absolute().with_name(program)
    if not path.exists():
        raise Unmeasurable(f"no {program} beside {scale.beside}: see requirements/bench.txt")
    return str(path)


def environment(url: str = "http://127.0.0.1:9/api/v1") -> dict[str, str]:
    """Give an environment in which no real account, proxy or terminal plays a part.

    Bytecode is written, so that no turn but the first compiles what an installed program does not.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRAINE_")
        and not name.lower().endswith("_proxy")
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | {"GRAINE_API_KEY": "gat_bench", "GRAINE_API_URL": url, "NO_COLOR": "1"}


def peak_memory() -> float:
    """Give the most memory this process has held so far, in MB.

    From the kernel's own mark for this program where there is one: what getrusage gives begins with
    what the process that started us held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415 - absent on Windows, needed only where /proc is

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
