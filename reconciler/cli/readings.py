"""Asking the API where recorded batches stand: one list a campaign, and little else.

A read that fails stops nobody: it becomes a problem of the `Reading`, and what it would have told
stays unknown.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from reconciler.apply.concurrent import concurrently
from reconciler.errors import ApiError
from reconciler.observed import TERMINAL
from reconciler.plan.progress import Reading

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Mapping

    from reconciler.api.client import HttpBatchApi
    from reconciler.observed import Batch, Campaign
    from reconciler.ports import Clock
    from reconciler.state.document import State


class Reader:
    """Reads again and again. What does not change is asked for once: campaigns, ended batches."""

    def __init__(
        self, api: HttpBatchApi, clock: Clock, *, parallelism: int, stop: threading.Event
    ) -> None:
        self._api = api
        self._clock = clock
        self._parallelism = parallelism
        self._stop = stop
        self._campaigns: dict[str, Campaign] = {}
        self._ended: dict[str, Batch] = {}

    def read(self, state: State, names: Iterable[str] | None = None) -> Reading:
        """Read what bears on these names' batches, or on all.

        A batch that its campaign's list does not show is asked for by itself, if it belongs to a
        current generation; all others cost nothing.
        """
        wanted = self._wanted(state, names)
        work = sorted(wanted.items())
        answers = concurrently(
            lambda each: self._campaign(*each), work, self._parallelism, stop=self._stop
        )
        return Reading(
            at=self._clock.now() + self._api.skew,
            campaigns=dict(self._campaigns),
            batches={k: v for answer in answers for k, v in answer.batches.items()},
            siblings={
                campaign_id: answer.siblings
                for (campaign_id, _), answer in zip(work, answers, strict=True)
            },
            problems=tuple(problem for answer in answers for problem in answer.problems),
            blind=any(answer.blind for answer in answers),
        )

    @staticmethod
    def _wanted(state: State, names: Iterable[str] | None) -> Mapping[str, dict[str, bool]]:
        """Give for each campaign the batches, and whether one must be asked for if not listed."""
        chosen = set(state.batches if names is None else names)
        wanted: dict[str, dict[str, bool]] = defaultdict(dict)
        for name, generation, request in state.requests():
            current = state.batches[name].current is generation
            if name in chosen and (current or request.batch_id):
                batches = wanted[generation.campaign_id]
                if request.batch_id:
                    batches[request.batch_id] = current
        return wanted

    def _campaign(self, campaign_id: str, wanted: Mapping[str, bool]) -> _Answer:
        answer = _Answer()
        try:
            if campaign_id not in self._campaigns:
                campaign = self._api.campaign(campaign_id)
                if campaign is None:
                    answer.problem(f"the API knows no campaign {campaign_id}", "")
                else:
                    self._campaigns[campaign_id] = campaign
        except ApiError as error:
            answer.problem(f"campaign {campaign_id}: {error.message}", error.hint)
        if not wanted:
            return answer
        try:
            answer.siblings = self._api.listing(campaign_id).rows
            listed = {batch.batch_id: batch for batch in answer.siblings}
            for batch_id, current in wanted.items():
                if batch_id in listed:
                    answer.batches[batch_id] = listed[batch_id]
                elif current:
                    answer.batches[batch_id] = self._batch(batch_id)
        except ApiError as error:
            answer.problem(f"batches of {campaign_id}: {error.message}", error.hint)
            answer.blind = True
        return answer

    def _batch(self, batch_id: str) -> Batch | None:
        if batch_id in self._ended:
            return self._ended[batch_id]
        batch = self._api.batch(batch_id)
        if batch is not None and batch.status in TERMINAL:
            self._ended[batch_id] = batch
        return batch


class _Answer:
    """What was learned about one campaign."""

    def __init__(self) -> None:
        self.siblings: tuple[Batch, ...] = ()
        self.batches: dict[str, Batch | None] = {}
        self.problems: list[tuple[str, str]] = []
        self.blind = False

    def problem(self, message: str, hint: str) -> None:
        self.problems.append((message, hint))
