"""No test of the engine waits: the verifier looks again at once."""

from __future__ import annotations

import pytest

from reconciler.apply import verifier


@pytest.fixture(autouse=True)
def _verifier_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(verifier, "LONGEST_PAUSE", 0.001)
