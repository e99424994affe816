"""Reviewed means applied: whose comment counts, for what, and that everything else is a no."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.errors import Refused
from reconciler.github.context import Job
from reconciler.github.reviewed import require_reviewed
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.planner import make_plan
from reconciler.render.markdown import outdated, plan_markdown
from reconciler.spec.load import load_specs
from reconciler.state.document import State
from tests.github.double import BOT, REPOSITORY, Pull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.plan.actions import Plan
    from tests.github.double import GitHubDouble

NOW = datetime(2026, 11, 23, tzinfo=UTC)
COMMIT = "c" * 40
PERSON = {"login": "mallory", "type": "User"}


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[..., Plan]:
    """Give a maker of plans that create batches: each name with so many people."""

    def maker(**people: int) -> Plan:
        root = tmp_path / f"root-{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        for name, count in people.items():
            contacts = "".join(
                f'  - phone_number: "+1415555{100 + number:04d}"\n'
                "    call_variables: {callee_name: A}\n"
                for number in range(count)
            )
            text = f"campaign_id: cmp_1\ncontacts:\n{contacts}"
            (root / f"{name}.yaml").write_text(text, encoding="utf-8")
        state = State(lineage="l")
        return make_plan(load_specs(root), state, Facts(offline=True), Rules(), NOW)

    return maker


class Repository:
    """The double with pull requests that were merged one after the other."""

    def __init__(self, double: GitHubDouble) -> None:
        self.double = double
        self.graphql = True

    def merged(
        self, number: int, *, commit: str = "", base: str = "main", done: bool = True
    ) -> int:
        """Put a pull request there."""
        when = f"2026-01-{number:02d}T00:00:00Z" if done else None
        self.double.pulls[number] = Pull(
            number, "h" * 40, base=base, merge_commit=commit or f"{number:040d}", merged_at=when
        )
        return number

    def shown(self, number: int, plan: Plan, **how: Any) -> None:
        """Show a plan in a pull request."""
        body = how.pop("edit", lambda text: text)(plan_markdown(plan, NOW, root="batches"))
        self.double.comment(number, body, how.pop("user", BOT), **how)

    def require(self, plan: Plan, **how: Any) -> tuple[int, ...]:
        """Ask whether a plan may be applied from COMMIT."""
        environ = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": COMMIT,
            "GITHUB_REF_NAME": "main",
            "GITHUB_TOKEN": self.double.token({"pull-requests": "write"}),
            "GITHUB_API_URL": self.double.url,
            **({"GITHUB_GRAPHQL_URL": f"{self.double.url}/graphql"} if self.graphql else {}),
            **how.pop("environ", {}),
        }
        return require_reviewed(plan, "batches", Job(environ), **how)

    def refusal(self, plan: Plan, **how: Any) -> str:
        """Give what is said when it may not."""
        with pytest.raises(Refused) as refused:
            self.require(plan, **how)
        assert refused.value.exit_code == 4
        assert refused.value.hint
        return refused.value.message


@pytest.fixture
def repository(double: GitHubDouble) -> Repository:
    """Give a repository without pull requests."""
    return Repository(double)


def test_the_very_plan(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """What the commit's own pull request showed may be applied, whatever else was merged."""
    repository.merged(3)
    number = repository.merged(5, commit=COMMIT)
    repository.shown(3, plan_of(other=1))
    repository.shown(number, plan_of(one=2))
    assert repository.require(plan_of(one=2)) == (5,)


def test_nothing_to_begin_asks_nobody(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """A plan that begins nothing needs no review, and no call."""
    assert repository.require(plan_of()) == ()
    assert repository.double.requests == []


def test_several_pull_requests_together(
    repository: Repository, plan_of: Callable[..., Plan]
) -> None:
    """While one apply waits others are merged: what all of them agreed to may be applied."""
    repository.shown(repository.merged(3), plan_of(one=1))
    repository.shown(repository.merged(4), plan_of(two=2))
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(three=3))
    assert repository.require(plan_of(one=1, two=2, three=3)) == (5, 4, 3)
    assert repository.require(plan_of(two=2, three=3)) == (5, 4)
    assert repository.require(plan_of(one=1, three=3)) == (5, 4, 3), "another run did the rest"


