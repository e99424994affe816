from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.cli import worktree
from reconciler.model import Lifecycle, OnChange
from reconciler.plan.facts import Rules
from reconciler.plan.unread import unread
from reconciler.state.document import (
    Generation,
    NameRecord,
    Replacing,
    RequestRecord,
    Source,
    State,
    Status,
)
from tests.apply.doubles import ManualClock
from tests.incremental.twins import Twins, listed, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOBS = {"a.yaml": "a" * 40, "contacts/a.csv": "c" * 40}
NOW = ManualClock().now()


def _request(part: int = 1) -> RequestRecord:
    return RequestRecord(
        part=part,
        key=f"rk1_{part}",
        status=Status.CREATED,
        digest="v1:" + "0" * 64,
        contacts=1,
        attempt=1,
        first_attempted_at=NOW,
        attempted_at=NOW,
        run="r",
        batch_id=f"b{part}",
        recorded_at=NOW,
    )


def _record() -> NameRecord:
    source = Source(
        path="a.yaml",
        blob="a" * 40,
        lifecycle=Lifecycle.ACTIVE,
        contacts_path="contacts/a.csv",
        contacts_blob="c" * 40,
    )
    generation = Generation(
        generation=2, campaign_id="c", fields={}, source=source, requests=(_request(),)
    )
    return NameRecord(generations=(generation,))


def _with_generation(**changes: object) -> NameRecord:
    record = _record()
    return replace(record, generations=(replace(record.current, **changes),))


def _with_source(**changes: object) -> NameRecord:
    return _with_generation(source=replace(_record().current.source, **changes))


def _with_request(**changes: object) -> NameRecord:
    return _with_generation(requests=(replace(_request(), **changes),))


def _cancelling_earlier() -> NameRecord:
    record = _record()
    older = replace(record.current, generation=1, requests=(replace(_request(), cancelling=True),))
    return replace(record, generations=(older, record.current))


READ: dict[str, Callable[[], NameRecord]] = {
    "another blob": lambda: _with_source(blob="b" * 40),
    "no blob": lambda: _with_source(blob=None),
    "another path": lambda: _with_source(path="b.yaml"),
    "another blob of the list": lambda: _with_source(contacts_blob="d" * 40),
    "no blob of the list": lambda: _with_source(contacts_blob=None),
    "another list": lambda: _with_source(contacts_path="contacts/b.csv"),
    "nothing is known of the reading": lambda: _with_source(lifecycle=None),
    "the file asks for another lifecycle": lambda: _with_source(lifecycle=Lifecycle.PAUSED),
    "another lifecycle was carried out": lambda: replace(_record(), lifecycle=Lifecycle.CANCELLED),
    "in doubt": lambda: _with_request(status=Status.CREATING, batch_id=None),
    "being cancelled": lambda: _with_request(cancelling=True),
    "an earlier one is being cancelled": _cancelling_earlier,
    "a part is missing": lambda: _with_generation(parts=2, digest="v1:" + "1" * 64),
    "being replaced": lambda: replace(
        _record(), replacing=Replacing(generation=3, on_change=OnChange.REMAINING, begun_at=NOW)
    ),
    "of another organisation": lambda: _with_generation(fields={"organization_id": "theirs"}),
}


def _unread(record: NameRecord, **more: NameRecord) -> dict[str, str]:
    state = State(lineage="l", batches={"a": record, **more})
    return unread(state, BLOBS, Rules(organization_id="ours"))


def test_what_is_as_recorded_is_not_read() -> None:
    """The cases below differ from this one in one thing each."""
    assert _unread(_record()) == {"a.yaml": "a"}
    assert _unread(_with_generation(fields={"organization_id": "ours"})) == {"a.yaml": "a"}


@pytest.mark.parametrize("why", READ)
def test_whatever_is_not_as_recorded_is_read(why: str) -> None:
    """Each single condition keeps a spec from being left unread."""
    assert _unread(READ[why]()) == {}


def test_a_file_that_two_names_claim_is_read() -> None:
    """Which of the two is right only the file can tell."""
    assert _unread(_record(), b=_record()) == {}


