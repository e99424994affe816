"""Planning, side by side with octoDNS: the nearest tool in Python that plans and applies files.

Both are run as whole commands over as many files with as many entries: a zone with its records
there, a spec with its contacts here. Both say what would be created in text, and ask no network:
octoDNS's target is a directory, ours is recorded state, made by a real apply. Its `--quiet` leaves
the plan and spares it a log line for each step.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.corpus import write_specs
from bench.measure import (
    RECONCILER,
    Ratio,
    Report,
    Scale,
    Unmeasurable,
    beside,
    compared,
    environment,
    in_turns,
    timed,
)
from bench.server import serving, summary

FEW, MANY = 2, 20
"""Entries a file: what a small zone has, and what a spec of the other benchmarks has."""
NEW, SAME = "all new", "unchanged"
OCTODNS, OURS = "octoDNS", "plan --offline"
_PROVIDER = "class: octodns.provider.yaml.YamlProvider"
_DIRECTORIES = {NEW: "empty", SAME: "zones"}
"""What octoDNS compares with: nothing at all, or the very same files, read as its target."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many files, and how many entries each of them has."""

    files: int
    entries: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.files:,} files of {self.entries}"


def shapes(scale: Scale) -> list[Shape]:
    """Give what to plan: both sizes with few entries a file, and the smaller one with many.

    Not the larger one with many: octoDNS alone would take a minute and a half each turn, to show
    once more that both grow with what there is to read.
    """
    many = Shape(scale.zones // 5, MANY)
    few = [] if scale.quick else [Shape(scale.zones // 5, FEW)]
    return [*few, Shape(scale.zones, FEW), many]


def run(scale: Scale) -> Report:
    """Measure."""
    sync = beside(scale, "octodns-sync")
    ratios: list[Ratio] = []
    notes: list[str] = []
    for shape in shapes(scale):
        with tempfile.TemporaryDirectory() as directory, serving(latency=0) as url:
            measured = _measured(scale, shape, sync, Path(directory), url)
        for what in (NEW, SAME):
            both = {tool: measured[f"{tool}, {what}"] for tool in (OURS, OCTODNS)}
            found, note = compared(OURS, OCTODNS, f"{shape}, {what}", both)
            ratios.append(found)
            notes.append(note)
    return Report("Planning, side by side with octoDNS", ratios, notes)


def _measured(
    scale: Scale, shape: Shape, sync: str, directory: Path, url: str
) -> dict[str, list[float]]:
    """Time both tools in turns, having seen once that each finds every file and every entry."""
    env = environment(url)
    write_zones(directory, shape)
    theirs = {
        what: [sync, "--config-file", str(directory / f"{name}.yaml")]
        for what, name in _DIRECTORIES.items()
    }
    ours = {}
    for what, name in ((NEW, "new"), (SAME, "same")):
        write_specs(directory / name, specs=shape.files, contacts=shape.entries)
        ours[what] = [RECONCILER, "--batches", str(directory / name)]
    timed([*ours[SAME], "apply", "--yes", "--parallelism", "64"], env)
    arrived = summary(url)
    if (arrived["created"], arrived["contacts"]) != (shape.files, shape.files * shape.entries):
        raise Unmeasurable(f"{arrived['created']} batches of {shape.files} were created")

    for what in (NEW, SAME):
        check_zones(what, shape, timed(theirs[what], env)[2])
        as_json = [*ours[what], "plan", "--offline", "--format", "json"]
        check_specs(what, shape, timed(as_json, env)[1])
    subjects = {}
    for what, status in ((NEW, 2), (SAME, 0)):
        plan = [*ours[what], "plan", "--offline", "--detailed-exitcode"]
        quiet = [*theirs[what], "--quiet"]
        subjects[f"{OCTODNS}, {what}"] = partial(_planned, quiet, env, what, shape)
        subjects[f"{OURS}, {what}"] = partial(_seconds, plan, env, status)
    return in_turns(scale.turns, subjects, warm=False)  # the check above has filled caches


def write_zones(directory: Path, shape: Shape) -> None:
    """Write zone files, an empty target and one configuration for each of the two questions."""
    for name in _DIRECTORIES.values():
        (directory / name).mkdir()
    zones = [f"zone-{index:05d}.example." for index in range(shape.files)]
    for index, zone in enumerate(zones):
        lines = ["---"]
        for entry in range(shape.entries):
            address = f"10.{index // 256}.{index % 256}.{entry + 1}"
            lines += [f"host-{entry:04d}:", "  ttl: 300", "  type: A", f"  value: {address}"]
        text = "\n".join(lines) + "\n"
        (directory / "zones" / f"{zone}yaml").write_text(text, "utf-8")
    for name in _DIRECTORIES.values():
        lines = [
            "providers:",
            f"  source: {{{_PROVIDER}, directory: {directory / 'zones'}}}",
            f"  target: {{{_PROVIDER}, directory: {directory / name}}}",
            "zones:",
            *(f"  {zone}: {{sources: [source], targets: [target]}}" for zone in zones),
        ]
        (directory / f"{name}.yaml").write_text("\n".join(lines) + "\n", "utf-8")


def check_zones(what: str, shape: Shape, log: str) -> None:
    """Raise Unmeasurable unless octoDNS's full log says that it read all and planned as expected.

    An unchanged zone is read twice: from the source and from the target.
    """
    read = len(re.findall(rf"found {shape.entries} records, exists=True", log))
    expected = shape.files * (2 if what == SAME else 1)
    if read != expected:
        raise Unmeasurable(f"octoDNS read {read} whole zones, {expected} were there to be read")
    check_plan(what, shape, log)


def check_plan(what: str, shape: Shape, said: str) -> None:
    """Raise Unmeasurable unless octoDNS plans every zone, or none."""
    planned = re.findall(r"Summary: Creates=(\d+), Updates=0, Deletes=0", said)
    expected = [str(shape.entries)] * (shape.files if what == NEW else 0)
    if planned != expected or (what == SAME and "No changes were planned" not in said):
        raise Unmeasurable(f"octoDNS planned {len(planned)} zones of {len(expected)}")


def check_specs(what: str, shape: Shape, document: str) -> None:
    """Raise Unmeasurable unless our plan creates for everybody in every spec, or for nobody."""
    actions = json.loads(document)["actions"]
    creates = [action["contacts"] for action in actions if action["action"] == "create"]
    expected = [shape.entries] * (shape.files if what == NEW else 0)
    if creates != expected or len(actions) != len(expected):
        raise Unmeasurable(f"the reconciler planned {len(creates)} specs of {len(expected)}")


def _planned(command: list[str], env: dict[str, str], what: str, shape: Shape) -> float:
    took, stdout, stderr = timed(command, env)
    check_plan(what, shape, stdout + stderr)
    return took


def _seconds(command: list[str], env: dict[str, str], status: int) -> float:
    return timed(command, env, status=status)[0]
