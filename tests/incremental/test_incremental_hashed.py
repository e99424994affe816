from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli import hashed_file, hashed_people
from reconciler.cli.hashed_file import Draft, File, Glimpse
from reconciler.cli.hashed_people import KEPT, KEY, MOST_FILES, SUFFIX, UNFINISHED, HashedPeople
from tests.incremental.twins import DAMAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from reconciler.cli.hashed_file import Hashing

TODAY = 20_000
Rolls = dict[str, frozenset[str]]
"""Who is in which spec."""


def _numbers(people: Collection[int]) -> frozenset[str]:
    return frozenset(f"+9198765{one:05d}" for one in people)


def _add(directory: Path, rolls: Mapping[str, frozenset[str]], day: int) -> None:
    kept = HashedPeople(directory)
    missing = kept.missing(_digest(spec) for spec in rolls)
    people = [(_digest(spec), len(roll), [roll]) for spec, roll in rolls.items()]
    kept.add([each for each in people if each[0] in missing], day)


def _digest(spec: str) -> str:
    return f"v1:{hashlib.sha256(spec.encode()).hexdigest()}"


def _found(directory: Path, rolls: Rolls, wanted: Collection[str], *, mend: int = 0) -> Rolls:
    """Look numbers up, and give for the specs that are kept which of them they have.

    With a day to `mend`, those that are not are added, as a run does that has read them.
    """
    kept = HashedPeople(directory)
    hashing = kept.hashing
    names = {_digest(spec): spec for spec in rolls}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    known: frozenset[str] = frozenset()
    if hashing is not None:
        draft = Draft()
        for index, number in enumerate(wanted):
            draft.put(hashing.each([number]), index)
            draft.put(hashing.each([number]), index + len(wanted))  # as in another new batch
        ordered = [*wanted, *wanted]
        counts, known = kept.met(draft)
        for (spec, index), count in counts.items():
            found[names[spec]][ordered[index]] += count
    assert {each for counts in found.values() for each in counts.values()} <= {2}
    unknown = names.keys() - known
    if mend and unknown:
        missing = kept.missing(unknown)
        assert missing == unknown
        kept.add([(spec, len(rolls[names[spec]]), [rolls[names[spec]]]) for spec in missing], mend)
    return {name: frozenset(found[name]) for spec, name in names.items() if spec in known}


_rolls = st.dictionaries(
    st.sampled_from([f"spec-{index}" for index in range(12)]),
    st.frozensets(st.integers(0, 40), min_size=1, max_size=12).map(_numbers),
    min_size=1,
)
_steps = st.lists(
    st.one_of(
        st.sets(st.integers(0, 11), min_size=1, max_size=4),
        st.sampled_from(["mended", *DAMAGES]),
        st.integers(1, KEPT + 5),
    ),
    max_size=16,
)


@pytest.mark.parametrize("search", [0, 10**6], ids=["each looked up", "all gone through"])
@settings(max_examples=80, deadline=None)
@given(rolls=_rolls, steps=_steps, wanted=st.frozensets(st.integers(0, 45)).map(_numbers))
def test_what_is_known_is_true(
    search: int, rolls: Rolls, steps: list[set[int] | str | int], wanted: frozenset[str]
) -> None:
    """Of a spec that is kept exactly its people are found, whatever was added, damaged, dropped."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed_file, "_SEARCH", search)
        patch.setattr(hashed_people, "MOST_FILES", 2)
        patch.setattr(hashed_people, "MOST_NUMBERS", 40)
        directory, day = Path(name) / "kept", TODAY
        for step in steps:
            match step:
                case int():
                    day += step
                case "mended":
                    _found(directory, rolls, wanted, mend=day)
                case str():
                    for path in sorted(directory.glob("*")):
                        if (path.name == KEY) == step.endswith("key"):
                            DAMAGES[step](path)
                case _:
                    some = {f"spec-{index}" for index in step} & set(rolls)
                    _add(directory, {spec: rolls[spec] for spec in some}, day)
                    assert len(list(directory.glob(f"*{SUFFIX}"))) <= 2
            for spec, people in _found(directory, rolls, wanted).items():
                assert people == rolls[spec] & wanted


def _many(count: int, first: int = 0) -> Rolls:
    return {f"spec-{index}": _numbers([index, index + 1]) for index in range(first, first + count)}


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Runs that add at the same time write files of their own, and put them together in turn."""
    parts = [_many(3, first) for first in range(0, 90, 3)]
    _add(tmp_path, _many(1, 200), TODAY)  # the key is there: it is made once in a clone's life

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda part: _add(tmp_path, part, TODAY), parts))

    everything = _many(90)
    found = _found(tmp_path, everything, _numbers(range(91)))
    assert all(people == everything[spec] for spec, people in found.items())
    assert len(found) == 90


def test_writers_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    """One key is left, and what was written with another is as if it were not there."""
    directory = tmp_path / "kept"
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda first: _add(directory, _many(2, first), TODAY), range(0, 12, 2)))
    everything = _many(12)
    for spec, people in _found(directory, everything, _numbers(range(13)), mend=TODAY).items():
        assert people == everything[spec]
    assert _found(directory, everything, _numbers(range(13))) == everything


