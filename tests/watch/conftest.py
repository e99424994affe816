"""A batches root, an embedded API whose time is moved by hand, and the command line."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from reconciler.cli import run
from tests.embedded import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.sandbox import Sandbox

MORNING = datetime(2035, 5, 15, 6, 0, tzinfo=UTC)
"""When the simulated time begins: a Tuesday, 11:30 in India, 07:00 in London."""
SAID = Path(__file__).parent / "said"
PREFIX = "+9198123"
TOKEN = "gat_t0ken-of-these-tests"  # noqa: S105 - opens a sandbox only


class Said(NamedTuple):
    """What a command did. Batch ids are numbered in the order of their appearance."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """Stdout with ids that are the same in every run."""
        ids: dict[str, str] = {}
        return re.sub(
            r"batch_[0-9a-f]{20}", lambda m: ids.setdefault(m[0], f"batch_{len(ids) + 1}"), self.out
        )


@dataclass
class World:
    """What a test works with. The sandbox's clock moves by `sandbox.advance` only."""

    root: Path
    sandbox: Sandbox
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Said:
        """Run a command. Whatever it is: no number, variable or token is on stderr."""
        status = run(["--batches", str(self.root), *words])
        out, err = self.capsys.readouterr()
        assert PREFIX not in err
        assert "Person" not in err
        assert TOKEN not in out + err
        return Said(int(status), out, err)

    def spec(
        self, name: str = "welcome", *, people: int = 2, first: int = 0, **fields: Any
    ) -> None:
        """Write a spec; people are numbered from `first` on."""
        head = {"campaign_id": "cmp_abc123", **fields}
        contacts = [
            {
                "phone_number": f"{PREFIX}{number:05d}",
                "call_variables": {"callee_name": f"Person {number}"},
            }
            for number in range(first, first + people)
        ]
        path = self.root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**head, "contacts": contacts}), encoding="utf-8")

    def apply(self) -> None:
        """Create what the specs say, one after the other: the order decides how calls end."""
        words = ("apply", "--yes", "--parallelism", "1", "--format", "json")
        assert self.run(*words).status == 0

    def said(self, name: str, text: str) -> None:
        """Compare a text with the file of that name.

        `UPDATE_SAID=1 .venv/bin/pytest tests/watch` accepts what is said now.
        """
        text = text.replace(str(self.root), "ROOT")
        path = SAID / f"{name}.txt"
        if os.environ.get("UPDATE_SAID"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text("utf-8")

    def edit_state(self, old: str, new: str) -> None:
        """Replace a text in the state, as nobody should."""
        path = self.root / "state.json"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def requests(self) -> list[tuple[str, str]]:
        """Give what was asked of the API: operation and batch id, creates and all."""
        return [(entry.operation or "", entry.batch_id or "") for entry in self.sandbox.log()]


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    """Give an empty root and an API that knows the sandbox's own campaigns."""
    root = tmp_path / "batches"
    root.mkdir()
    monkeypatch.setenv("COLUMNS", "100")
    with embedded(monkeypatch, token=TOKEN, now=MORNING, speed=0) as sandbox:
        yield World(root, sandbox, capsys)
