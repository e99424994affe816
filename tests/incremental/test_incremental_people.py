from __future__ import annotations

import hashlib
import os
from errno import ENOSPC
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.cli import run
from reconciler.cli.hashed_people import KEY, SUFFIX, HashedPeople
from reconciler.cli.meetings import Meetings
from reconciler.cli.session import Session
from reconciler.spec.load import load_some
from tests.incremental.twins import DAMAGES, GIT, Twins, listed, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from reconciler.cli.hashed_file import Draft

TOLD = "2 people are also in a"


@pytest.fixture
def rereads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the paths of specs that are read although they were left unread."""
    paths: list[str] = []
    real = Session.some_specs

    def noting(session: Session, wanted: Iterable[str]) -> Any:
        chosen = list(wanted)
        paths.extend(chosen)
        return real(session, chosen)

    monkeypatch.setattr(Session, "some_specs", noting)
    return paths


@pytest.fixture
def applied(twins: Twins) -> Twins:
    """Give a repository with an applied spec, and a new one with people of that."""
    twins.write("a.yaml", text(file="contacts/a.csv"))
    twins.write("contacts/a.csv", listed(2))
    twins.write("other.yaml", text(first=40))
    twins.commit()
    twins.apply()
    twins.write("b.yaml", text(people=3))
    return twins


def told(twins: Twins) -> list[str]:
    """Plan both ways, and give what is said of people who are elsewhere too."""
    plans = twins.plans()
    assert plans is not None
    return [d.message for d in plans[0].diagnostics if " also in " in d.message]


def test_what_was_applied_is_known_without_reading_it(applied: Twins, rereads: list[str]) -> None:
    """The apply has kept who is in each spec."""
    assert told(applied)[0].startswith(TOLD)
    assert rereads == []


def test_who_was_added_to_a_changed_spec_is_looked_up(applied: Twins, rereads: list[str]) -> None:
    """Of those alone it is asked in what they are; the spec that they were added to is read."""
    (applied.root / "b.yaml").unlink()
    applied.write("other.yaml", text(people=41, first=1))
    (said,) = told(applied)
    assert said.startswith("1 person added to it is also in a, created")
    assert rereads == []


def test_a_clone_reads_once(applied: Twins, rereads: list[str]) -> None:
    """Where nothing is kept the first plan reads, and keeps it for the next."""
    applied.damage("gone")
    assert told(applied)[0].startswith(TOLD)
    assert sorted(rereads) == ["a.yaml", "other.yaml"]
    assert told(applied)[0].startswith(TOLD)
    assert sorted(rereads) == ["a.yaml", "other.yaml"]


def test_a_changed_list_is_another(applied: Twins, rereads: list[str]) -> None:
    """What is kept is of the very bytes: a list that was changed and applied is looked at anew."""
    applied.write("contacts/a.csv", listed(1))
    applied.commit()
    applied.apply()
    applied.write("c.yaml", text(people=3, comment="c"))
    rereads.clear()
    assert any(line.startswith("1 person is also in a") for line in told(applied))
    assert rereads == []


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_never_seen(applied: Twins, how: str, rereads: list[str]) -> None:
    """Whatever happened to what is kept, the plan is the same, and afterwards all is well again."""
    applied.damage(how)
    assert told(applied)[0].startswith(TOLD)
    rereads.clear()
    assert told(applied)[0].startswith(TOLD)
    assert rereads == []


def test_nothing_kept_tells_a_number(applied: Twins) -> None:
    """No number is in the files, nor what anybody could find it by who has no key."""
    told(applied)
    files = {path.name: path.read_bytes() for path in applied.kept.iterdir()}
    assert len(files) > 1
    numbers = [line.split(",")[0] for line in listed(3).splitlines()[1:]]
    for number in numbers:
        for form in (number, number[1:], number[3:]):
            for trace in _traces(form):
                assert not any(trace in data for data in files.values())


def _traces(number: str) -> Iterator[bytes]:
    """Give what a number could be found by, of each hash the beginning."""
    plain = number.encode()
    yield from (
        plain,
        plain[::-1],
        int(number).to_bytes(8, "big"),
        int(number).to_bytes(8, "little"),
    )
    for name in sorted(hashlib.algorithms_guaranteed):
        digest = getattr(hashlib, name)(plain).digest
        hashed = digest(16) if name.startswith("shake") else digest()
        yield from (hashed[:8], hashed.hex()[:12].encode())
    for size in (8, 16, 20, 32):  # the length is part of what is hashed
        yield hashlib.blake2b(plain, digest_size=size).digest()[:8]


def test_only_the_owner_can_read_it(applied: Twins) -> None:
    """The key and all that was made with it."""
    assert applied.kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in applied.kept.iterdir()} == {0o600}


def test_two_clones_have_other_keys(applied: Twins, tmp_path: Path) -> None:
    """Files of one say nothing in the other."""
    other = Twins(tmp_path / "other")
    other.write("a.yaml", text())
    other.commit()
    other.apply()
    keys = {(twins.kept / KEY).read_bytes() for twins in (applied, other)}
    assert len(keys) == 2


def test_work_trees_share_what_is_kept(applied: Twins) -> None:
    """What one of them has read the others need not."""
    from reconciler.cli.worktree import WorkTree  # noqa: PLC0415 - for this test

    linked = applied.root.parent / "linked"
    applied.git("worktree", "add", "-q", str(linked))
    directory = WorkTree(linked).directory()
    assert directory is not None
    assert directory.resolve() == (applied.root / ".git").resolve()


def test_without_git_nothing_is_kept(tmp_path: Path) -> None:
    """There is no place for it."""
    from reconciler.cli.worktree import WorkTree  # noqa: PLC0415 - for this test

    assert WorkTree(tmp_path).directory() is None


def test_a_full_disk_is_silent(applied: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept then, and everything is planned as ever."""
    applied.damage("gone")

    def full(*_: object) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(HashedPeople, "_put", full)
    assert told(applied)[0].startswith(TOLD)
    assert list(applied.kept.glob(f"*{SUFFIX}")) == []


