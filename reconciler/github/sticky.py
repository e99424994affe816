"""The plan's comment: one a root, written anew in place, and marked when it does not count.

A plan is outdated from the moment a newer commit is there until that commit's own plan is. What it
said stays, folded away; its hidden lines go, so that nobody takes it for reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.github.comments import own_comments, put, rewrite
from reconciler.render.escape import code
from reconciler.render.markdown import outdated
from reconciler.render.markers import OUTDATED, PLAN, Marker, encoded, is_plan_of, marker

if TYPE_CHECKING:
    from reconciler.github.rest import GitHub


def is_plan(markdown: str, root: str) -> bool:
    """Whether a text is a plan of this root, as `plan --format markdown` writes it."""
    return is_plan_of(markdown, root)


def no_plan(root: str, commit: str, run: str) -> str:
    """Give what stands in a plan's place where none could be made. It agrees to nothing.

    `run` is the address of the run whose log says why; it may be empty.
    """
    where = f"[its run]({run})" if run else "its run"
    return (
        f"{marker(PLAN, root)}\n### No plan for {code(root)}\n\n"
        f"> [!CAUTION]\n> The plan of commit {commit[:12]} could not be made: {where} says why.\n"
    )


def show(github: GitHub, number: int, root: str, plan: str, *, author: str) -> str:
    """Put a plan into a pull request, in place of what stood there; give its address.

    Raises `GitHubError`.
    """
    return put(github, number, plan, _heads(root), author=author, overtaken=outdated)


def withdraw(github: GitHub, number: int, root: str, commit: str, *, author: str) -> bool:
    """Mark what is shown as outdated by a newer commit; whether there was anything.

    Raises `GitHubError`.
    """
    comments = own_comments(github, number, author, _heads(root))
    for comment in comments:
        body = outdated(comment.body, commit)
        if body != comment.body:
            rewrite(github, comment, body)
    return bool(comments)


def _heads(root: str) -> list[Marker]:
    return [Marker(kind, encoded(root)) for kind in (PLAN, OUTDATED)]
