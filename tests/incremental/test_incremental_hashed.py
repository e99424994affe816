from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli import hashed_file, hashed_people
from reconciler.cli.hashed_file import Draft
from reconciler.cli.hashed_people import KEPT, KEY, MOST_FILES, SUFFIX, UNFINISHED, HashedPeople
from tests.incremental.twins import DAMAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TODAY = 20_000
Rolls = dict[str, frozenset[str]]
"""Who is in which spec."""


def _numbers(people: Collection[int]) -> frozenset[str]:
    return frozenset(f"+9198765{one:05d}" for one in people)


def _add(
    directory: Path, rolls: Mapping[str, frozenset[str]], day: int, needed: Collection[str] = ()
) -> None:
    kept = HashedPeople(directory)
    hashing = kept.ready()
    people = [(hashing.spec(spec), len(roll), [roll]) for spec, roll in rolls.items()]
    kept.add(people, {hashing.spec(spec) for spec in needed}, day)


def _found(directory: Path, rolls: Rolls, wanted: Collection[str]) -> Rolls:
    """Look numbers up, and give for the specs that are kept which of them they have."""
    kept = HashedPeople(directory)
    hashing = kept.hashing
    if hashing is None:
        return {}
    names = {hashing.spec(spec): spec for spec in rolls}
    draft = Draft()
    for index, number in enumerate(wanted):
        draft.put(hashing.each([number]), index)
        draft.put(hashing.each([number]), index + len(wanted))  # as in another new batch
    ordered = [*wanted, *wanted]
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for spec, index, count in kept.met(draft):
        found[names[spec]][ordered[index]] += count
    assert {each for counts in found.values() for each in counts.values()} <= {2}
    return {name: frozenset(found[name]) for spec, name in names.items() if spec in kept.specs}


_rolls = st.dictionaries(
    st.sampled_from([f"spec-{index}" for index in range(12)]),
    st.frozensets(st.integers(0, 40), min_size=1, max_size=12).map(_numbers),
    min_size=1,
)
_steps = st.lists(
    st.one_of(
        st.sets(st.integers(0, 11), min_size=1, max_size=4),
        st.sampled_from([*DAMAGES]),
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
                case str():
                    for path in sorted(directory.glob("*")):
                        if (path.name == KEY) == step.endswith("key"):
                            DAMAGES[step](path)
                case _:
                    some = {f"spec-{index}" for index in step} & set(rolls)
                    _add(directory, {spec: rolls[spec] for spec in some}, day, some)
                    assert len(list(directory.glob(f"*{SUFFIX}"))) <= 3
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
    for spec, people in _found(directory, everything, _numbers(range(13))).items():
        assert people == everything[spec]
    _add(directory, everything, TODAY)
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


def test_what_nobody_asks_for_is_dropped(tmp_path: Path) -> None:
    """What is still needed stays, however long ago it was read."""
    _add(tmp_path, _many(10), TODAY)
    _add(tmp_path, _many(1, 20), TODAY + KEPT + 1, needed=["spec-3"])
    known = _found(tmp_path, _many(30), _numbers([0]))
    assert sorted(known) == ["spec-20", "spec-3"]


def test_it_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it what was needed last stays; a spec that alone is too large is not kept."""
    monkeypatch.setattr(hashed_people, "MOST_NUMBERS", 100)
    for step in range(12):
        _add(tmp_path, _many(10, 10 * step), TODAY + step)
        size = sum(path.stat().st_size for path in tmp_path.glob(f"*{SUFFIX}"))
        assert size < 100 * 20 + 60 * 20 + MOST_FILES * 60
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
