"""What a store of state promises, whatever keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from reconciler.state.document import State

Item = TypeVar("Item")
Result = TypeVar("Result")


class Aside(Protocol):
    """Begins to do something for each item elsewhere, see `reconciler.spec.parallel.aside`."""

    def __call__(
        self, work: Callable[[Item], Result | None], items: Sequence[Item], /
    ) -> Callable[[], list[Result | None]] | None:
        """Give what does the rest and gives all results; None where nothing can be begun."""


class StateStore(Protocol):
    """Keeps one state durably."""

    @property
    def where(self) -> str:
        """How messages call the place, as the user would type it."""

    def load(self, aside: Aside | None = None, *, whole: bool = True) -> State:
        """Read the state; one that was never stored is empty, with serial 0.

        Raises `StateUnusable` for content that cannot be trusted, `StateError` for a place that
        cannot be read. With `aside`, whether it can be trusted may be found out meanwhile: nothing
        may be told or done by it before `confirm`. If no `whole` is needed its records may be read
        only when they are asked for; the first question raises what `confirm` does.
        """

    def confirm(self) -> None:
        """Make sure that what was loaded can be trusted. Raises `StateUnusable` if it cannot."""

    def require_current(self) -> None:
        """Make sure that what is checked out is what is to be applied, if the store can tell.

        Raises `Superseded` for a checkout that something newer took the place of, `Refused` for
        one that nobody else can see.
        """

    def moved(self) -> bool:
        """Whether somebody else stored a state since this run's `load`.

        Raises `StateError` if nobody can tell.
        """

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep every other run from storing until the context ends.

        Raises `StateLocked`, soon, when another run holds it. The hold ends with the process,
        however that ends.
        """

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Store the state durably and give it back as stored, with its new serial.

        When this returns, the state must survive the power going out. When it raises
        (`StateError`, `StateUnusable`), the caller must not begin anything that relies on it.
        `touched` are the names whose records this run changed since its `load`: should somebody
        else have stored a state meanwhile, these are laid onto theirs. But new intents must not
        be, because they were planned without knowing: a store that others can reach raises
        `StateMoved` and stores nothing. `why` is a line for the history where a person decided,
        empty where the records say it all. Only inside `exclusive`.
        """
