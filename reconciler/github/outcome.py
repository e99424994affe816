"""What an apply did, as a commit status and as a comment on the pull request it carried out.

It reads what `apply --format markdown` printed and what it said on stderr, and how its step ended:
a job that was cancelled or killed has told less, and what is missing is said to be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.github.comments import first_marker, own_comments, put
from reconciler.render.escape import code, markdown, printable, shortened
from reconciler.render.markers import REPORT, Marker, encoded, marker, without_markers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.github.context import Job
    from reconciler.github.rest import GitHub

SUCCESS, FAILURE, ERROR = "success", "failure", "error"
"""States of a commit, as GitHub calls them."""
_LONGEST_STATUS = 140
"""Characters that GitHub takes in a commit status."""
_MOST_TOLD = 20
_IDLE = "Nothing to do"


class Outcome(Struct, frozen=True):
    """How an apply ended: the commit's state, a headline, and the whole as markdown.

    `changes_nothing` tells that there is nothing in it to say if an earlier run has said more.
    """

    state: str
    headline: str
    body: str
    changes_nothing: bool = False


def outcome(printed: str, said: str, ended: str, root: str) -> Outcome:
    """Make out how an apply ended, from its stdout, its stderr and its step's outcome.

    `ended` is `success`, `failure`, `cancelled` or `skipped`.
    """
    state = {"success": SUCCESS, "failure": FAILURE}.get(ended, ERROR)
    head = first_marker(printed)
    if head is not None and head.kind == REPORT:
        body = without_markers(printed)
        headline = body.partition("\n")[0].lstrip("# ")
        return Outcome(state, headline, body, headline.startswith(_IDLE))
    if ended == "success":
        why = next((line for line in said.splitlines() if line.startswith("superseded by")), "")
        headline = (why or "superseded by a newer commit").capitalize()
        text = _text(
            root, headline, ["Nothing is applied from here: a newer commit's run does it."]
        )
        return Outcome(state, headline, text, changes_nothing=True)
    told = [line for line in said.splitlines() if line.startswith(("error: ", "hint: "))]
    error = next((line.removeprefix("error: ") for line in told if line.startswith("error: ")), "")
    headline = {
        "skipped": "It did not begin",
        "cancelled": "Cancelled before it could tell what it did",
    }.get(ended, error or "It failed and did not say why")
    return Outcome(state, headline, _text(root, headline, list(_failure(told, ended))))


def _failure(told: list[str], ended: str) -> Iterator[str]:
    yield from (f"- {markdown(line)}" for line in told[:_MOST_TOLD])
    if ended != "skipped":
        yield ""
        yield "> [!CAUTION]"
        yield "> Run the job again: it first finds out what happened, and creates nothing that may"
        yield "> exist."


def _text(root: str, headline: str, lines: list[str]) -> str:
    shown = markdown(shortened(headline, 600))
    return "\n".join([f"### {shown}", "", f"Apply of {code(root)}.", "", *lines]) + "\n"


def set_status(github: GitHub, job: Job, root: str, result: Outcome) -> None:
    """Put the outcome at the commit. Raises `GitHubError`."""
    document = {
        "state": result.state,
        "context": shortened(printable(f"reconciler apply ({root})"), _LONGEST_STATUS),
        "description": shortened(printable(result.headline), _LONGEST_STATUS),
    }
    if job.address:
        document["target_url"] = job.address
    github.post(f"/statuses/{job.commit}", document)


def merged_pull_request(github: GitHub, job: Job) -> int | None:
    """Give the pull request that the commit came in by, None for a push. Raises `GitHubError`."""
    rows: Any = github.get(f"/commits/{job.commit}/pulls")
    for row in rows if isinstance(rows, list) else []:
        base = row.get("base") if isinstance(row, dict) else None
        if isinstance(base, dict) and base.get("ref") == job.branch and row.get("merged_at"):
            return int(row["number"])
    return None


def comment_on(
    github: GitHub, number: int, job: Job, root: str, result: Outcome, *, author: str
) -> str:
    """Tell the pull request, once a commit: a job that is run again writes it anew.

    A run that changed nothing leaves alone what a successful one has told. Gives the comment's
    address. Raises `GitHubError`.
    """
    heads = {
        state: Marker(REPORT, encoded(root), (job.commit, state))
        for state in (SUCCESS, FAILURE, ERROR)
    }
    if result.changes_nothing:
        earlier = own_comments(github, number, author, [heads[SUCCESS]])
        if earlier:
            return earlier[0].address
    text = f"{marker(REPORT, root, job.commit, result.state)}\n{commented(result, job)}"
    return put(github, number, text, list(heads.values()), author=author)


def commented(result: Outcome, job: Job) -> str:
    """Give the outcome as markdown, with where it comes from."""
    where = f" · [run]({job.address})" if job.address else ""
    return f"{result.body}\n<sub>commit {job.commit[:12]}{where}</sub>\n"
