"""Workflows run other people's code with our rights: they get few, and from pinned commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

USES = re.compile(r"^\s*(?:-\s+)?uses:\s*(?P<action>\S+)(?P<rest>.*)$", re.MULTILINE)


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file as data."""
    data = YAML(typ="safe", pure=True).load(path)
    assert isinstance(data, dict), path
    return data


@pytest.fixture(scope="module")
def workflows(committed: tuple[Path, ...]) -> tuple[Path, ...]:
    """Give every workflow: our own, and those we write into other people's repositories."""
    found = tuple(p for p in committed if p.parent.name == "workflows" and p.suffix == ".yml")
    assert found
    return found


def test_actions_are_pinned_by_commit(committed: tuple[Path, ...]) -> None:
    """An action is named by its full commit, with the version beside it for the reader."""
    loose = [
        f"{path.name}: {found['action']}"
        for path in committed
        if path.suffix in {".yml", ".yaml"}
        for found in USES.finditer(path.read_text("utf-8", errors="replace"))
        if not found["action"].startswith(("./", "$/"))
        and not (
            re.search(r"@[0-9a-f]{40}$", found["action"])
            and re.match(r"\s+#\s*v\d+(?:\.\d+)*\s*$", found["rest"])
        )
    ]
    assert loose == []


def test_workflows_start_without_rights(workflows: tuple[Path, ...]) -> None:
    """`permissions: {}` at the top: each job then takes what it needs, and says so."""
    assert [path.name for path in workflows if load(path).get("permissions") != {}] == []


def test_every_job_names_its_rights_and_its_end(workflows: tuple[Path, ...]) -> None:
    """A job without `permissions` has none, and one without a timeout may hang for six hours."""
    lacking = [
        f"{path.name}: {name} lacks {key}"
        for path in workflows
        for name, job in load(path)["jobs"].items()
        for key in ("permissions", "timeout-minutes")
        if key not in job
    ]
    assert lacking == []


def test_our_workflow_runs_what_a_developer_runs(root: Path) -> None:
    """The pipeline's commands are targets of the Makefile, so that anybody can repeat them."""
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    for job in load(root / ".github/workflows/ci.yml")["jobs"].values():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                command, *words = line.split()
                assert command == "make", line
                assert {word for word in words if "=" not in word} <= targets, line
