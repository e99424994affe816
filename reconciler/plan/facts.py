"""What was asked of the API before planning, and the rules planning goes by."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model import Diagnostic
    from reconciler.observed import Batch, BatchContact, Campaign


class Facts(Struct, frozen=True, kw_only=True):
    """Answers of the API, as far as the plan needs them.

    `found` maps a key to the batches that carry it. `absent` holds the keys that a complete listing
    was shown not to contain. `suspects` maps a key to ids of batches that may be the one in doubt
    but whose metadata the API does not show. `existing` maps a name to batches that carry it and
    that no record of ours knows, `same_contents` a digest to such batches of whatever name.
    `batches` maps recorded ids to what the API says of them, `contacts` to everyone in them; None
    says that the API has none such, and an id that is missing was not asked for or not told.
    """

    offline: bool = False
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    found: Mapping[str, tuple[Batch, ...]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    suspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    existing: Mapping[str, tuple[Batch, ...]] = field(default_factory=dict)
    same_contents: Mapping[str, tuple[Batch, ...]] = field(default_factory=dict)
    batches: Mapping[str, Batch | None] = field(default_factory=dict)
    contacts: Mapping[str, tuple[BatchContact, ...] | None] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()

    def timezone(self, campaign_id: str) -> str | None:
        """Give the campaign's IANA timezone, None when it is not known."""
        campaign = self.campaigns.get(campaign_id)
        return campaign.timezone if campaign else None


class Rules(Struct, frozen=True, kw_only=True):
    """What the command line, the environment and `reconciler.yaml` say about planning.

    `settle` is how old an attempt must be before its absence counts as "not created"; with `hold`
    it never does and a person decides. `organization_id` is `GRAINE_ORG_ID`. `run` is this run,
    whose own intents it need not leave alone. `timeout` is how long a request may be under way
    after the intent of another run expired. `arm_delay` is how far ahead a batch that would call at
    once is created. With `prune` the batches of removed specs are cancelled.
    `frozen` is why nothing may begin to ring.
    """

    settle: timedelta = timedelta(seconds=600)
    hold: bool = False
    organization_id: str | None = None
    run: str | None = None
    timeout: timedelta = timedelta(seconds=60)
    arm_delay: timedelta = timedelta(0)
    prune: bool = False
    frozen: str | None = None
