"""Roots of specs, made in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.spec.load import load_specs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.model import Diagnostic, SpecSet

HEAD = "campaign_id: cmp_abc123\n"
CONTACTS = """contacts:
  - phone_number: "+14155550100"
    call_variables: {callee_name: Asha}
"""


class Root:
    """A batches root under test; `shown` in messages as `batches`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file below the root."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def spec(self, extra: str = "", name: str = "a.yaml") -> Path:
        """Put a sound spec below the root, with more fields."""
        return self.write(name, HEAD + CONTACTS + extra)

    def load(self) -> SpecSet:
        """Read the root."""
        return load_specs(self.path, shown="batches")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the keys of whoever runs the tests out of them."""
    for name in ("RECONCILER_AGE_KEY", "RECONCILER_AGE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Give an empty batches root."""
    path = tmp_path / "batches"
    path.mkdir()
    return Root(path)


@pytest.fixture
def check(root: Root) -> Callable[[str | bytes], tuple[Diagnostic, ...]]:
    """Give the diagnostics of one file's content."""

    def checked(content: str | bytes) -> tuple[Diagnostic, ...]:
        root.write("a.yaml", content)
        return root.load().diagnostics

    return checked
