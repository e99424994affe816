"""A batches root, an embedded API and the command line in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.cli import run
from tests.embedded import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.sandbox import Sandbox

NUMBER = "+919876543210"
SPEC = f"""\
# yaml-language-server: $schema=../schemas/batch.schema.json
campaign_id: cmp_abc123
contacts:
  - phone_number: "{NUMBER}"
    call_variables: {{callee_name: Rajesh Sharma}}
"""


@dataclass
class Bench:
    """What a test works with: `root` holds one spec, `welcome`."""

    root: Path
    sandbox: Sandbox
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; give its exit status and all it said."""
        status = run(["--batches", str(self.root), *words])
        said = self.capsys.readouterr()
        assert NUMBER not in said.out + said.err
        return int(status), said.out + said.err

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows of `state list`."""
        status = run(["--batches", str(self.root), "state", "list", "--format", "json"])
        assert status == 0
        rows: list[dict[str, Any]] = json.loads(self.capsys.readouterr().out)["batches"]
        return rows

    def state(self) -> dict[str, Any]:
        """Give the state file."""
        document: dict[str, Any] = json.loads((self.root / "state.json").read_bytes())
        return document

    def request(self, name: str = "welcome") -> dict[str, Any]:
        """Give the record of a name's first request."""
        record: dict[str, Any] = self.state()["batches"][name]["generations"][-1]["requests"][0]
        return record

    def make(self, **fields: Any) -> str:
        """Create a batch beside the reconciler, as a person does in the console."""
        import httpx  # noqa: PLC0415 - as slow as everywhere

        body = {
            "campaign_id": "cmp_abc123",
            "contacts": [{"phone_number": NUMBER, "call_variables": {"callee_name": "R"}}],
            **fields,
        }
        answer = httpx.post(
            f"{self.sandbox.url}/batches/", json=body, headers={"Authorization": "Bearer gat_x"}
        )
        return str(answer.raise_for_status().json()["batch_id"])


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """Give a root with one spec, and an API that knows nothing of it."""
    root = tmp_path / "batches"
    root.mkdir()
    (root / "welcome.yaml").write_text(SPEC)
    monkeypatch.setenv("GITHUB_ACTOR", "asha")
    with embedded(monkeypatch, accept_any_campaign=True) as sandbox:
        yield Bench(root, sandbox, capsys)
