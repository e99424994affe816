"""A batches root whose specs change while an embedded API is calling."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.sandbox import Sandbox
from tests.watch.conftest import MORNING, PREFIX, TOKEN, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Office(World):
    """A world in which a test says of each person how their calls end."""

    outcomes: dict[int, Any] = field(default_factory=dict)

    def write(self, people: list[int], name: str = "welcome", **fields: Any) -> None:
        """Write a spec that calls these people. `reconcile` goes below that field."""
        head = {"campaign_id": "cmp_abc123", **fields}
        contacts = [
            {
                "phone_number": f"{PREFIX}{number:05d}",
                "call_variables": {
                    "callee_name": f"Person {number}",
                    "sandbox_outcome": self.outcomes.get(number, "completed"),
                },
            }
            for number in people
        ]
        path = self.root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**head, "contacts": contacts}), encoding="utf-8")

    def batches(self) -> list[dict[str, Any]]:
        """Give every batch there is, the oldest first: its status, and each person's."""
        return [
            {
                "id": batch.batch_id,
                "status": batch.status,
                "people": {
                    int(contact["phone_number"][len(PREFIX) :]): contact["status"]
                    for contact in batch.contacts
                },
            }
            for batch in sorted(self.sandbox.batches(), key=lambda b: (b.created_at, b.batch_id))
        ]

    def dialled(self) -> list[int]:
        """Give whom phones rang for, each time."""
        return [int(dial.phone_number[len(PREFIX) :]) for dial in self.sandbox.dials()]

    def plan(self, *words: str) -> list[dict[str, Any]]:
        """Give the plan's actions."""
        said = self.run("plan", "--format", "json", *words)
        assert said.status == 0, said.err
        actions: list[dict[str, Any]] = said.json["actions"]
        return actions

    def state(self, name: str = "welcome") -> dict[str, Any]:
        """Give what is recorded under a name."""
        document: dict[str, Any] = self.run("state", "show", name, "--format", "json").json
        return document


@pytest.fixture
def office(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Office]:
    """Give an empty root and an API that knows the sandbox's own campaigns."""
    root = tmp_path / "batches"
    root.mkdir()
    for name in ("GRAINE_ORG_ID", "GRAINE_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    with Sandbox(token=TOKEN, now=MORNING, speed=0) as sandbox:
        monkeypatch.setenv("GRAINE_API_URL", sandbox.url)
        monkeypatch.setenv("GRAINE_API_KEY", TOKEN)
        monkeypatch.setenv("COLUMNS", "100")
        yield Office(root, sandbox, capsys)