def test_files_do_not_pile_up(tmp_path: Path) -> None:
    """Those of single specs are put together; a large one is seldom written again."""
    _add(tmp_path, _many(500), TODAY)
    (large,) = tmp_path.glob(f"*{SUFFIX}")
    for index in range(500, 530):
        _add(tmp_path, _many(1, index), TODAY)
        assert len(list(tmp_path.glob(f"*{SUFFIX}"))) <= MOST_FILES
    assert large.exists()
    assert _found(tmp_path, _many(530), _numbers(range(531))) == _many(530)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Give the files that are opened as a whole, or to look somebody up."""
    paths: list[Path] = []
    real = File.__init__

    def noting(self: File, path: Path, hashing: Hashing) -> None:
        paths.append(path)
        real(self, path, hashing)

    monkeypatch.setattr(File, "__init__", noting)
    return paths


def test_adding_reads_nothing_of_what_is_kept(tmp_path: Path, opened: list[Path]) -> None:
    """One spec more, or one that is kept already, costs the same beside many as beside none."""
    _add(tmp_path, _many(500), TODAY)
    (large,) = tmp_path.glob(f"*{SUFFIX}")
    _add(tmp_path, _many(3, 498), TODAY)
    (small,) = set(tmp_path.glob(f"*{SUFFIX}")) - {large}
    assert opened == []
    assert [Glimpse(path).begin.specs for path in (large, small)] == [500, 1]


def test_only_those_parts_are_read_that_may_have_somebody(tmp_path: Path) -> None:
    """Damage elsewhere is not even seen; where it is seen, the whole file is done without."""
    _add(tmp_path, _many(100), TODAY)
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    data = bytearray(path.read_bytes())
    rows = Glimpse(path).begin.rows
    every = [_numbers([index]) for index in range(101)]
    found = [_found(tmp_path, _many(100), one) for one in every]
    data[rows] ^= 1  # the first number's hash, or the second's by now
    path.write_bytes(data)
    now = [_found(tmp_path, _many(100), one) for one in every]
    gone = [index for index, known in enumerate(now) if not known]
    assert 1 <= len(gone) < 10
    assert all(known == found[index] for index, known in enumerate(now) if known)


@pytest.mark.parametrize("at", ["specs", "days", "parts"])
def test_a_head_that_is_damaged_is_seen(tmp_path: Path, at: str) -> None:
    """Wherever it is: nothing in it is believed."""
    _add(tmp_path, _many(20), TODAY)
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    begin = Glimpse(path).begin
    places = {"specs": begin.days - 5, "days": begin.days + 4, "parts": begin.parts + 50}
    data = bytearray(path.read_bytes())
    data[places[at]] ^= 1
    path.write_bytes(data)
    assert _found(tmp_path, _many(20), _numbers([3]), mend=TODAY) == {}
    assert _found(tmp_path, _many(20), _numbers(range(21))) == _many(20)
    assert not path.exists()


def test_a_part_of_another_file_is_seen(tmp_path: Path) -> None:
    """The same key made both, and still the rows of one say nothing in the other."""
    _add(tmp_path / "one", _many(20), TODAY)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (one,) = (tmp_path / "one").glob(f"*{SUFFIX}")
    (copy,) = (tmp_path / "two").glob(f"*{SUFFIX}")
    copy.unlink()
    _add(tmp_path / "two", {"spec-90": _numbers(range(40))}, TODAY)
    (two,) = (tmp_path / "two").glob(f"*{SUFFIX}")
    head, rows = (Glimpse(path).begin.rows for path in (one, two))
    assert len(one.read_bytes()[head:]) == len(two.read_bytes()[rows:]) == 40 * 20
    one.write_bytes(one.read_bytes()[:head] + two.read_bytes()[rows:])
    assert _found(tmp_path / "one", _many(20), _numbers(range(21))) == {}


def test_what_is_long_past_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more than half of a file is, or when it is put together with others."""
    everything = _many(40)
    _add(tmp_path, _many(10), TODAY)
    _add(tmp_path, _many(1, 20), TODAY + KEPT)
    assert len(_found(tmp_path, everything, _numbers([0]))) == 11
    _add(tmp_path, _many(1, 21), TODAY + KEPT + 1)
    assert sorted(_found(tmp_path, everything, _numbers([0]))) == ["spec-20", "spec-21"]
    monkeypatch.setattr(hashed_people, "MOST_FILES", 1)
    _add(tmp_path, _many(5, 30), TODAY + KEPT + 2)
    assert len(_found(tmp_path, everything, _numbers([0]))) == 7
    monkeypatch.setattr(hashed_people, "MOST_FILES", 8)
    _add(tmp_path, _many(1, 36), TODAY + 2 * KEPT + 1)  # of the seven, one is
    assert len(_found(tmp_path, everything, _numbers([0]))) == 8
    monkeypatch.setattr(hashed_people, "MOST_FILES", 1)
    _add(tmp_path, _many(1, 37), TODAY + 2 * KEPT + 1)
    assert sorted(_found(tmp_path, everything, _numbers([0]))) == [
        *(f"spec-{index}" for index in (21, *range(30, 35), 36, 37)),
    ]


