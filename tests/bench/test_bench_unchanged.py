"""What a changed spec costs is measured on plans that were made, in clones that are left alone."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bench import unchanged
from bench.measure import Unmeasurable
from bench.unchanged import FEW, MANY, Took, Turns

if TYPE_CHECKING:
    from pathlib import Path


def _status(clone: Path) -> str:
    command = ["git", "-C", str(clone), "status", "--porcelain"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_plans_do_what_is_measured_and_leave_the_clone_as_it_was(tmp_path: Path) -> None:
    """Nothing to do, some changed, some new; each of them in a clone with recorded state."""
    unchanged.make(tmp_path, 100)
    none = unchanged.plan(tmp_path, "Nothing to do")
    assert min(none) > 0
    with unchanged.changed(tmp_path, 3):
        assert _status(tmp_path).count(" M ") == 3
        unchanged.plan(tmp_path, "3 to replace")
    with unchanged.new(tmp_path, 2):
        unchanged.plan(tmp_path, "2 to create")
        with pytest.raises(Unmeasurable, match="instead of 'Nothing to do' a plan said"):
            unchanged.plan(tmp_path, "Nothing to do")
    assert _status(tmp_path) == ""


def _turns(*, fixed: float, each: float, turns: int = 3) -> Turns:
    """Give figures of plans that cost so much, and so much more for each changed or new spec."""
    counts = {"plan": 0, "plan, 1 new": 1, "plan, 100 new": 100}
    counts |= {f"plan, {count:,} changed": count for count in unchanged.CHANGED}
    return {
        what: [Took(9.0, turn + fixed * bool(count) + each * count) for turn in range(turns)]
        for what, count in counts.items()
    }


def test_one_more_changed_spec_is_what_lies_between_many_and_more() -> None:
    """What the first one costs beside that, and what an unchanged root does, is in no ratio."""
    few, many = _turns(fixed=0.25, each=0.5), _turns(fixed=8, each=0.75)
    found = unchanged.one_more(few, many)
    assert found.values == pytest.approx((1.5, 1.5, 1.5))
    assert found.limit is not None
    assert found.limit.value == 1.5


def test_the_first_changed_spec_is_told_apart() -> None:
    """So is the first new one: beside many and beside few."""
    few, many = _turns(fixed=0.25, each=0.5), _turns(fixed=1, each=0.5)
    said = unchanged.notes({FEW: few, MANY: many})
    for what in ("changed", "new"):
        expected = "750 ms beside 10,000, 1,500 ms beside 100,000"
        assert f"the first {what} spec, of processors: {expected}" in said
    assert "10,000 specs, each changed one more: 500.00 ms of processors" in said


def test_noise_is_no_figure() -> None:
    """Where more changed specs took no longer than many, nothing was measured."""
    with pytest.raises(Unmeasurable, match="too much noise"):
        unchanged.one_more(_turns(fixed=1, each=0.5), _turns(fixed=1, each=0))
