"""What is told: the plan's comment in place, the outcome once a commit, drift as one issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.github import drift, outcome, sticky
from reconciler.github.comments import LONGEST
from reconciler.github.context import Job
from reconciler.github.drift import Finding
from reconciler.github.rest import GitHub
from reconciler.render.markers import is_plan_of, marker, reviewed_in
from tests.github.double import BOT, REPOSITORY

if TYPE_CHECKING:
    from tests.github.double import GitHubDouble

BOT_NAME = BOT["login"]
HASH = "p1:" + "a" * 64
PLAN = f"{marker('plan', 'batches')}\n{marker('plan-hash', 'batches', HASH)}\n### A plan\n\nbody\n"
JOB = Job(
    {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": "c" * 40,
        "GITHUB_REF_NAME": "main",
        "GITHUB_RUN_ID": "42",
    }
)
REPORT = f"{marker('report', 'batches')}\n### 1 created, in 2 s.\n\n| a table |\n"
IDLE = f"{marker('report', 'batches')}\n### Nothing to do: every spec is as recorded.\n"


@pytest.fixture
def github(double: GitHubDouble) -> GitHub:
    """Give a door with every permission."""
    token = double.token({"issues": "write", "pull-requests": "write", "statuses": "write"})
    return GitHub(double.url, REPOSITORY, token, pause=lambda _: None)


# -- the plan ----------------------------------------------------------------------------------


def test_one_comment_a_root(double: GitHubDouble, github: GitHub) -> None:
    """A plan is shown once a root and written anew in place; an unchanged one is not sent."""
    other = PLAN.replace(" batches ", " batches/staging ")
    for plan, root in ((PLAN, "batches"), (other, "batches/staging"), (PLAN, "batches")):
        sticky.show(github, 7, root, plan, author=BOT_NAME)
    assert double.comments_of(7) == [PLAN, other]
    assert len(double.writes) == 2
    newer = PLAN.replace("body", "another body")
    sticky.show(github, 7, "batches", newer, author=BOT_NAME)
    assert double.comments_of(7) == [newer, other]


def test_somebody_elses_comment_is_left_alone(double: GitHubDouble, github: GitHub) -> None:
    """A person's copy of a plan is neither rewritten nor taken for the place to write to."""
    double.comment(7, PLAN, {"login": "ada", "type": "User"})
    sticky.show(github, 7, "batches", PLAN, author=BOT_NAME)
    sticky.withdraw(github, 7, "batches", "d" * 40, author=BOT_NAME)
    theirs, ours = double.comments_of(7)
    assert theirs == PLAN
    assert "Outdated" in ours


def test_an_outdated_plan_agrees_to_nothing(double: GitHubDouble, github: GitHub) -> None:
    """Its hash is gone, what it said is folded away, and the next plan takes its place."""
    sticky.show(github, 7, "batches", PLAN, author=BOT_NAME)
    assert sticky.withdraw(github, 7, "batches", "d" * 40, author=BOT_NAME)
    (body,) = double.comments_of(7)
    assert not is_plan_of(body, "batches")
    assert reviewed_in(body, "batches") is None
    assert HASH not in body
    assert "body" in body
    assert "d" * 12 in body
    sticky.show(github, 7, "batches", PLAN, author=BOT_NAME)
    assert double.comments_of(7) == [PLAN]


def test_a_second_comment_of_the_same_plan(double: GitHubDouble, github: GitHub) -> None:
    """Two jobs that began together may both have made one: the older stays, the other goes out."""
    double.comment(7, PLAN, BOT)
    double.comment(7, PLAN, BOT)
    sticky.show(github, 7, "batches", PLAN, author=BOT_NAME)
    first, second = double.comments_of(7)
    assert first == PLAN
    assert reviewed_in(second, "batches") is None


def test_nothing_to_withdraw(double: GitHubDouble, github: GitHub) -> None:
    """A pull request without a plan is left as it is."""
    assert not sticky.withdraw(github, 7, "batches", "d" * 40, author=BOT_NAME)
    assert double.writes == []


def test_no_plan_agrees_to_nothing() -> None:
    """Where none could be made, what stands there says so and carries no hash."""
    text = sticky.no_plan("batches", "d" * 40, "https://run")
    assert sticky.is_plan(text, "batches")
    assert reviewed_in(text, "batches") is None
    assert "https://run" in text


