"""What the benchmarks found is said as it was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as command
from bench.measure import (
    Limit,
    Ratio,
    Report,
    Scale,
    Unmeasurable,
    at_least,
    at_most,
    in_turns,
    ratio,
)
from bench.tables import BEGIN, END, as_json, as_markdown, put_into, read, table

REPORTS = [
    Report(
        "Start-up",
        [
            Ratio("reconciler --version", "python -c pass", (4.0, 6.0, 5.0), at_most(4.5)),
            Ratio("reconciler --help", "python -c pass", (4.25,)),
        ],
        ["python -c pass: 10.0 ms"],
    ),
    Report("Sending", [Ratio("rate", "rate of httpx", (0.9, 1.1, 1.0), at_least(0.9))]),
    Report("octodns: not measured", [], ["no environment"]),
]


@pytest.mark.parametrize(
    ("limit", "median", "met"),
    [
        (at_most(4.5), 4.5, True),
        (at_most(4.5), 4.51, False),
        (at_least(0.9), 0.9, True),
        (at_least(0.9), 0.89, False),
    ],
)
def test_a_limit_holds_up_to_its_very_value(limit: Limit, median: float, *, met: bool) -> None:
    """At most and at least mean what they say."""
    assert Ratio("a", "b", (median,), limit).met is met


def test_a_limit_is_said_in_words() -> None:
    """A reader need not know which way round a figure is meant."""
    assert (str(at_most(4.5)), str(at_least(0.9))) == ("at most 4.5", "at least 0.9")


def test_the_median_decides() -> None:
    """One slow turn misses no limit."""
    assert Ratio("a", "b", (1.0, 9.0, 1.0), at_most(2)).met is True


def test_turns_are_divided_one_by_one() -> None:
    """A turn's noise is in both of its measurements, so each turn has its own ratio."""
    measured = {"ours": [2.0, 30.0], "theirs": [1.0, 10.0]}
    assert ratio("ours", "theirs", measured).values == (2.0, 3.0)


def test_the_first_turn_fills_caches_only() -> None:
    """What was measured before caches were full is in no figure."""
    values = iter([100.0, 1.0, 2.0])
    assert in_turns(2, {"a": lambda: next(values)}) == {"a": [1.0, 2.0]}


def test_the_table_says_which_limits_were_missed() -> None:
    """A limit stands beside each figure that has one, and so does whether it was met."""
    lines = table(REPORTS).splitlines()
    (version,) = [line for line in lines if line.startswith("reconciler --version")]
    (no_limit,) = [line for line in lines if line.startswith("reconciler --help")]
    (rate,) = [line for line in lines if line.startswith("rate ")]
    assert version.split()[-7:] == ["4.00", "6.00", "3", "at", "most", "4.5", "missed"]
    assert no_limit.split()[-4:] == ["4.25", "4.25", "4.25", "1"]
    assert rate.split()[-4:] == ["at", "least", "0.9", "met"]


def test_what_was_not_measured_says_why() -> None:
    """Without a single figure there is no table, only the reasons."""
    assert table(REPORTS[2:]) == "octodns: not measured\n  no environment"


def test_json_holds_all_that_the_others_are_made_from() -> None:
    """A run that was saved can be laid out again later, to the letter."""
    assert [table([report]) for report in read(as_json(REPORTS))] == [
        table([report]) for report in REPORTS
    ]


def test_json_says_limits_and_whether_they_were_met() -> None:
    """A program need not parse words."""
    ((version, no_limit), (rate,), ()) = (
        r["ratios"] for r in json.loads(as_json(REPORTS))["reports"]
    )
    assert (version["limit"], version["met"]) == ({"at_most": 4.5}, False)
    assert (rate["limit"], rate["met"]) == ({"at_least": 0.9}, True)
    assert not {"limit", "met"} & set(no_limit)


def test_markdown_has_a_whole_table_for_each_report() -> None:
    """Every row has the columns that its head promises."""
    text = as_markdown(REPORTS)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {rows[0].count("|")}
    assert "### Start-up" in text
    assert "- no environment" in text


def test_a_saved_run_is_laid_out_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--from` takes the figures of `--json`, of several runs if need be."""
    for index, report in enumerate(REPORTS):
        (tmp_path / f"{index}.json").write_text(as_json([report]), "utf-8")
    monkeypatch.setattr(command, "BENCHMARKS", {})
    files = [text for index in range(3) for text in ("--from", str(tmp_path / f"{index}.json"))]
    monkeypatch.setattr(sys, "argv", ["bench", "--markdown", *files])
    command.main()
    assert capsys.readouterr().out == as_markdown(REPORTS) + "\n"


def test_figures_take_the_place_of_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--into` changes what lies between the marks of a document and nothing else."""
    saved, document = tmp_path / "run.json", tmp_path / "doc.md"
    saved.write_text(as_json(REPORTS[:1]), "utf-8")
    document.write_text(f"# Doc\n\n{BEGIN}\nold\n{END}\n\nEnd.\n", "utf-8")
    monkeypatch.setattr(sys, "argv", ["bench", "--from", str(saved), "--into", str(document)])
    for _ in range(2):
        command.main()
        expected = f"# Doc\n\n{BEGIN}\n\n{as_markdown(REPORTS[:1])}\n\n{END}\n\nEnd.\n"
        assert document.read_text("utf-8") == expected


@pytest.mark.parametrize("document", ["", BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_document_without_a_place_for_figures_is_refused(document: str) -> None:
    """Nothing is put where nobody asked for it."""
    with pytest.raises(ValueError, match="no line"):
        put_into(document, REPORTS)


def test_the_documentation_has_a_place_for_figures() -> None:
    """docs/performance.md can be brought up to date by a run, and describes each benchmark."""
    text = (Path(__file__).parents[2] / "docs/performance.md").read_text("utf-8")
    assert put_into(text, REPORTS).count(BEGIN) == 1
    assert [name for name in command.BENCHMARKS if f"`{name}`" not in text] == []


def test_nothing_is_measured_for_a_document_without_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the command line is found before the patience of somebody is."""

    def measured(_: Scale) -> Report:
        raise AssertionError

    document = tmp_path / "doc.md"
    document.write_text("# Doc\n", "utf-8")
    monkeypatch.setattr(command, "BENCHMARKS", {"creates": measured})
    monkeypatch.setattr(sys, "argv", ["bench", "--into", str(document)])
    with pytest.raises(ValueError, match="no line"):
        command.main()


def test_a_run_is_saved_beside_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `--save` writes is what `--from` reads."""
    monkeypatch.setattr(command, "BENCHMARKS", {"rest": lambda _: REPORTS[1]})
    saved = tmp_path / "run.json"
    monkeypatch.setattr(sys, "argv", ["bench", "--save", str(saved)])
    command.main()
    shown = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["bench", "--from", str(saved)])
    command.main()
    assert capsys.readouterr().out == shown


def test_a_benchmark_without_its_means_gives_a_reason_and_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be measured is said, the others are measured, and all ends well."""

    def impossible(_: Scale) -> Report:
        raise Unmeasurable("the server saw 9 creates of 10")

    def possible(_: Scale) -> Report:
        return REPORTS[1]

    monkeypatch.setattr(command, "BENCHMARKS", {"creates": impossible, "rest": possible})
    monkeypatch.setattr(sys, "argv", ["bench", "--json"])
    command.main()
    creates, rest = read(capsys.readouterr().out)
    assert creates.title == "creates: not measured"
    assert (creates.ratios, creates.notes) == ([], ["the server saw 9 creates of 10"])
    assert rest.title == "Sending"
