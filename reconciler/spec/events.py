"""The event stream of ruamel.yaml's C parser, with its scalars made in C too.

The parser makes each event by calling a class, and ruamel's are Python with three constructors one
above the other: of the time a spec takes to parse, half goes there. Nearly all events are scalars,
so the parser is given a record with the same fields for those. It looks classes up by name in its
own module, which is where that is put; nobody else in this process asks it for events. A version of
ruamel.yaml that looks elsewhere gives its own scalars, as slow as ever, and a test says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _ruamel_yaml  # type: ignore[import-not-found]  # written in C, without stubs
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable


class _Scalar(Struct, gc=False):
    """The fields of ruamel's `ScalarEvent`, in the order in which the parser gives them."""

    anchor: str | None
    tag: str | None
    implicit: tuple[bool, bool]
    value: str
    start_mark: Any
    end_mark: Any
    style: str
    comment: None = None


def events(data: bytes) -> Callable[[], Any]:
    """Give the event stream of UTF-8 bytes: each call the next event. Calls raise YAMLError."""
    get: Callable[[], Any] = _ruamel_yaml.CParser(data).get_event
    return get


def _kind_of_scalars() -> type:
    """Find out what the parser gives for a scalar."""
    get = events(b"a")
    _, _, scalar = get(), get(), get()
    return type(scalar)


_ruamel_yaml.ScalarEvent = _Scalar
ScalarEvent: Any = _kind_of_scalars()
"""What stands in the stream for a scalar: `value`, `style`, `anchor`, `tag` and two marks."""