def test_a_file_in_its_place_is_silent(applied: Twins) -> None:
    """So is anything else that keeps the directory from being made."""
    for path in applied.kept.iterdir():
        path.unlink()
    applied.kept.rmdir()
    applied.kept.write_bytes(b"")
    assert told(applied)[0].startswith(TOLD)
    assert applied.kept.read_bytes() == b""


@pytest.mark.parametrize("flags", [[], ["--no-cache"]])
def test_the_commands_keep_it_unless_told_otherwise(
    twins: Twins, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`apply` and `plan` fill it; with `--no-cache` they neither write nor ask it."""
    kept = not flags
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    twins.write("a.yaml", text())
    twins.commit()
    base = ["--batches", str(twins.root)]
    assert run([*base, "apply", "--sandbox", "--yes", *flags]) == 0
    assert twins.kept.exists() == kept
    twins.write("b.yaml", text(people=3))
    opened: list[Path] = []
    real = HashedPeople.__init__

    def noting(self: HashedPeople, directory: Path) -> None:
        opened.append(directory)
        real(self, directory)

    monkeypatch.setattr(HashedPeople, "__init__", noting)
    assert run([*base, "plan", "--sandbox", *flags]) == 0
    assert bool(opened) == kept
    assert twins.kept.exists() == kept


def test_only_what_is_asked_for_is_told(applied: Twins) -> None:
    """Of the names that are unread, as this state has them; asked anew, answered anew."""
    meetings = Meetings(lambda: applied.root / ".git")
    state = applied.some.store.last
    first, second, third = ([c] for c in load_some(applied.root, ["b.yaml"])[0].whole.contacts)
    both = frozenset({"a", "other"})
    assert meetings.met(state, both, {"b": [first]}) == ({"a": {"b": 1}}, [])
    assert meetings.met(state, both, {"b": [first, second]}) == ({"a": {"b": 2}}, [])
    assert meetings.met(state, both, {"b": [third]}) == ({}, [])
    assert meetings.met(state, frozenset({"other"}), {"b": [first]}) == ({}, [])
    without = state.with_record("a", None)
    assert meetings.met(state, both, {"b": [first]}) == ({"a": {"b": 1}}, [])
    assert meetings.met(without, both, {"b": [first]}) == ({}, [])
    for path in applied.kept.glob(f"*{SUFFIX}"):
        path.write_bytes(b"")
    meetings = Meetings(lambda: applied.root / ".git")
    assert meetings.met(state, frozenset({"a"}), {"b": [first]}) == ({}, ["a"])


def test_one_run_looks_up_once(applied: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it plans the same; what is new since is looked up."""
    looked: list[int] = []
    real = HashedPeople.met

    def noting(self: HashedPeople, new: Draft) -> Any:
        looked.append(new.count)
        return real(self, new)

    monkeypatch.setattr(HashedPeople, "met", noting)
    specs = applied.some.specs()
    for _ in range(2):
        applied.some.planned(specs)
    assert looked == [3]
    assert specs.met(specs.unread, {"b": [specs.specs[0].whole.contacts[:1]]})[0] == {"a": {"b": 1}}
    assert looked == [3, 1]