def test_most_of_a_file_being_past_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not past in it is kept on."""
    _add(tmp_path, _many(3), TODAY)
    monkeypatch.setattr(hashed_people, "MOST_FILES", 1)
    _add(tmp_path, _many(2, 10), TODAY + 9)
    monkeypatch.setattr(hashed_people, "MOST_FILES", 8)
    _add(tmp_path, _many(1, 20), TODAY + KEPT + 1)
    known = _found(tmp_path, _many(40), _numbers([0]))
    assert sorted(known) == ["spec-10", "spec-11", "spec-20"]


@pytest.mark.parametrize("how", ["longer", "cut"])
def test_a_file_of_another_length_is_none(tmp_path: Path, how: str) -> None:
    """Not even where all that would be looked at is as it was."""
    _add(tmp_path, _many(3), TODAY)
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    DAMAGES[how](path)
    assert _found(tmp_path, _many(3), _numbers([])) == {}


def test_a_file_of_another_version_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the same key made it, and it looks just the same."""
    with monkeypatch.context() as patch:
        patch.setattr(hashed_file, "_MAGIC", b"people of specs9")
        _add(tmp_path, _many(3), TODAY)
        assert _found(tmp_path, _many(3), _numbers(range(4))) == _many(3)
    assert _found(tmp_path, _many(3), _numbers(range(4)), mend=TODAY) == {}
    assert _found(tmp_path, _many(3), _numbers(range(4))) == _many(3)
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 1


def test_a_digest_of_another_length_is_not_kept(tmp_path: Path) -> None:
    """A version to come may have such; it has no place in these files."""
    digest = _digest("spec-1")
    assert HashedPeople(tmp_path).missing([digest, f"v1{digest}", "v1:"]) == {digest}


def test_files_of_a_lost_key_are_removed(tmp_path: Path) -> None:
    """Nobody can read them any more."""
    _add(tmp_path, _many(3), TODAY)
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    (tmp_path / KEY).unlink()
    _add(tmp_path, _many(3), TODAY)
    assert not path.exists()
    assert _found(tmp_path, _many(3), _numbers(range(4))) == _many(3)


def test_what_was_added_is_known_at_once(tmp_path: Path) -> None:
    """To whoever has looked somebody up before."""
    kept = HashedPeople(tmp_path)
    draft = Draft()
    draft.put(kept.ready().each(_numbers([1])), 0)
    assert kept.met(draft) == ({}, frozenset())
    kept.add([(_digest("spec-1"), 2, [_numbers([1, 2])])], TODAY)
    assert kept.met(draft) == ({(_digest("spec-1"), 0): 1}, frozenset({_digest("spec-1")}))


def test_however_many_files_there_are_they_become_few(tmp_path: Path) -> None:
    """Many runs may have written at once."""
    _add(tmp_path, _many(3), TODAY)
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    for index in range(30):
        shutil.copy(path, tmp_path / f"{index}{SUFFIX}")
    _add(tmp_path, _many(1, 3), TODAY)
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) <= MOST_FILES
    assert _found(tmp_path, _many(4), _numbers(range(5))) == _many(4)


def test_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    """It may be somebody else's, and is in nobody's way."""
    (tmp_path / f"theirs{SUFFIX}").mkdir()
    _add(tmp_path, _many(3), TODAY)
    assert _found(tmp_path, _many(4), _numbers(range(5)), mend=TODAY) == _many(3)
    assert (tmp_path / f"theirs{SUFFIX}").is_dir()


def test_what_is_of_the_future_is_dropped(tmp_path: Path) -> None:
    """Somebody's clock was wrong, and nothing must be kept for ever because of that."""
    _add(tmp_path, _many(10), TODAY + 1)
    _add(tmp_path, _many(1, 20), TODAY)
    assert sorted(_found(tmp_path, _many(40), _numbers([0]))) == ["spec-20"]


def test_it_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it what was needed last stays; a spec that alone is too large is not kept."""
    monkeypatch.setattr(hashed_people, "MOST_NUMBERS", 100)
    for step in range(12):
        _add(tmp_path, _many(10, 10 * step), TODAY + step)
        files = [Glimpse(path).begin for path in tmp_path.glob(f"*{SUFFIX}")]
        assert 20 <= sum(begin.numbers for begin in files) <= 100
    known = _found(tmp_path, _many(120), _numbers([0]))
    assert "spec-119" in known
    assert "spec-0" not in known
    _add(tmp_path, {"spec-0": _numbers(range(101))}, TODAY + 12)
    assert "spec-0" not in _found(tmp_path, _many(120), _numbers([0]))


def test_what_a_killed_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour: until then it may be being written."""
    left = tmp_path / f"left{UNFINISHED}"
    left.write_bytes(b"")
    _add(tmp_path, _many(1), TODAY)
    assert left.exists()
    monkeypatch.setattr(hashed_people, "_HOUR", -1.0)
    _add(tmp_path, _many(1, 1), TODAY)
    assert not left.exists()
