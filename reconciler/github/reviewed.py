"""Reviewed means applied: what merged pull requests agreed to, read from the plan's comment.

A pull request shows its plan in a comment of the workflow's, and whoever merges agrees to that. So
what `apply` is about to begin must stand in the comment of the pull request that its commit came in
by, or in one that was merged before it and has not been applied yet: while one apply waits for its
approval others are merged, and only the newest is applied.

It fails closed. A comment by anybody else does not count, nor one that somebody else has edited;
what cannot be asked, found or read is a refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.errors import Refused, Usage
from reconciler.github.comments import own_comments, was_edited_by_others
from reconciler.github.context import WORKFLOW_AUTHOR
from reconciler.github.rest import GitHubError
from reconciler.plan.fingerprint import action_hashes, plan_hash, unreviewed
from reconciler.render.markers import PLAN, Marker, encoded, reviewed_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.github.context import Job
    from reconciler.github.rest import GitHub
    from reconciler.plan.actions import Plan

RECENT = 30
"""How many of the pull requests merged last are looked at beside the commit's own."""
_LISTED = 5

AGAIN = (
    "open a pull request (an empty commit will do): its plan shows what is left to do; merge that"
)


def require_reviewed(
    plan: Plan, root: str, job: Job, *, author: str = WORKFLOW_AUTHOR, github: GitHub | None = None
) -> tuple[int, ...]:
    """Refuse to begin what no merged pull request agreed to; give the numbers of those that did.

    `root` is the batches root as given on the command line, `author` who the workflow writes as.
    A plan that begins nothing needs nobody's agreement, and nothing is asked. Raises `Refused`.
    """
    if not action_hashes(plan):
        return ()
    try:
        search = _Search(plan, root, job, author, github or job.github())
        return search.run()
    except (GitHubError, Usage) as error:
        raise Refused(
            f"require_reviewed_plan: the plan that was reviewed cannot be read: {error.message}",
            hint=error.hint or "run the job again",
        ) from error


class _Search:
    """Goes through merged pull requests until all is agreed to, the commit's own one first."""

    def __init__(self, plan: Plan, root: str, job: Job, author: str, github: GitHub) -> None:
        self._plan = plan
        self._root = root
        self._job = job
        self._author = author
        self._github = github
        self._agreed: set[str] = set()
        self._agreeing: list[int] = []
        self._seen: list[int] = []
        self._odd: list[str] = []

    def run(self) -> tuple[int, ...]:
        """Give the numbers of those that agreed to it. Raises `Refused` or `GitHubError`."""
        for number in self._merged():
            self._seen.append(number)
            if self._is_agreed_in(number):
                return tuple(self._agreeing)
        raise self._refusal()

    def _merged(self) -> Iterator[int]:
        """Give the commit's own pull requests, then those merged last into its branch."""
        own = [
            row
            for row in self._rows(self._github.get(f"/commits/{self._job.commit}/pulls"))
            if self._counts(row)
        ]
        yield from (row["number"] for row in own)
        known = {row["number"] for row in own}
        recent = self._github.get(
            "/pulls",
            state="closed",
            base=self._job.branch,
            sort="updated",
            direction="desc",
            per_page=str(RECENT),
        )
        rows = [row for row in self._rows(recent) if self._counts(row)]
        rows.sort(key=lambda row: str(row["merged_at"]), reverse=True)
        yield from (row["number"] for row in rows if row["number"] not in known)

    @staticmethod
    def _rows(answer: Any) -> list[dict[str, Any]]:
        if not isinstance(answer, list):
            raise GitHubError("GitHub gave no list of pull requests")
        return [row for row in answer if isinstance(row, dict)]

    def _counts(self, row: Mapping[str, Any]) -> bool:
        """Whether a pull request was merged, and into the branch that is applied."""
        base = row.get("base")
        into = base.get("ref") if isinstance(base, dict) else None
        merged = bool(row.get("merged_at")) and isinstance(row.get("number"), int)
        return merged and into == self._job.branch

    def _is_agreed_in(self, number: int) -> bool:
        """Take what one pull request agreed to; whether that leaves nothing to agree to."""
        head = Marker(PLAN, encoded(self._root))
        comments = own_comments(self._github, number, self._author, [head])
        if len(comments) > 1:
            self._odd.append(f"#{number} has {len(comments)} comments with a plan")
            return False
        for comment in comments:
            reviewed = reviewed_in(comment.body, self._root)
            if reviewed is None:
                continue
            if self._job.graphql:
                editor = was_edited_by_others(self._github, self._job.graphql, comment)
                if editor:
                    self._odd.append(f"the plan in #{number} was edited by {editor}")
                    continue
            self._agreeing.append(number)
            if reviewed.plan_hash == plan_hash(self._plan):
                self._agreeing = [number]
                return True
            self._agreed.update(reviewed.actions or ())
        return not unreviewed(self._plan, self._agreed)

    def _refusal(self) -> Refused:
        odd = f"; {'; '.join(self._odd)}" if self._odd else ""
        if not self._seen:
            return Refused(
                f"require_reviewed_plan: commit {self._job.commit[:12]} came in by no merged pull "
                f"request, so nobody reviewed its plan{odd}",
                hint=AGAIN,
            )
        if not self._agreeing:
            where = f"#{self._seen[0]}"
            return Refused(
                f"require_reviewed_plan: {where} has no plan by {self._author} in its comments"
                f"{odd}",
                hint="a fork's plan is not posted, and a failed one neither; " + AGAIN,
            )
        names = unreviewed(self._plan, self._agreed)
        listed = ", ".join(names[:_LISTED])
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        where = ", ".join(f"#{number}" for number in self._agreeing[:_LISTED])
        return Refused(
            f"require_reviewed_plan: what is to be done is not what was reviewed in {where}: it "
            f"differs for {listed}{more}{odd}",
            hint=f"see what it is now: reconciler plan; then {AGAIN}",
        )
