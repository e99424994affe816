"""Reads a list that moves while it is read, and tells whether everything was seen.

The API documents `skip` and `limit`, but no order, no cap, and no total. So a page shorter than
asked means nothing: a pass ends at an empty page only. And a pass proves something only when it
is *clean*: it saw as many different rows as it skipped. Rows are never deleted, so at the empty
page the server held no more rows than were skipped, and all of those were seen, in whatever order
they came. A pass in which a row came twice may have missed another, and is repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAGE = 100
"""Rows that a page is asked for."""
SMALLER_PAGE = 50
"""Rows to ask for instead where the API refuses `PAGE`: the default that it documents."""
MOST_PASSES = 4
MOST_PAGES = 100_000
"""Pages after which a list counts as endless: two passes over a batch of five million people."""
_STALE_PAGES = 3
"""So many pages in a row without a row that is new to the pass: the server ignores `skip`."""


class Walk(Struct):
    """All passes over one list. Iterating `one_pass` reads; the attributes tell how it went.

    `fetch` gives the rows from `skip` on; `identify` gives a row's id, None when it has none.
    """

    fetch: Callable[[int], Sequence[Any]]
    identify: Callable[[Any], str | None]
    pages: int = 0
    clean: bool = False
    """Whether the last pass proved that it saw every row."""
    stuck: bool = False
    """Whether reading on is pointless: `skip` is ignored, or the pages have no end."""
    nameless: bool = False
    """Whether any row had no id: nothing can be proved then."""

    def one_pass(self) -> Iterator[tuple[str, Any]]:
        """Read all pages once, giving each row with its id; a row may come twice."""
        self.clean = False
        seen: set[str] = set()
        skip = stale = 0
        while self.pages < MOST_PAGES and stale < _STALE_PAGES:
            rows = self.fetch(skip)
            self.pages += 1
            if not rows:
                self.clean = len(seen) == skip
                return
            skip += len(rows)
            before = len(seen)
            for row in rows:
                row_id = self.identify(row)
                if row_id is None:
                    self.nameless = True
                    continue
                seen.add(row_id)
                yield row_id, row
            stale = 0 if len(seen) > before else stale + 1
        self.stuck = True

    def passes(self) -> Iterator[int]:
        """Count passes for as long as another one can help."""
        for number in range(1, MOST_PASSES + 1):
            yield number
            if self.stuck:
                return
