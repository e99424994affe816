from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.incremental.twins import DAMAGES, Twins, listed, text

_PATHS = ("a.yaml", "b.yaml", "team/c.yaml", "Team/C.yml", "_d.yaml")
_LISTS = ("contacts/one.csv", "contacts/two.csv")

_specs = st.builds(
    text,
    people=st.integers(1, 3),
    first=st.sampled_from((0, 0, 1, 10)),
    comment=st.sampled_from(("", "x")),
    lifecycle=st.sampled_from(("active", "active", "paused", "cancelled")),
    on_change=st.sampled_from(("remaining", "everyone", "added")),
    name=st.sampled_from(("", "", "n", "N")),
    file=st.sampled_from(("", "", *_LISTS)),
    cut=st.sampled_from((0, 0, 1)),
)
_edits = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(_PATHS), _specs),
    st.tuples(st.just("write"), st.sampled_from(_PATHS), _specs),
    st.tuples(st.just("list"), st.sampled_from(_LISTS), st.builds(listed, st.integers(1, 3))),
    st.tuples(st.just("delete"), st.sampled_from(_PATHS), st.just("")),
    st.tuples(st.just("move"), st.sampled_from(_PATHS), st.sampled_from(_PATHS)),
    st.tuples(st.just("comment"), st.sampled_from(_PATHS), st.sampled_from(("# 1\n", "# 2\n"))),
    st.tuples(st.just("split"), st.sampled_from(("1", "2", "")), st.just("")),
    st.tuples(st.just("damage"), st.sampled_from([*DAMAGES]), st.just("")),
    st.tuples(
        st.sampled_from(("commit", "commit", "stage", "revert", "switch", "apply", "apply")),
        st.just(""),
        st.just(""),
    ),
)


_AS_BEFORE = [
    ("write", "Team/C.yml", text(file=_LISTS[1])),
    ("list", _LISTS[0], listed(3)),
    ("apply", "", ""),
    ("list", _LISTS[0], listed(2)),
]
"""A spec says again what it said before, which another name says too: which of them is named?"""


@settings(
    max_examples=60,
    deadline=None,
    # Shrinking would take minutes; the sequences are short as they are.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(edits=st.lists(_edits, min_size=4, max_size=10))
@example(edits=_AS_BEFORE)
def test_whatever_is_done_to_the_files_both_ways_agree(edits: list[tuple[str, str, str]]) -> None:
    """Planning by what git says is planning by reading everything, after every single edit."""
    with tempfile.TemporaryDirectory() as directory:
        twins = Twins(Path(directory))
        twins.write("a.yaml", text())
        twins.write("b.yaml", text(file=_LISTS[0], first=5))
        for path in _LISTS:
            twins.write(path, listed(2))
        twins.commit()
        twins.git("branch", "other")
        twins.remember()
        twins.apply()
        for edit in edits:
            _do(twins, *edit)
            twins.remember()
            twins.plans()
            if edit[0] == "apply":
                twins.apply()
                twins.hold_truth()


def _do(twins: Twins, what: str, path: str, content: str) -> None:
    file = twins.root / path
    match what:
        case "write" | "list":
            twins.write(path, content)
        case "damage":
            twins.damage(path)
        case "delete":
            file.unlink(missing_ok=True)
        case "move" if file.is_file() and path != content:
            (twins.root / content).parent.mkdir(exist_ok=True)
            file.rename(twins.root / content)
        case "comment" if file.is_file():
            twins.write(path, file.read_text("utf-8") + content)
        case "split":
            said = f"split: {{max_contacts: {path}}}" if path else ""
            twins.write("reconciler.yaml", f"{said}\n")
        case _:
            _ask_git(twins, what)


def _ask_git(twins: Twins, what: str) -> None:
    match what:
        case "commit":
            twins.commit()
        case "stage":
            twins.git("add", "-A", ".")
        case "revert":
            twins.git("stash", "-q", "--include-untracked")
        case "switch":
            twins.commit()
            branch = twins.git("branch", "--show-current").strip()
            twins.git("switch", "-q", "other" if branch == "main" else "main")