def test_what_git_can_tell_is_left_unread(twins: Twins) -> None:
    """After an apply nothing is read, with contacts in the spec or in a list."""
    twins.write("a.yaml", text())
    twins.write("b.yaml", text(file="contacts/b.csv"))
    twins.write("contacts/b.csv", listed(3, 5))
    twins.commit()
    twins.apply()
    assert twins.unread() == {"a", "b"}
    twins.write("contacts/b.csv", listed(3, 6))
    assert twins.unread() == {"a"}
    twins.git("checkout", "-q", ".")
    assert twins.unread() == {"a", "b"}


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_does_not_look_at_is_read(twins: Twins, flag: str) -> None:
    """Git was told to believe that it is unmodified, and so does not know."""
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    twins.git("update-index", flag, "a.yaml")
    twins.write("a.yaml", text(people=3))
    assert twins.unread() == frozenset()
    twins.plans()


@pytest.mark.parametrize(
    "attributes",
    ["filter=up", "ident", "working-tree-encoding=UTF-8", "eol=crlf", "text", "text=auto"],
)
def test_what_git_alters_on_the_way_is_read(twins: Twins, attributes: str) -> None:
    """A clean filter hides what a person has changed; git says that nothing is modified."""
    twins.git("config", "filter.up.clean", "tr X B")
    twins.git("config", "filter.up.smudge", "cat")
    (twins.root / ".gitattributes").write_text(f"*.csv {attributes}\n", encoding="utf-8")
    twins.write("a.yaml", text(file="contacts/a.csv"))
    twins.write("b.yaml", text())
    twins.write("contacts/a.csv", "phone_number,callee_name\n+14155550100,Bo\n")
    twins.commit()
    twins.apply()
    assert twins.unread() == {"b"}
    if attributes == "filter=up":
        twins.write("contacts/a.csv", "phone_number,callee_name\n+14155550100,Xo\n")
        twins.git("update-index", "--refresh")  # as `git status` does
        assert twins.git("diff-files", "--name-only") == ""
        plans = twins.plans()
        assert plans is not None
        assert plans[0].summary()["replace"] == 1


