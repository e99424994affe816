"""The plan's comment: one a root, written anew in place, and marked when it does not count.

A plan is outdated from the moment a newer commit is there until that commit's own plan is. What it
said stays, folded away; its hidden lines go, so that nobody takes it for reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.github.comments import LONGEST, first_marker, own_comments, put, rewrite
from reconciler.render.markers import (
    OUTDATED,
    PLAN,
    Marker,
    encoded,
    is_plan_of,
    marker,
    without_markers,
)

if TYPE_CHECKING:
    from reconciler.github.rest import GitHub

_FOLD = "<details><summary>The plan that does not count any more</summary>"


def is_plan(markdown: str, root: str) -> bool:
    """Whether a text is a plan of this root, as `plan --format markdown` writes it."""
    return is_plan_of(markdown, root)


def show(github: GitHub, number: int, root: str, plan: str, *, author: str) -> str:
    """Put a plan into a pull request, in place of what stood there; give its address.

    Raises `GitHubError`.
    """
    return put(
        github,
        number,
        plan,
        _heads(root),
        author=author,
        overtaken=lambda body: outdated(body, root, "A second comment of the same plan."),
    )


def withdraw(github: GitHub, number: int, root: str, why: str, *, author: str) -> bool:
    """Mark what is shown as outdated and say why; whether there was anything. `why` is markdown.

    Raises `GitHubError`.
    """
    comments = own_comments(github, number, author, _heads(root))
    for comment in comments:
        body = outdated(comment.body, root, why)
        if body != comment.body:
            rewrite(github, comment, body)
    return bool(comments)


def outdated(comment: str, root: str, why: str) -> str:
    """Give a comment as it reads when its plan does not count any more. `why` is markdown."""
    head = f"{marker(OUTDATED, root)}\n> [!WARNING]\n> **Outdated.** {why}\n"
    first = first_marker(comment)
    if first is not None and first.kind == OUTDATED:
        _, fold, rest = comment.partition(_FOLD)
        return f"{head}\n{fold}{rest}" if fold else head
    whole = f"{head}\n{_FOLD}\n\n{without_markers(comment)}\n</details>\n" if comment else head
    return whole if len(whole) <= LONGEST else head


def _heads(root: str) -> list[Marker]:
    return [Marker(kind, encoded(root)) for kind in (PLAN, OUTDATED)]
