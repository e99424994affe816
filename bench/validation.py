"""Reading and checking many specs, against ruamel.yaml's bare C event stream over the same bytes.

The event stream is what every reader on top of it must pay on one processor; what comes above 1
is ours: building values, checking each field, digests. Reading is measured with all processors, as
it is in use, and held to one for comparison. Each measurement is taken inside a fresh process, from
before the first file is opened to after the last is done, imports left out.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.corpus import write_specs
from bench.measure import (
    Limit,
    Ratio,
    Report,
    Scale,
    Unmeasurable,
    at_most,
    divided,
    in_turns,
    peak_memory,
)
from bench.processes import in_a_fresh_process

CONTACTS = 20
ONE, MANY = "one", "many"
"""Where the specs are: one to warm up with, many to measure."""
EVENTS = "bare C event stream"
LOAD = "load_specs"
ALONE = "load_specs on one processor"
LIMIT = at_most(1)


def read_events(root: Path) -> int:
    """Pull every event out of every file, keeping none; give the number of files."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - not part of what is measured elsewhere

    parser_class = YAML(typ="safe").Parser
    files = 0
    for path in sorted(root.rglob("*.yaml")):
        parser = parser_class(path.read_bytes())
        while parser.get_event() is not None:
            pass
        files += 1
    return files


def load(root: Path) -> int:
    """Read and check every spec as the commands do; give the number of sound ones."""
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - likewise

    return len(load_specs(root).specs)


def load_alone(root: Path) -> int:
    """Read and check every spec where there is one processor."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return load(root)


SUBJECTS = {EVENTS: read_events, LOAD: load, ALONE: load_alone}


def run(scale: Scale) -> Report:
    """Measure."""
    with tempfile.TemporaryDirectory() as directory:
        size = write_specs(Path(directory, MANY), specs=scale.specs, contacts=CONTACTS)
        write_specs(Path(directory, ONE), specs=1, contacts=CONTACTS)
        answers = in_turns(
            scale.turns,
            {name: partial(_measured, name, directory, expected=scale.specs) for name in SUBJECTS},
        )
    took, memory, others = (
        {name: [answer[figure] for answer in each] for name, each in answers.items()}
        for figure in ("seconds", "peak_mb", "others_mb")
    )
    what = f"validating {scale.specs:,} specs of {CONTACTS} contacts"
    megabytes = size / 1e6

    def ratio(measured: str, name: str, limit: Limit | None = None) -> Ratio:
        figures = memory if measured == "peak memory" else took
        where = ", one processor" if name == ALONE else ""
        values = divided(figures[name], figures[EVENTS])
        return Ratio(f"{what}: {measured}{where}", EVENTS, values, limit)

    return Report(
        "Validation",
        [
            ratio("time", LOAD, LIMIT),
            ratio("time", ALONE),
            ratio("peak memory", LOAD),
        ],
        [
            f"{megabytes:.1f} MB of YAML",
            *(
                f"{name}: {statistics.median(took[name]):.2f} s,"
                f" {megabytes / statistics.median(took[name]):.1f} MB/s,"
                f" {statistics.median(memory[name]):.0f} MB at its peak"
                + (f", {most:.0f} MB in another process" if (most := max(others[name])) else "")
                for name in SUBJECTS
            ),
        ],
    )


def _measured(name: str, directory: str, *, expected: int) -> dict[str, float]:
    """Measure in a fresh process; raise Unmeasurable unless it found every spec to be sound."""
    answer = in_a_fresh_process("bench.validation", name, directory)
    if answer["specs"] != expected:
        raise Unmeasurable(f"{name} found {answer['specs']} sound specs of {expected}")
    return answer


def _measure_here(name: str, directory: str) -> None:
    subject = SUBJECTS[name]
    subject(Path(directory, ONE))  # imports what it needs
    start = time.perf_counter()
    specs = subject(Path(directory, MANY))
    took = time.perf_counter() - start
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    answer = {"specs": specs, "seconds": took, "peak_mb": peak_memory(), "others_mb": others}
    print(json.dumps(answer))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])
