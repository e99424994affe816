"""How a frozen value writes itself when some of it is for nobody's eyes.

Values are `msgspec.Struct`s, not dataclasses: those compile their methods anew each time a program
starts, and a command that makes one plan would spend a fifth of its time on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Struct


def shown_without(value: Struct, *hidden: str) -> str:
    """Give the `repr` of a value without some of its fields."""
    fields = ", ".join(
        f"{name}={getattr(value, name)!r}" for name in value.__struct_fields__ if name not in hidden
    )
    return f"{type(value).__name__}({fields})"
