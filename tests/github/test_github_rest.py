"""The door to GitHub: whom the token goes to, what is sent again, and what is said of a no."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.errors import Refused, Usage
from reconciler.github.rest import GitHub, GitHubError
from tests.github.double import BOT, REPOSITORY

if TYPE_CHECKING:
    from tests.github.double import GitHubDouble

ALL = {"issues": "write", "pull-requests": "write", "statuses": "write"}


def door(double: GitHubDouble, token: str = "", waited: list[float] | None = None) -> GitHub:
    """Give a door to the double that never really waits; `waited` gets the seconds."""
    pause = (waited if waited is not None else []).append
    return GitHub(double.url, REPOSITORY, token or double.token(ALL), pause=pause)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://github.example", Refused),
        ("http://127.0.0.1.example", Refused),
        ("ftp://127.0.0.1", Usage),
        ("https://user:word@github.example", Usage),
        ("api.github.com", Usage),
    ],
)
def test_the_token_goes_nowhere_in_clear(url: str, kind: type[Exception]) -> None:
    """Only https, or http on this machine; and the message does not tell the token."""
    with pytest.raises(kind) as refused:
        GitHub(url, REPOSITORY, "ghs_secret")
    assert "ghs_secret" not in str(refused.value)


def test_a_graphql_address_is_held_to_the_same(double: GitHubDouble) -> None:
    """Its address comes from another variable, and the token does not go there in clear either."""
    with pytest.raises(Refused):
        door(double).graphql("http://github.example/graphql", "query")


@pytest.mark.parametrize("repository", ["", "calls", "acme/", "a/b/c"])
def test_a_repository_that_is_none(double: GitHubDouble, repository: str) -> None:
    """What is not owner/name is a usage error, not a strange address."""
    with pytest.raises(Usage):
        GitHub(double.url, repository, "ghs_1")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "gräßlich"])
def test_a_token_that_is_none(double: GitHubDouble, token: str) -> None:
    """It cannot stand in a header, and is not quoted in the message."""
    with pytest.raises(Usage) as refused:
        GitHub(double.url, REPOSITORY, token)
    assert not token or token not in str(refused.value)


def test_no_redirect_is_followed(double: GitHubDouble) -> None:
    """The token would go along; the answer says where to look."""
    double.broken = [(301, {"location": f"{double.url}/elsewhere"})]
    with pytest.raises(GitHubError, match=r"301.*redirect, which is not followed"):
        door(double).get("/pulls", state="closed", base="main")
    assert len(double.requests) == 1


def test_reads_are_sent_again(double: GitHubDouble) -> None:
    """A read survives two answers that mean trouble, and gives up after the third."""
    double.broken = [(502, {}), (503, {})]
    assert door(double).get("/issues/7/comments") == []
    double.broken = [(502, {})] * 3
    with pytest.raises(GitHubError, match="502"):
        door(double).get("/issues/7/comments")


def test_something_new_is_sent_once(double: GitHubDouble) -> None:
    """A comment whose fate is not known is not made a second time."""
    double.broken = [(502, {})]
    with pytest.raises(GitHubError, match="502"):
        door(double).post("/issues/7/comments", {"body": "once"})
    assert len(double.requests) == 1


def test_not_now_is_waited_for(double: GitHubDouble) -> None:
    """A rate limit that ends soon is waited for, also with something new; one of hours is not."""
    double.broken = [(403, {"retry-after": "7"})]
    waited: list[float] = []
    github = door(double, waited=waited)
    github.post("/issues/7/comments", {"body": "once"})
    assert waited == [7.0]
    double.broken = [(429, {"retry-after": "3600"})]
    with pytest.raises(GitHubError, match="429"):
        github.get("/issues/7/comments")


@pytest.mark.parametrize(
    ("permissions", "said"), [({}, "give the job the permission"), (None, "GITHUB_TOKEN")]
)
def test_a_no_says_what_to_change(
    double: GitHubDouble, permissions: dict[str, str] | None, said: str
) -> None:
    """A token that lacks a permission, or is none, ends in a hint; the token is not told."""
    token = "ghs_stranger" if permissions is None else double.token(permissions)
    with pytest.raises(GitHubError) as refused:
        door(double, token).post("/issues/7/comments", {"body": "x"})
    assert said in refused.value.hint
    assert token not in refused.value.message + refused.value.hint


def test_nobody_there() -> None:
    """An API that cannot be reached is an error with something to check."""
    github = GitHub("http://127.0.0.1:9", REPOSITORY, "ghs_1", pause=lambda _: None)
    with pytest.raises(GitHubError, match="could not be reached") as refused:
        github.get("/pulls")
    assert "HTTPS_PROXY" in refused.value.hint


def test_lists_are_read_to_their_end(double: GitHubDouble) -> None:
    """All pages are read, and a list that is none is an error."""
    for number in range(250):
        double.comment(7, f"comment {number}", BOT)
    rows = list(door(double).pages("/issues/7/comments"))
    assert [row["body"] for row in rows] == [f"comment {number}" for number in range(250)]
    with pytest.raises(GitHubError, match="404"):
        list(door(double).pages("/nothing"))
