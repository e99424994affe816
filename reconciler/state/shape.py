"""What is wrong with the shape of a state file, in words: every problem with its place, no value.

The parser that checks while it reads stops at the first problem, says of a name only that it is
one, and quotes what it found. This goes slowly through what was read, along the very types that the
parser follows; it is asked only about files that are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from reconciler.state.document import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_Path = tuple[str | int, ...]


def shape_problems(value: Any, kind: type) -> Iterator[str]:
    """Name what keeps a JSON value from being a record of this kind, as `path: what`."""
    for path, what in _problems(value, inspect.type_info(kind), ()):
        yield f"{'.'.join(str(step) for step in path)}: {what}" if path else what


def _problems(value: Any, kind: inspect.Type, path: _Path) -> Iterator[tuple[_Path, str]]:
    match kind:
        case inspect.StructType():
            yield from _of_a_record(value, kind, path)
        case inspect.DictType() if isinstance(value, dict):
            for name, each in value.items():
                yield from _problems(each, kind.value_type, (*path, name))
        case inspect.VarTupleType() if isinstance(value, list):
            for place, each in enumerate(value):
                yield from _problems(each, kind.item_type, (*path, place))
        case inspect.UnionType():
            if value is not None:
                (one,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
                yield from _problems(value, one, path)
        case _:
            what = _of_a_value(value, kind)
            if what:
                yield path, what


def _of_a_record(value: Any, kind: inspect.StructType, path: _Path) -> Iterator[tuple[_Path, str]]:
    if not isinstance(value, dict):
        yield path, "should be an object"
        return
    fields = {field.name: field for field in kind.fields}
    for name, field in fields.items():
        if name in value:
            yield from _problems(value[name], field.type, (*path, name))
        elif field.required:
            yield (*path, name), "is missing"
    for name in value.keys() - fields.keys():
        yield (*path, name), "is no field of a state"


def _of_a_value(value: Any, kind: inspect.Type) -> str | None:
    """Say what a value should be, None when it is that."""
    match kind:
        case inspect.DictType():
            return "should be an object"
        case inspect.VarTupleType():
            return "should be a list"
        case inspect.StrType():
            return _of_a_text(value, kind)
        case inspect.Metadata():
            return _of_a_value(value, kind.type) or _of_a_form(value, kind)
        case inspect.BoolType():
            return None if isinstance(value, bool) else "should be true or false"
        case inspect.IntType():
            return _of_a_number(value, kind)
        case inspect.EnumType():
            words = [str(each.value) for each in kind.cls]
            return None if value in words else f"should be one of {', '.join(words)}"
        case inspect.DateTimeType():
            return None if _is_a_time(value) else "should be a time with its offset, as text"
        case _:
            return None


def _of_a_number(value: Any, kind: inspect.IntType) -> str | None:
    least = "" if kind.ge is None else f", {kind.ge} or more"
    if not isinstance(value, int) or isinstance(value, bool):
        return f"should be a whole number{least}"
    if kind.ge is not None and value < kind.ge:
        return f"should be a whole number{least}"
    return None if kind.le is None or value <= kind.le else f"should be at most {kind.le}"


def _of_a_text(value: Any, kind: inspect.StrType) -> str | None:
    if not isinstance(value, str):
        return "should be a text"
    if len(value) < (kind.min_length or 0):
        return "should not be empty"
    return None


def _of_a_form(value: str, kind: inspect.Metadata) -> str | None:
    """Look for a form that the schema tells, and that the parser leaves to `state.sound`."""
    pattern = (kind.extra_json_schema or {}).get("pattern", "")
    return None if re.search(pattern, value) else "does not have its form"


def _is_a_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(msgspec.convert(value, Moment))
    except msgspec.ValidationError:
        return False
