"""A token the API does not take ends a command before anything is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.hand.conftest import Bench


@pytest.mark.parametrize("words", [("plan",), ("apply", "--yes")])
def test_a_refused_token_ends_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Nothing is planned or sent that cannot work, and no intent is left behind."""
    monkeypatch.setenv("GRAINE_API_KEY", "secret-7f3a91")
    status, said = bench.run(*words)
    assert status == 1
    assert "401" in said
    assert "secret-7f3a91" not in said
    assert bench.sandbox.log("create") == []
    assert not (bench.root / "state.json").exists()


def test_a_root_whose_specs_vanished_is_refused(bench: Bench) -> None:
    """A wrong directory or half a checkout is not the wish to remove everything."""
    bench.run("apply", "--yes")
    (bench.root / "welcome.yaml").unlink()
    for words in (("plan",), ("apply", "--yes")):
        status, said = bench.run(*words)
        assert status == 4
        assert "has no spec at all, but 1 recorded" in said