@pytest.mark.parametrize("where", ["the repository's own", "everybody's", "a setting"])
def test_wherever_attributes_stand_they_count(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """In the repository itself, in the user's settings, or in a file that these name."""
    own = twins.root.parent / "attributes"
    files = {
        "the repository's own": twins.root / ".git/info/attributes",
        "everybody's": own,
        "a setting": own,
    }
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    assert twins.unread() == {"a"}
    files[where].parent.mkdir(exist_ok=True)
    files[where].write_text("* ident\n", encoding="utf-8")
    if where == "everybody's":
        monkeypatch.setattr(worktree, "_ATTRIBUTES_OF_ALL", (str(own),))
    if where in {"everybody's", "a setting"}:
        twins.git("config", "core.attributesFile", str(own))
    assert twins.unread() == set()


@pytest.mark.parametrize("place", [".gitattributes", "batches/.gitattributes"])
@pytest.mark.parametrize(
    ("attributes", "left"),
    [
        ("{}*.csv filter=up", {"a.yaml"}),
        ("{}a.yaml ident", {"list.csv"}),
        ("{}** filter=up", set()),
        ("{}* text=auto", {"a.yaml"}),
        ("{}* eol=lf", {"a.yaml"}),
        ("{}* -text", {"a.yaml", "list.csv"}),
        ("elsewhere/* filter=up", {"a.yaml", "list.csv"}),
    ],
)
def test_attributes_count_for_a_root_below_the_top(
    tmp_path: Path, place: str, attributes: str, left: set[str]
) -> None:
    """With the directory's name in them, or without one beside the files."""
    root = tmp_path / "batches"
    root.mkdir()
    (root / "a.yaml").write_text(text(), encoding="utf-8")
    (root / "list.csv").write_text(listed(1, 2), encoding="utf-8")
    prefix = "" if "/" in place else "batches/"
    (tmp_path / place).write_text(f"{attributes.format(prefix)}\n", encoding="utf-8")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert worktree.WorkTree(root).blobs().keys() & {"a.yaml", "list.csv"} == left


def test_attributes_that_alter_nothing_here_cost_nothing(twins: Twins) -> None:
    """`text=auto` is in many repositories, and `eol=lf` too."""
    (twins.root / ".gitattributes").write_text("* text=auto\n*.yaml eol=lf\n", encoding="utf-8")
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    assert twins.unread() == {"a"}


@pytest.mark.parametrize(
    ("setting", "value", "alters"),
    [
        ("core.autocrlf", "true", True),
        ("core.autocrlf", "input", True),
        ("core.autocrlf", "false", False),
        ("core.eol", "crlf", True),
        ("core.eol", "lf", False),
        ("core.eol", "native", False),
        ("core.eolx", "crlf", False),
    ],
)
def test_where_git_alters_line_endings_all_is_read(
    twins: Twins, setting: str, value: str, *, alters: bool
) -> None:
    """What was pinned or stands in quotes may be another, and git sees no difference."""
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    twins.git("config", setting, value)
    assert twins.unread() == (set() if alters else {"a"})


def test_settings_that_have_git_look_less_closely_do_not_count(twins: Twins) -> None:
    """A change of the same length, in no time, and a watcher that has seen nothing."""
    twins.git("config", "core.trustctime", "false")
    twins.git("config", "core.checkStat", "minimal")
    twins.write("a.yaml", text(file="contacts/a.csv"))
    twins.write("contacts/a.csv", "phone_number,callee_name\n+14155550100,Bo\n")
    path = twins.root / "contacts/a.csv"
    long_ago = (1_700_000_000, 1_700_000_000)  # what is as new as the index git looks into anyway
    os.utime(path, long_ago)
    twins.commit()
    twins.apply()
    twins.write("contacts/new", "phone_number,callee_name\n+14155550100,Xo\n")
    path.with_name("new").replace(path)  # as editors do it
    os.utime(path, long_ago)
    assert twins.git("diff-files", "--name-only") == ""
    plans = twins.plans()
    assert plans is not None
    assert plans[0].summary()["replace"] == 1


def test_a_list_behind_a_symlink_is_read(twins: Twins) -> None:
    """A directory that became a symlink may lead anywhere."""
    twins.write("a.yaml", text(file="contacts/a.csv"))
    twins.write("contacts/a.csv", listed(2))
    twins.commit()
    twins.apply()
    elsewhere = twins.root.parent / "elsewhere"
    (twins.root / "contacts").rename(elsewhere)
    (twins.root / "contacts").symlink_to(elsewhere)
    assert twins.plans() is None


def test_a_lifecycle_that_is_taken_back_is_seen(twins: Twins) -> None:
    """The file is again what it was at the create, and the batch is paused by now."""
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    twins.write("a.yaml", text(lifecycle="paused"))
    twins.commit()
    twins.apply()
    assert twins.unread() == {"a"}
    twins.write("a.yaml", text())
    twins.commit()
    plans = twins.plans()
    assert plans is not None
    assert plans[0].summary()["resume"] == 1


def test_without_git_everything_is_read(twins: Twins) -> None:
    """And works."""
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    (twins.root / ".git").rename(twins.root.parent / "gone")
    assert twins.unread() == frozenset()
    twins.plans()


def test_what_was_edited_while_it_was_applied_is_read(twins: Twins) -> None:
    """What is recorded is the file that was read, not the one that lies there meanwhile."""
    twins.write("a.yaml", text())
    specs = twins.some.specs()
    plan = twins.some.planned(specs)
    twins.write("a.yaml", text(people=3))
    twins.some.engine(plan).run()
    twins.commit()
    assert twins.unread() == frozenset()


def test_people_of_an_unread_spec_are_told(twins: Twins) -> None:
    """Whoever is called twice is told, whether or not the other spec had to be read."""
    twins.write("a.yaml", text(people=2))
    twins.commit()
    twins.apply()
    twins.write("b.yaml", text(people=3))
    assert twins.unread() == {"a"}
    plans = twins.plans()
    assert plans is not None
    assert any("2 people are also in a" in each.message for each in plans[0].diagnostics)


def test_a_comment_is_remembered_when_something_is_stored(twins: Twins) -> None:
    """Alone it is no reason to write a state; with the next create it goes along."""
    twins.write("a.yaml", text())
    twins.commit()
    twins.apply()
    twins.write("a.yaml", text(comment="other words"))
    twins.commit()
    twins.apply()
    assert twins.unread() == frozenset()
    twins.write("b.yaml", text(first=50))
    twins.commit()
    twins.apply()
    assert twins.unread() == {"a", "b"}
