"""A batches root whose specs change while an embedded API is calling."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from reconciler.sandbox.campaigns import campaign
from reconciler.sandbox.hours import WEEKDAYS
from tests.embedded import embedded
from tests.watch.conftest import MORNING, PREFIX, TOKEN, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


MINUTE = campaign("cmp_minute", "A minute a day", "UTC", hours=("06:00", "06:01"), days=WEEKDAYS)
"""Calls go out in the first minute of the simulated day; then all that was begun can be looked at
in peace."""


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
            for batch in self.sandbox.batches()
        ]

    def control(self, batch_id: str, verb: str) -> None:
        """Do as an operator does in the vendor's console."""
        request = Request(  # noqa: S310 - the sandbox's own address
            f"{self.sandbox.url}/batches/{batch_id}/{verb}",
            method="POST",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            assert answer.status == 200

    def skip(self, batch_id: str, person: int) -> None:
        """Skip one person by hand, which the documented API has no call for."""
        assert self.sandbox.skip(batch_id, f"{PREFIX}{person:05d}")

    def faults(self, *rules: dict[str, Any]) -> None:
        """Have requests fail."""
        self.sandbox.faults.add_all(list(rules))

    @contextmanager
    def time_passes(self, speed: float) -> Iterator[None]:
        """Let the simulated time run for as long as the context lasts."""
        done = threading.Event()

        def run() -> None:
            while not done.wait(0.02):
                self.sandbox.advance(seconds=0.02 * speed)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

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
    monkeypatch.setenv("COLUMNS", "100")
    with embedded(monkeypatch, token=TOKEN, now=MORNING, speed=0) as sandbox:
        sandbox.add_campaign(MINUTE)
        yield Office(root, sandbox, capsys)
