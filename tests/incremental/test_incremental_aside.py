"""What is planned while another process looks the state through is told only if that says yes."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from reconciler.cli import run
from reconciler.cli.reading import Reader
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.worktree import WorkTree
from reconciler.errors import InvalidSpecs, StateUnusable
from reconciler.spec import parallel
from reconciler.state import codec
from reconciler.state.codec import encode
from reconciler.state.sealed import Sealed
from tests.incremental.twins import GIT, text

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.state.document import NameRecord
    from tests.incremental.twins import Twins

STATE = b"""{
  "batches": {
    "welcome": {
      "generations": [],
      "lifecycle": "active"
    }
  },
  "lineage": "a",
  "serial": 1,
  "tool_version": "0.1.0",
  "version": 1
}
"""
"""In the shape of a state, as we write it, and nothing that we would write."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a root in git with one spec and a state that is not sound, however short looked into."""
    monkeypatch.setattr(codec, "_LONG", 0)
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    (tmp_path / "welcome.yaml").write_text(text())
    (tmp_path / "state.json").write_bytes(STATE)
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "one")):
        subprocess.run(
            ["git", "-C", str(tmp_path), *command],
            env={**os.environ, **GIT},
            check=True,
            capture_output=True,
        )
    return tmp_path


def test_a_state_that_is_not_sound_is_refused_before_specs_are_given(root: Path) -> None:
    """Not even what it lacks, so that nobody could go on with it, is told in other words."""
    session = Session.open(root, StateOptions())
    reader = Reader(session, cache=True)
    state = reader.load(reader.store())
    with pytest.raises(StateUnusable, match=r"welcome.* has no generation"):
        reader.specs(state, session.rules())


def test_mistakes_in_specs_are_told_before_those_of_the_state(root: Path) -> None:
    """As where nothing is found out aside."""
    (root / "welcome.yaml").write_text("campaign_id: 1\n")
    session = Session.open(root, StateOptions())
    reader = Reader(session, cache=True)
    state = reader.load(reader.store())
    with pytest.raises(InvalidSpecs):
        reader.specs(state, session.rules())


def test_a_plan_that_asks_nobody_reads_no_record_at_rest(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a root in which all is as recorded nothing is read but what is looked through."""
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    monkeypatch.delenv("GRAINE_API_KEY", raising=False)
    for number in range(8):
        twins.write(f"spec-{number}.yaml", text(first=number))
    twins.commit()
    twins.apply()
    (twins.root / "state.json").write_bytes(encode(twins.some.store.last))
    pieces: list[int] = []
    read = Sealed._piece

    def noted(self: Sealed, number: int) -> dict[str, NameRecord]:
        pieces.append(number)
        return read(self, number)

    monkeypatch.setattr(Sealed, "_piece", noted)
    assert run(["--batches", str(twins.root), "plan"]) == 0
    assert "Nothing to do: 8 specs" in capsys.readouterr().out
    assert pieces == []
    twins.write("spec-3.yaml", text(people=3, first=300))
    assert run(["--batches", str(twins.root), "plan"]) == 0
    said = capsys.readouterr().out
    assert "spec-3" in said
    assert "spec-4" not in said
    assert len({*pieces}) == 1, "that of the changed spec"
    twins.write("new.yaml", text(first=500))
    assert run(["--batches", str(twins.root), "plan"]) == 0
    assert "1 to create" in capsys.readouterr().out
    assert len({*pieces}) == 1, "all others are long past"


def test_asking_git_takes_no_thread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another thread nothing could be found out aside. Unwanted answers are thrown away."""
    monkeypatch.undo()
    alone = parallel._alone()
    tree = WorkTree(root)
    assert parallel._alone() == alone
    assert tree.blobs().keys() == {"welcome.yaml", "state.json"}
    process = WorkTree(root)._index._process
    assert process is not None
    assert process.returncode is not None


def test_without_memory_of_its_own_an_answer_goes_to_a_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems that lack such memory get the same answer."""
    expected = WorkTree(root).blobs()
    monkeypatch.delattr(os, "memfd_create")
    assert WorkTree(root).blobs() == expected
    assert expected
