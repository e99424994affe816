from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.render.markers import (
    ACTIONS,
    HASH,
    PLAN,
    Reviewed,
    encoded,
    is_plan_of,
    marker,
    markers_of,
    reviewed_in,
    without_markers,
)

ROOT = st.text(min_size=1, max_size=30)
SOME_HASH = f"p1:{'0' * 64}"


@given(ROOT)
@example("x --> <img>")
@example("a--b")
@example("ends in a dash-")
@example("zwei wörter\nzwei zeilen")
def test_no_root_breaks_out_of_its_comment(root: str) -> None:
    """Whatever a directory is called, the hidden line stays one HTML comment, and is read again."""
    line = marker(PLAN, root)
    assert re.fullmatch(r"<!-- call-batch-reconciler:plan [A-Za-z0-9._/%-]+ -->", line)
    assert "--" not in line.removeprefix("<!--").removesuffix("-->")
    assert is_plan_of(f"{line}\n### a plan\n", root)


@given(ROOT, ROOT)
def test_two_roots_have_two_names(one: str, other: str) -> None:
    """The comment of one root is never taken for that of another."""
    assert (encoded(one) == encoded(other)) == (one == other)


def test_a_usual_root_is_readable() -> None:
    """An ordinary path stands there as it is."""
    assert marker(PLAN, "batches/production") == (
        "<!-- call-batch-reconciler:plan batches/production -->"
    )


def test_only_the_first_lines_count() -> None:
    """What looks like a hidden line further down, in somebody's text, agrees to nothing."""
    comment = "\n".join([marker(PLAN, "batches"), "### a plan", marker(HASH, "batches", SOME_HASH)])
    assert [each.kind for each in markers_of(comment)] == [PLAN]
    assert reviewed_in(comment, "batches") is None


@pytest.mark.parametrize(
    ("lines", "expected", "reason"),
    [
        (
            [marker(PLAN, "b"), marker(HASH, "b", SOME_HASH)],
            Reviewed(SOME_HASH, None),
            "no actions",
        ),
        (
            [marker(PLAN, "b"), marker(HASH, "b", SOME_HASH), marker(ACTIONS, "b", "a1", "b2")],
            Reviewed(SOME_HASH, ("a1", "b2")),
            "actions",
        ),
        (
            [marker(PLAN, "b"), marker(HASH, "b", SOME_HASH), marker(ACTIONS, "b")],
            Reviewed(SOME_HASH, ()),
            "a plan that begins nothing",
        ),
        ([marker(PLAN, "b"), marker(HASH, "c", SOME_HASH)], None, "the hash of another root"),
        ([marker(HASH, "b", SOME_HASH)], None, "no plan at all"),
        ([marker(PLAN, "c"), marker(HASH, "b", SOME_HASH)], None, "the plan of another root"),
        ([marker(PLAN, "b"), marker(HASH, "b", SOME_HASH, SOME_HASH)], None, "two hashes"),
        ([], None, "no comment of ours"),
    ],
)
def test_what_a_comment_agrees_to(lines: list[str], expected: Reviewed | None, reason: str) -> None:
    """Only a comment that says all of it, about this root, agrees to something."""
    assert reviewed_in("\n".join([*lines, "### a plan"]), "b") == expected, reason


def test_without_its_hidden_lines() -> None:
    """What people see is all there is left."""
    comment = f"{marker(PLAN, 'b')}\n{marker(HASH, 'b', SOME_HASH)}\n### a plan\n\nand more\n"
    assert without_markers(comment) == "### a plan\n\nand more\n"
