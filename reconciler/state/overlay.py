"""A mapping with a few changes laid over it: what a run changes, in a root of 100,000 names.

Every change gives a new state and leaves the old one as it was. Copying all names for each would
make a run that creates many batches slow; so a change remembers only itself, and the whole is put
together when somebody walks all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, ValuesView

_Value = TypeVar("_Value")

_MOST = 1_000
"""Changes that are copied for the next one, before the whole is put together instead."""


class Overlay(Mapping[str, _Value]):  # noqa: PLW1641 - as a dict, it cannot be hashed
    """What a mapping says, but for some names. A value, as long as nobody changes `below`.

    Equal to every mapping that says the same; in no order that anybody may rely on. Walking it the
    first time takes as long as copying `below`, and every look-up as long as two.
    """

    __slots__ = ("_above", "_below")

    def __init__(self, below: dict[str, _Value], above: dict[str, _Value | None]) -> None:
        """`above` says what each changed name has now, None for nothing."""
        self._below = below
        self._above = above

    def __getitem__(self, name: str) -> _Value:
        above = self._above  # before what is below: see _whole
        value = above[name] if name in above else self._below[name]
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Overlay):
            return bool(self._whole() == other._whole())
        return self._whole() == other

    def __repr__(self) -> str:
        return f"Overlay({self._whole()!r})"

    def with_change(self, name: str, value: _Value | None) -> Overlay[_Value]:
        """Give this with one more name changed, or dropped for None."""
        if len(self._above) >= _MOST:
            self._whole()
        above = self._above
        return Overlay(self._below, {**above, name: value})

    def keys(self) -> KeysView[str]:
        """Give all names, as a dict does."""
        return self._whole().keys()

    def values(self) -> ValuesView[_Value]:
        """Give all values, as a dict does."""
        return self._whole().values()

    def items(self) -> ItemsView[str, _Value]:
        """Give all pairs, as a dict does."""
        return self._whole().items()

    def _whole(self) -> dict[str, _Value]:
        """Put everything together, once."""
        above = self._above
        if above:
            whole = self._below.copy()
            for name, value in above.items():
                if value is None:
                    whole.pop(name, None)
                else:
                    whole[name] = value
            # In this order: who reads what is above first, in another thread, misses no change.
            self._below = whole
            self._above = {}
        return self._below


def laid_over(below: Mapping[str, _Value], name: str, value: _Value | None) -> Overlay[_Value]:
    """Give a mapping with one name changed, or dropped for None. The one below stays as it is."""
    if not isinstance(below, Overlay):
        return Overlay(below if isinstance(below, dict) else dict(below), {name: value})
    return below.with_change(name, value)


def changed(before: Mapping[str, _Value], after: Mapping[str, _Value]) -> set[str]:
    """Give the names that hold another object than before, or are only in one of the two.

    Where one was made from the other by a few changes, only those are looked at.
    """
    below, above = _parts(before)
    their_below, their_above = _parts(after)
    if below is their_below:
        names = above.keys() | their_above.keys()
    else:
        names = before.keys() | after.keys()
    return {name for name in names if before.get(name) is not after.get(name)}


def _parts(
    mapping: Mapping[str, _Value],
) -> tuple[Mapping[str, _Value], Mapping[str, _Value | None]]:
    if not isinstance(mapping, Overlay):
        return mapping, {}
    above = mapping._above  # noqa: SLF001 - it is of this module; before what is below: see _whole
    return mapping._below, above  # noqa: SLF001 - likewise