# -- the outcome -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "said", "ended", "state", "headline"),
    [
        (REPORT, "", "success", "success", "1 created, in 2 s."),
        (REPORT, "", "failure", "failure", "1 created, in 2 s."),
        (REPORT, "", "cancelled", "error", "1 created, in 2 s."),
        (IDLE, "", "success", "success", "Nothing to do: every spec is as recorded."),
        (
            "",
            "superseded by abc (Newer): x\n",
            "success",
            "success",
            "Superseded by abc (newer): x",
        ),
        ("", "", "success", "success", "Superseded by a newer commit"),
        ("", "error: no token\nhint: set it\n", "failure", "failure", "no token"),
        ("", "Traceback", "failure", "failure", "It failed and did not say why"),
        ("", "", "cancelled", "error", "Cancelled before it could tell what it did"),
        ("", "", "skipped", "error", "It did not begin"),
        ("### 1 created", "", "failure", "failure", "It failed and did not say why"),
    ],
)
def test_how_an_apply_ended(printed: str, said: str, ended: str, state: str, headline: str) -> None:
    """The commit's state follows from how the step ended, the words from what it has told."""
    result = outcome.outcome(printed, said, ended, "batches")
    assert (result.state, result.headline) == (state, headline)
    assert "hint: set it" not in said or "hint: set it" in result.body
    if ended == "cancelled" and not printed:
        assert "Run the job again" in result.body


def test_a_run_again_writes_its_comment_anew(double: GitHubDouble, github: GitHub) -> None:
    """One comment a commit: the newest end counts, but to do nothing replaces no success."""
    for printed, ended, shown in (
        ("", "cancelled", "Cancelled before"),
        (IDLE, "success", "Nothing to do"),
        (REPORT, "success", "1 created"),
        (IDLE, "success", "1 created"),
        ("", "success", "1 created"),
    ):
        result = outcome.outcome(printed, "", ended, "batches")
        outcome.comment_on(github, 7, JOB, "batches", result, author=BOT_NAME)
        (body,) = double.comments_of(7)
        assert shown in body
    assert "actions/runs/42" in body


def test_a_status_that_is_too_long(double: GitHubDouble, github: GitHub) -> None:
    """GitHub takes 140 characters; more is cut off, and control characters do not get there."""
    result = outcome.outcome("", f"error: {'long ' * 100}\x1b[31m\n", "failure", "batches")
    outcome.set_status(github, JOB, "batches", result)
    (status,) = double.statuses
    assert len(status["description"]) <= 140
    assert status["target_url"].endswith("/actions/runs/42")


# -- drift -------------------------------------------------------------------------------------

PAUSED = Finding("renewals", "drift: batch b1 is paused", "resume it")
GONE = Finding("welcome", "drift: the API does not know batch b2 any more")


def look(github: GitHub, *findings: Finding) -> str:
    """Report what was found and give what was done."""
    return drift.report(github, "batches", findings, run="https://run", author=BOT_NAME)[0]


def test_one_issue_through_its_life(double: GitHubDouble, github: GitHub) -> None:
    """Opened, left alone while nothing changes, updated, closed, and reopened: always the same."""
    assert look(github) == "unchanged"
    assert look(github, PAUSED) == "opened"
    (issue,) = double.issues.values()
    assert look(github, PAUSED) == "unchanged"
    assert look(github, GONE, PAUSED) == "updated"
    assert "2 call batches" in issue["title"]
    assert look(github) == "closed"
    assert issue["state"] == "closed"
    assert look(github) == "unchanged"
    assert look(github, PAUSED) == "reopened"
    assert issue["state"] == "open"
    assert len(double.issues) == 1


def test_an_issue_that_a_person_closed(double: GitHubDouble, github: GitHub) -> None:
    """Who closes it knows: it stays closed until something else has drifted."""
    look(github, PAUSED)
    (issue,) = double.issues.values()
    issue["state"] = "closed"
    assert look(github, PAUSED) == "unchanged"
    assert issue["state"] == "closed"
    assert look(github, GONE) == "reopened"


def test_each_root_has_its_own(double: GitHubDouble, github: GitHub) -> None:
    """Staging's drift does not close production's; and a person's look-alike is not touched."""
    look(github, PAUSED)
    person = {"login": "ada", "type": "User"}
    double.issues[99] = {**next(iter(double.issues.values())), "number": 99, "user": person}
    drift.report(github, "batches/staging", [GONE], run="", author=BOT_NAME)
    drift.report(github, "batches", [], run="", author=BOT_NAME)
    states = [(issue["number"], issue["state"]) for issue in double.issues.values()]
    assert [state for _, state in sorted(states)] == ["closed", "open", "open"]


def test_an_issue_of_very_many(github: GitHub, double: GitHubDouble) -> None:
    """It stays below what GitHub takes, says how many are left out, and escapes all it shows."""
    many = [Finding(f"name-{n:04}", f"@team <img> {'x' * 300}", "h" * 300) for n in range(2_000)]
    assert look(github, *many) == "opened"
    (issue,) = double.issues.values()
    assert len(issue["body"]) <= LONGEST
    assert "more" in issue["body"]
    assert "<img" not in issue["body"]
    assert "@team" not in issue["body"]
