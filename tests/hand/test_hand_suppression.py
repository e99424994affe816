"""Do-not-call lists through the command line: left out, counted, refused; never a change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.hand.conftest import NUMBER, SPEC

if TYPE_CHECKING:
    from tests.hand.conftest import Bench

OTHER = "+919876500002"


@pytest.fixture
def listed(bench: Bench) -> Bench:
    """Give a root with two people in its spec, and a do-not-call list with one of them."""
    more = SPEC + f'  - phone_number: "{OTHER}"\n    call_variables: {{callee_name: Asha}}\n'
    (bench.root / "welcome.yaml").write_text(more, "utf-8")
    policy(bench)
    write(bench, OTHER)
    return bench


def policy(bench: Bench, *, days: int = 1, more: str = "") -> None:
    """Name a list that was drawn so many days ago."""
    drawn = datetime.now(UTC).date() - timedelta(days=days)
    text = f"name: dnd, file: dnd.txt, date: {drawn}, max_age: 3d{more}"
    (bench.root / "reconciler.yaml").write_text(
        f"policy:\n  suppression:\n    - {{{text}}}\n", "utf-8"
    )


def write(bench: Bench, *numbers: str) -> None:
    """Put numbers on the list."""
    (bench.root / "dnd.txt").write_text("".join(f"{number}\n" for number in numbers), "utf-8")


def run(bench: Bench, *words: str) -> tuple[int, str]:
    """Run a command, which shows nobody's number."""
    status, said = bench.run(*words)
    assert OTHER not in said
    return status, said


def called(bench: Bench) -> list[int]:
    """Count the people of each batch there is."""
    return [batch.total_contacts for batch in bench.sandbox.batches()]


def test_who_is_listed_is_left_out_and_counted(listed: Bench) -> None:
    """The plan says how many, the batch is shorter, and a list that changes changes nothing."""
    status, said = run(listed, "plan")
    assert status == 0
    assert "dnd" in said
    assert run(listed, "apply", "--yes")[0] == 0
    assert called(listed) == [1]
    for numbers in ((OTHER, NUMBER), ("+14155550100",)):
        write(listed, *numbers)
        assert "dnd" not in run(listed, "plan", "--detailed-exitcode")[1]
        assert run(listed, "plan", "--detailed-exitcode")[0] == 0
        assert run(listed, "apply", "--yes")[0] == 0
    assert called(listed) == [1]


def test_everybody_is_listed(listed: Bench) -> None:
    """No batch is made, now or later."""
    write(listed, NUMBER, OTHER)
    assert run(listed, "apply", "--yes")[0] == 0
    assert called(listed) == []
    write(listed, "+14155550100")
    assert run(listed, "plan", "--detailed-exitcode")[0] == 0
    assert run(listed, "apply", "--yes")[0] == 0
    assert called(listed) == []


def test_a_list_that_refuses(listed: Bench) -> None:
    """Nobody is called, and the person is shown masked."""
    policy(listed, more=", action: refuse")
    status, said = run(listed, "apply", "--yes")
    assert status == 4
    assert "1 person is on the do-not-call list dnd: +91********02" in said
    assert called(listed) == []
    write(listed, "+14155550100")
    assert run(listed, "apply", "--yes")[0] == 0
    assert called(listed) == [2]


@pytest.mark.parametrize(("days", "said"), [(4, "too old"), (-2, "still to come")])
def test_a_list_of_the_wrong_day(listed: Bench, days: int, said: str) -> None:
    """An outdated scrub is no scrub."""
    policy(listed, days=days)
    for words in (("validate",), ("plan",), ("apply", "--yes")):
        assert said in run(listed, *words)[1]
    assert run(listed, "apply", "--yes")[0] == 4
    assert called(listed) == []


def test_a_list_with_a_mistake(listed: Bench) -> None:
    """It is told with its line, masked, and nobody is called."""
    write(listed, OTHER, "09876500002")
    for words in (("validate",), ("plan",), ("apply", "--yes")):
        said = run(listed, *words)[1]
        assert "dnd.txt:2" in said
        assert "876500002" not in said
    assert run(listed, "apply", "--yes")[0] == 4
    assert called(listed) == []
