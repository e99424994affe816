"""Creating batches from contact lists, side by side with a plain script.

The script (`plain_script.py`) reads each list and posts it, one after the other, and remembers
nothing. `reconciler apply --yes` creates the same batches, as a person would run it: with the usual
number of requests under way. It also checks every contact, looks at the campaign, records each
intent and each outcome durably, and could be killed at any line. Before anything is timed, a server
that keeps digests has seen that the same people arrive from both, in the same batches.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.lists import write_list
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

CAMPAIGN = "cmp_000000"
LATENCIES = (0.0, 0.005, 0.05)
SCRIPT, OURS = "plain script", "reconciler apply --yes"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many lists, and how many contacts each of them has."""

    lists: int
    contacts: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.lists:,} list{'s' * (self.lists > 1)} of {self.contacts:,}"


def shapes(scale: Scale) -> list[Shape]:
    """Give what to send: many short lists, and a long one."""
    return (
        [Shape(40, 100), Shape(1, 40_000)] if scale.quick else [Shape(100, 100), Shape(1, 100_000)]
    )


def run(scale: Scale) -> Report:
    """Measure."""
    python = beside(scale, "python")
    ratios: list[Ratio] = []
    notes: list[str] = []
    for shape in shapes(scale):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory, "batches")
            write_lists(root, shape)
            with serving(0, digests=True) as url:
                check_same([_arrived(command, url) for command in _commands(python, root, url)])
            for latency in LATENCIES:
                with serving(latency) as url:
                    script, ours = (
                        partial(_sent, command, root, url, shape)
                        for command in _commands(python, root, url)
                    )
                    measured = in_turns(
                        scale.turns, {SCRIPT: script, OURS: ours}, warm=False
                    )  # the check has filled caches
                where = f"{shape}, {latency * 1000:.0f} ms"
                found, note = compared(OURS, SCRIPT, where, measured)
                ratios.append(found)
                notes.append(note)
    return Report("Creating, side by side with a plain script", ratios, notes)


def write_lists(root: Path, shape: Shape) -> None:
    """Write the lists and a spec for each, no number in two of them."""
    contacts = root / "contacts"
    contacts.mkdir(parents=True)
    everybody = root / "everybody.csv"
    write_list(everybody, shape.lists * shape.contacts)
    head, *rows = everybody.read_text("utf-8").splitlines(keepends=True)
    everybody.unlink()
    for index in range(shape.lists):
        name = f"list-{index:04d}"
        mine = rows[index * shape.contacts : (index + 1) * shape.contacts]
        (contacts / f"{name}.csv").write_text("".join([head, *mine]), "utf-8")
        spec = f"campaign_id: {CAMPAIGN}\ncontacts: {{file: contacts/{name}.csv}}\n"
        (root / f"{name}.yaml").write_text(spec, "utf-8")


def check_same(arrived: list[list[str]]) -> None:
    """Raise Unmeasurable unless both sent the same batches; `arrived` are digests of each."""
    script, ours = arrived
    if script != ours or not script:
        common = len(set(script) & set(ours))
        raise Unmeasurable(
            f"of {len(script)} batches that the script created and {len(ours)} that the"
            f" reconciler created, {common} are the same"
        )


def check_count(shape: Shape, arrived: dict[str, int]) -> None:
    """Raise Unmeasurable unless every batch arrived once, with all its contacts."""
    created, contacts = arrived["created"], arrived["contacts"]
    if (created, contacts) != (shape.lists, shape.lists * shape.contacts):
        raise Unmeasurable(
            f"{created} batches of {shape.lists} arrived, with {contacts:,} contacts of"
            f" {shape.lists * shape.contacts:,}"
        )


def _commands(python: str, root: Path, url: str) -> tuple[list[str], list[str]]:
    script = str(Path(__file__).with_name("plain_script.py"))
    return (
        [python, script, url, CAMPAIGN, str(root / "contacts")],
        [RECONCILER, "--batches", str(root), "apply", "--yes"],
    )


def _arrived(command: list[str], url: str) -> list[str]:
    timed(command, environment(url))
    digests: list[str] = summary(url)["digests"]
    return digests


def _sent(command: list[str], root: Path, url: str, shape: Shape) -> float:
    (root / "state.json").unlink(missing_ok=True)  # as if these lists had never been sent
    took = timed(command, environment(url))[0]
    check_count(shape, summary(url))
    return took
