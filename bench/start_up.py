"""What a person waits before anything happens: commands against an interpreter that does nothing.

`plan` is that of one spec that was created and has not changed since, once without the API and once
against an API on loopback that answers at once.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path

from bench.corpus import write_specs
from bench.measure import (
    PYTHON,
    RECONCILER,
    Report,
    Scale,
    at_most,
    environment,
    in_turns,
    ratio,
    seconds,
)
from bench.server import serving

NOTHING = "python -c pass"
IMPORTS = "python -c 'import click, pydantic, ruamel.yaml'"
VERSION = "reconciler --version"
OFFLINE = "reconciler plan --offline (1 unchanged spec)"
PLAN = "reconciler plan (1 unchanged spec)"
LIMITS = {VERSION: at_most(4.5), OFFLINE: at_most(15), PLAN: at_most(15)}
MORE_TURNS = 4
"""These commands are short: for the same patience, more turns."""


def run(scale: Scale) -> Report:
    """Measure."""
    with tempfile.TemporaryDirectory() as directory, serving(latency=0) as url:
        batches = Path(directory, "batches")
        write_specs(batches, specs=1, contacts=20)
        env = environment(url)
        command = [RECONCILER, "--batches", str(batches)]
        seconds([*command, "apply", "--yes"], env)

        commands = {
            NOTHING: [PYTHON, "-c", "pass"],
            IMPORTS: [PYTHON, "-c", "import click, pydantic, ruamel.yaml"],
            VERSION: [RECONCILER, "--version"],
            "reconciler --help": [RECONCILER, "--help"],
            OFFLINE: [*command, "plan", "--offline"],
            PLAN: [*command, "plan"],
        }
        measured = in_turns(
            scale.turns * MORE_TURNS,
            {name: partial(seconds, argv, env) for name, argv in commands.items()},
        )
    ratios = [
        ratio(name, NOTHING, measured, LIMITS.get(name)) for name in commands if name != NOTHING
    ]
    took = statistics.median(measured[NOTHING]) * 1000
    return Report("Start-up", ratios, [f"{NOTHING}: {took:.1f} ms"])
