"""The files that `reconciler init` writes, and what to say of those that are there already.

A file that somebody has is never touched. Where it lacks something, what it lacks is told, as the
lines to add.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler import __version__
from reconciler.cli.provenance import merged_into
from reconciler.errors import InvalidSpecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TEXTS = Path(__file__).resolve().parents[1] / "scaffold"
_BATCHES = "batches"
STATE_BRANCH = "reconciler-state"
WORKFLOWS = ("plan", "apply", "reconcile")
_ACTION = ".github/actions/reconciler"
_PUSHED = re.compile(r"^  push:\n(?: +#.*\n)*    branches: \[([^\]\n]+)\]$", re.MULTILINE)
_BRANCH = re.compile(r"[\w./-]+")
_UNKNOWN = f"OWNER/call-batch-reconciler/.github/actions/reconciler@{'0' * 40} # v0.0.0"
"""How the templates name the action; as long as nobody knows better, so do the workflows."""
OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks for code owners; the first that is there counts."""


class Source(Struct, frozen=True):
    """Where workflows get the reconciler from: a repository on GitHub, at a commit."""

    repository: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit}"


class Wanted(Struct, frozen=True):
    """What somebody asked for. `root` is the batches root within the repository."""

    root: PurePosixPath
    branch: str = "main"
    protected: bool = False
    source: Source | None = None


class Piece(Struct, frozen=True):
    """One file: its path in the repository, its text, and what an existing one lacks.

    `lacking` takes the existing file's path and gives what to tell, nothing when all is well.
    `replaces` are texts that only this tool can have written and that are out of date.
    """

    path: str
    text: str
    lacking: Callable[[Path], list[str]]
    replaces: tuple[str, ...] = ()


def pieces(wanted: Wanted, directory: Path) -> Iterator[Piece]:
    """Give every file there should be. `directory` is the top of the repository."""
    root = wanted.root
    yield Piece(f"{root}/reconciler.yaml", _settings(wanted), lambda p: _lacks_settings(p, wanted))
    if not _has_specs(directory / root):
        yield Piece(f"{root}/example.yaml", _schema_line(_read("example.yaml"), root), _nothing)
    for name, text in _schemas().items():
        yield Piece(f"schemas/{name}", text, _stale("reconciler schema"))
    attributes = _read("gitattributes").replace(f"{_BATCHES}/", f"{root}/")
    yield Piece(".gitattributes", attributes, lambda p: _lacks_lines(p, attributes))
    ignored = _read("gitignore")
    yield Piece(".gitignore", ignored, lambda p: _lacks_lines(p, ignored))
    owners = _read("CODEOWNERS").replace(f"/{_BATCHES}/", f"/{root}/")
    there = next((place for place in OWNERS if (directory / place).exists()), OWNERS[0])
    yield Piece(there, owners, lambda p: _lacks_owner(p, root))
    for name in WORKFLOWS:
        path = f".github/workflows/{name}.yml"
        text = workflow(name, wanted)
        unknown = workflow(name, Wanted(root, wanted.branch, wanted.protected))
        lacking = partial(_lacks_workflow, name=name, wanted=wanted)
        yield Piece(path, text, lacking, (unknown,) if wanted.source else ())


def workflow(name: str, wanted: Wanted) -> str:
    """Give a workflow's text."""
    text = _read(f"workflows/{name}.yml").replace(
        "branches: [main]", f"branches: [{_in_yaml(wanted.branch)}]"
    )
    if wanted.source is not None:
        action = f"{wanted.source.repository}/.github/actions/reconciler"
        text = text.replace(_UNKNOWN, f"{action}@{wanted.source.commit} # v{__version__}")
    if str(wanted.root) != _BATCHES:
        line = f"          command: {name}\n"
        text = text.replace(line, f"{line}          batches: {json.dumps(str(wanted.root))}\n")
    return text


