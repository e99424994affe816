"""Comments that belong to the workflow: found by their hidden first line and who wrote them.

One comment a root and pull request is kept and written anew in place. A comment that begins with
our hidden line but was written by somebody else is left alone and never believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.github.context import WORKFLOW_AUTHOR
from reconciler.github.rest import GitHubError
from reconciler.render.markers import markers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from reconciler.github.rest import GitHub
    from reconciler.render.markers import Marker

LONGEST = 65_536
"""Characters that GitHub takes in one comment or issue."""
_BOT = "[bot]"


class Comment(Struct, frozen=True):
    """A comment of the workflow's. `node` is its id for GraphQL."""

    number: int
    body: str
    node: str
    address: str


def is_by(row: Mapping[str, Any], author: str) -> bool:
    """Whether a comment or an issue was written by `author`; a bot only as the bot it is."""
    user = row.get("user")
    if not isinstance(user, dict) or user.get("login") != author:
        return False
    return not author.endswith(_BOT) or user.get("type") in {"Bot", None}


def first_marker(body: str) -> Marker | None:
    """Give a text's hidden first line; None when it has none."""
    return next(markers_of(body), None)


def own_comments(
    github: GitHub, pull_request: int, author: str, heads: Collection[Marker]
) -> list[Comment]:
    """List the author's comments that begin with one of these lines, oldest first.

    Raises `GitHubError`.
    """
    found = []
    for row in github.pages(f"/issues/{pull_request}/comments"):
        body = row.get("body")
        if not isinstance(body, str) or not is_by(row, author):
            continue
        number = row.get("id")
        if isinstance(number, int) and first_marker(body) in heads:
            node, address = str(row.get("node_id") or ""), str(row.get("html_url") or "")
            found.append(Comment(number, body, node, address))
    return found


def put(
    github: GitHub,
    pull_request: int,
    body: str,
    heads: Collection[Marker],
    *,
    author: str = WORKFLOW_AUTHOR,
    overtaken: Callable[[str], str] | None = None,
) -> str:
    """Write the comment with one of these heads anew, or make it; give its address.

    Should there be more than one (two jobs that began at the same moment), the oldest is kept and
    `overtaken` gives what the others say from now on. Raises `GitHubError`.
    """
    comments = own_comments(github, pull_request, author, heads)
    kept = comments[0] if comments else None
    for each in comments[1:]:
        text = overtaken(each.body) if overtaken else each.body
        if text != each.body:
            rewrite(github, each, text)
    if kept is None:
        answer = github.post(f"/issues/{pull_request}/comments", {"body": body})
    elif kept.body == body:
        return kept.address
    else:
        answer = rewrite(github, kept, body)
    return str(answer.get("html_url") or "") if isinstance(answer, dict) else ""


def rewrite(github: GitHub, comment: Comment, body: str) -> Any:
    """Write one comment anew. Raises `GitHubError`."""
    return github.patch(f"/issues/comments/{comment.number}", {"body": body})


def was_edited_by_others(github: GitHub, graphql: str, comment: Comment) -> str:
    """Say who edited a comment last, if it was not its author; empty when nobody else did.

    Whoever may write to a repository may edit everybody's comments there, and only GraphQL tells
    who did. Raises `GitHubError` when it does not tell.
    """
    data = github.graphql(graphql, _EDITOR, id=comment.node)
    node = data.get("node") if isinstance(data, dict) else None
    if not isinstance(node, dict) or "editor" not in node or not node.get("author"):
        raise GitHubError("GitHub does not tell who edited the comment")
    editor = node["editor"]
    if editor is None and node.get("lastEditedAt") is None:
        return ""
    name = str((editor or {}).get("login") or "somebody who is gone")
    return "" if name == node["author"].get("login") else name


_EDITOR = """
query ($id: ID!) {
  node(id: $id) { ... on IssueComment { author { login } editor { login } lastEditedAt } }
}
"""