@pytest.mark.parametrize(
    ("now", "named"),
    [({"one": 3}, "one"), ({"one": 2, "two": 1}, "two"), ({"uno": 2}, "uno")],
    ids=["more people", "one more", "another name"],
)
def test_a_difference_is_named(
    repository: Repository, plan_of: Callable[..., Plan], now: dict[str, int], named: str
) -> None:
    """Other people, another batch or another name is refused, and it says which."""
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(one=2))
    assert f"in #5: it differs for {named}" in repository.refusal(plan_of(**now))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"user": PERSON}, "has no plan by github-actions[bot]"),
        ({"user": {"login": "github-actions[bot]", "type": "User"}}, "has no plan by"),
        ({"user": {"login": "other[bot]", "type": "Bot"}}, "has no plan by"),
        ({"editor": "mallory"}, "the plan in #5 was edited by mallory"),
        ({"edit": outdated}, "has no plan by"),
        ({"edit": lambda text: text.replace(" batches", " elsewhere")}, "has no plan by"),
        ({"edit": lambda text: f"Look at this:\n{text}"}, "has no plan by"),
        ({"edit": lambda text: text.replace("plan-hash", "plan-mash")}, "has no plan by"),
    ],
    ids=[
        "a person's", "a person of that name", "another bot's", "edited by a person", "outdated",
        "another root's", "quoted", "without its hash",
    ],
)  # fmt: skip
def test_a_comment_that_does_not_count(
    repository: Repository, plan_of: Callable[..., Plan], how: dict[str, Any], said: str
) -> None:
    """Nobody can agree in the workflow's name: forged, edited and outdated plans are refused."""
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(one=2), **how)
    assert said in repository.refusal(plan_of(one=2))


def test_another_author_can_be_chosen(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """With an app of one's own as the author, the workflow's usual identity does not count."""
    number = repository.merged(5, commit=COMMIT)
    repository.shown(number, plan_of(one=2), user={"login": "plans[bot]", "type": "Bot"})
    assert repository.require(plan_of(one=2), author="plans[bot]") == (5,)
    assert "has no plan by github-actions[bot]" in repository.refusal(plan_of(one=2))


def test_two_plans_agree_to_nothing(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """Which of two counted when somebody merged cannot be known."""
    number = repository.merged(5, commit=COMMIT)
    repository.shown(number, plan_of(one=2))
    repository.shown(number, plan_of(one=3))
    assert "#5 has 2 comments with a plan" in repository.refusal(plan_of(one=2))


def test_edited_by_the_workflow_itself(
    repository: Repository, plan_of: Callable[..., Plan]
) -> None:
    """The comment is written anew in place, and that is no edit by somebody else."""
    number = repository.merged(5, commit=COMMIT)
    repository.shown(number, plan_of(one=2), editor="github-actions[bot]")
    assert repository.require(plan_of(one=2)) == (5,)


@pytest.mark.parametrize("how", [{"done": False}, {"base": "other"}], ids=["closed", "elsewhere"])
def test_a_pull_request_that_was_not_merged_here(
    repository: Repository, plan_of: Callable[..., Plan], how: dict[str, Any]
) -> None:
    """A plan counts once its pull request is merged into the branch that is applied."""
    repository.shown(repository.merged(5, commit=COMMIT, **how), plan_of(one=2))
    said = repository.refusal(plan_of(one=2))
    assert "came in by no merged pull request" in said


def test_more_actions_than_a_comment_lists(
    repository: Repository, plan_of: Callable[..., Plan]
) -> None:
    """Without its list of actions a comment agrees to the whole, and to nothing less."""
    number = repository.merged(5, commit=COMMIT)

    def shortened(text: str) -> str:
        return "\n".join(line for line in text.split("\n") if "plan-actions" not in line)

    repository.shown(number, plan_of(one=2, two=1), edit=shortened)
    assert repository.require(plan_of(one=2, two=1)) == (5,)
    assert "it differs for one" in repository.refusal(plan_of(one=2))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set"),
        ({"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY is not set"),
        ({"GITHUB_SHA": ""}, "GITHUB_SHA is not set"),
        ({"GITHUB_TOKEN": "ghs_stranger"}, "GitHub answered 401"),
        ({"GITHUB_API_URL": "http://github.example"}, "in clear"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    repository: Repository, plan_of: Callable[..., Plan], environ: dict[str, str], said: str
) -> None:
    """Outside a job, without a token or with a wrong one: nothing is begun."""
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(one=2))
    assert said in repository.refusal(plan_of(one=2), environ=environ)


def test_an_api_that_fails(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """A trouble of GitHub's is a refusal, and so is GraphQL that does not tell who edited."""
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(one=2))
    repository.double.broken = [(404, {})]
    assert "cannot be read: GitHub answered 404" in repository.refusal(plan_of(one=2))
    environ = {"GITHUB_GRAPHQL_URL": f"{repository.double.url}/nothing"}
    assert "cannot be read" in repository.refusal(plan_of(one=2), environ=environ)


def test_a_server_without_graphql(repository: Repository, plan_of: Callable[..., Plan]) -> None:
    """Where GitHub names no GraphQL, who wrote the comment has to be enough."""
    repository.graphql = False
    repository.shown(repository.merged(5, commit=COMMIT), plan_of(one=2))
    assert repository.require(plan_of(one=2)) == (5,)