def runs_on(path: Path) -> tuple[str, ...]:
    """Give the branches whose pushes start a workflow of ours.

    Empty where there is none, it uses something else, or they are patterns or written otherwise
    than `init` does.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return ()
    found = _PUSHED.search(text)
    if found is None or _ACTION not in text:
        return ()
    names = tuple(name.strip().strip("\"'") for name in found[1].split(","))
    return names if all(_BRANCH.fullmatch(name) for name in names) else ()


def elsewhere(path: Path) -> tuple[str, str] | None:
    """Say that a workflow of ours waits for pushes to another branch, and the line to write.

    None where it does not. `path` is the workflow's, three levels below the repository's top.
    """
    names = runs_on(path)
    branch = merged_into(path.parents[2], names) if names else None
    if branch is None:
        return None
    named = ", ".join(f"`{name}`" for name in names)
    told = f"runs on {named}, this repository's branch is `{branch}`"
    return told, f"branches: [{_in_yaml(branch)}]"


def _settings(wanted: Wanted) -> str:
    text = _read("protected.yaml" if wanted.protected else "reconciler.yaml")
    return _schema_line(text + _read("reviewed.yaml"), wanted.root)


def _schema_line(text: str, root: PurePosixPath) -> str:
    """Let the first line lead from the batches root up to the schemas."""
    return text.replace("$schema=../", "$schema=" + "../" * len(root.parts), 1)


def _schemas() -> dict[str, str]:
    from reconciler.render.schemas import all_schemas  # noqa: PLC0415 - imports pydantic

    return all_schemas()


def _has_specs(root: Path) -> bool:
    """Whether there is any spec: then no example is needed, nor wanted back."""
    from reconciler.spec.discover import SETTINGS  # noqa: PLC0415 - only here

    return any(
        path.suffix in {".yaml", ".yml"} and path.name != SETTINGS and path.name[0] not in "_."
        for path in root.rglob("*.y*ml")
    )


def _read(name: str) -> str:
    return (_TEXTS / name).read_text("utf-8")


def _nothing(_: Path) -> list[str]:
    return []


def _stale(command: str) -> Callable[[Path], list[str]]:
    return lambda _: [f"this version writes it otherwise, see: {command}"]


def _lacks_workflow(path: Path, *, name: str, wanted: Wanted) -> list[str]:
    lacks = [f"it {told}; write: {line}" for told, line in filter(None, [elsewhere(path)])]
    (branch, *_) = (*runs_on(path), wanted.branch)
    if path.read_text("utf-8", errors="replace") != workflow(name, replace(wanted, branch=branch)):
        lacks += _stale("reconciler init NEW_DIRECTORY, and compare")(path)
    return lacks


def _in_yaml(branch: str) -> str:
    return branch if branch == "main" else json.dumps(branch)


def _lacks_lines(path: Path, text: str) -> list[str]:
    """Name the lines of a text that a file has not, in whatever order and with whatever beside."""
    have = {" ".join(line.split()) for line in _lines(path)}
    wanted = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [f"add: {line}" for line in wanted if line not in have]


def _lacks_owner(path: Path, root: PurePosixPath) -> list[str]:
    pattern = re.compile(rf"(?:#\s*)?/?{re.escape(str(root))}/?\s")
    if any(pattern.match(f"{line} ") for line in _lines(path)):
        return []
    return [f"add who must agree to calls: /{root}/ @OWNER/TEAM"]


def _lacks_settings(path: Path, wanted: Wanted) -> list[str]:
    from reconciler.spec.config.settings import load_settings  # noqa: PLC0415 - imports ruamel.yaml

    try:
        settings = load_settings(path.parent)
    except InvalidSpecs:
        return ["it has mistakes, see: reconciler validate"]
    lacks = []
    if settings.state != "git":
        lacks.append("add: state: git")
    if wanted.protected and settings.state_branch is None:
        lacks.append(f"add: state_branch: {STATE_BRANCH}")
    return lacks


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", errors="replace").splitlines()
