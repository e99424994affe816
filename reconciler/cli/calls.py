"""The ledger of calls of a root, as commands open it: its limits, its key, its files."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.policy.frequency import Frequency, Limit, opened
from reconciler.state.beside import Beside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from reconciler.apply.calls import CallLog
    from reconciler.policy.judge import Layer
    from reconciler.spec.config.policy import Policy
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


def limits_of(policy: Policy) -> tuple[Limit, ...]:
    """Give the limits of one policy."""
    return tuple(Limit(each.calls, timedelta(seconds=each.within)) for each in policy.frequency)


def open_frequency(
    layers: Iterable[Layer], store: StateStore, state: State, now: datetime
) -> Frequency:
    """Open the ledger for the limits of all layers; `state` is what `store` loaded last.

    Reads nothing where there is no limit. What keeps it from being asked is its `problem`.
    """
    limits = tuple(limit for layer in layers for limit in limits_of(layer.policy))
    if not limits:
        return Frequency()
    return opened(limits, os.environ, files_of(store).beside, state, now)


def of_layer(frequency: Frequency, layer: Layer) -> Frequency:
    """Give the same ledger with the limits of one layer."""
    return replace(frequency, limits=limits_of(layer.policy))


def call_log(frequency: Frequency, store: StateStore) -> CallLog | None:
    """Give what a run keeps its calls in; None where no limit asks, or nobody can.

    Then the rule refuses every launch, unless an exception sets it aside: whom that calls is
    missing in the ledger, which is noticed until it is made anew.
    """
    if not frequency.limits or frequency.key is None or frequency.ledger is None:
        return None
    from reconciler.apply.calls import CallLog  # noqa: PLC0415 - only where there is a limit

    return CallLog(frequency.ledger, frequency.key, files_of(store), frequency.keeps)


def files_of(store: StateStore) -> Beside:
    """Give a store as what keeps files beside its state; all of ours do."""
    if not isinstance(store, Beside):
        raise TypeError(f"{store.where} keeps nothing beside the state")
    return store
