"""Rules about the package's source that no linter of ours knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LONGEST_MODULE = 450


def imported(module: Path) -> set[str]:
    """Give the top-level names of everything a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_modules_are_short_enough_to_read(root: Path, modules: tuple[Path, ...]) -> None:
    """A module past this length does more than one thing."""
    lengths = {
        module.relative_to(root).as_posix(): len(module.read_text("utf-8").splitlines())
        for module in modules
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_every_module_says_what_it_is_for(root: Path, modules: tuple[Path, ...]) -> None:
    """A module opens with a docstring."""
    silent = [
        module.relative_to(root).as_posix()
        for module in modules
        if not ast.get_docstring(ast.parse(module.read_text("utf-8")))
    ]
    assert silent == []


def hint_places(modules: Iterable[Path]) -> dict[str, int]:
    """Map what takes a hint, functions and classes, to the place of the hint among arguments."""
    found = {}
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in {"self", "cls"}]
            elif isinstance(node, ast.ClassDef) and "kw_only" not in ast.dump(node):
                annotated = [each for each in node.body if isinstance(each, ast.AnnAssign)]
                names = [ast.unparse(each.target) for each in annotated]
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and "hint" in names:
                found[node.name] = names.index("hint")
    return found


def hints(module: Path, places: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Give the hints that a module gives: each one's line and text, `{}` for what is put in."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            values = [each.value for each in node.keywords if each.arg == "hint"]
            function = node.func
            name = function.id if isinstance(function, ast.Name) else ""
            name = function.attr if isinstance(function, ast.Attribute) else name
            place = places.get(name)
            values += node.args[place : place + 1] if place is not None else []
        elif isinstance(node, ast.Assign):
            targets = " ".join(ast.unparse(each) for each in node.targets).lower()
            values = [node.value] if "hint" in targets else []
        for value in values:
            yield from ((value.lineno, text) for text in texts(value) if value is not None)


def texts(value: ast.expr | None) -> Iterator[str]:
    """Give every text that an expression may be."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from (*texts(one), *texts(other))
        case ast.BoolOp(values=values) | ast.Dict(values=values) | ast.Tuple(elts=values):
            for each in values:
                yield from texts(each)
        case _:
            return


def test_hints_are_written_alike(root: Path, modules: tuple[Path, ...]) -> None:
    """A hint goes on where `hint: ` begins a line: in lower case, without a full stop.

    Names keep their case.
    """
    places = hint_places(modules)
    assert {"Diagnostic", "Check", "Problem"} <= places.keys()
    found = [
        (f"{module.relative_to(root).as_posix()}:{line}", text)
        for module in modules
        if "sandbox" not in module.parts  # speaks as an API does
        for line, text in hints(module, places)
        if text
    ]
    assert len(found) > 300, "they are found"
    otherwise = [
        f"{place}: {text}"
        for place, text in found
        if re.match(r"[A-Z][a-z]*[ ,:;]", text) or re.search(r"[^.…]\.$", text)
    ]
    assert otherwise == []


def test_nothing_is_marked_unfinished(root: Path, modules: tuple[Path, ...]) -> None:
    """What is left to do stands in an issue, not in the product."""
    marks = re.compile(r"\b(?:TODO|FIXME|XXX)\b|\bNotImplementedError\b")
    unfinished = [
        f"{module.relative_to(root).as_posix()}:{number}"
        for module in modules
        for number, line in enumerate(module.read_text("utf-8").splitlines(), start=1)
        if marks.search(line)
    ]
    assert unfinished == []


@pytest.mark.parametrize("library", ["httpx", "deepdiff"])
def test_a_replaceable_library_is_imported_in_one_module_only(
    library: str, root: Path, modules: tuple[Path, ...]
) -> None:
    """A library that may be replaced, or is slow to load, has one door."""
    users = [m.relative_to(root).as_posix() for m in modules if library in imported(m)]
    assert len(users) <= 1, users


def test_only_the_sandbox_imports_its_web_server(root: Path, modules: tuple[Path, ...]) -> None:
    """Starlette and uvicorn are an extra: the product runs without them."""
    users = {
        m.relative_to(root).parts[1] for m in modules if imported(m) & {"starlette", "uvicorn"}
    }
    assert users <= {"sandbox"}


def test_every_inline_ignore_says_why(root: Path, committed: tuple[Path, ...]) -> None:
    """An ignore names its rule and its reason on the same line."""
    ignore = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(?P<rest>.*)")
    reasoned = re.compile(
        r"(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[a-z-]+(?:,\s*[a-z-]+)*\])\s+[-#]+\s*\S"
    )
    bare = [
        f"{path.relative_to(root).as_posix()}:{number}"
        for path in committed
        if path.suffix == ".py" and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if (found := ignore.search(line)) and not reasoned.match(found["rest"])
    ]
    assert bare == []


def test_every_ignored_rule_has_its_reason_beside_it(root: Path, pyproject: dict[str, Any]) -> None:
    """Each rule of ruff switched off in pyproject.toml carries a comment on its line."""
    lint = pyproject["tool"]["ruff"]["lint"]
    ignored = {*lint["ignore"], *(r for rules in lint["per-file-ignores"].values() for r in rules)}
    explained = set()
    for line in (root / "pyproject.toml").read_text("utf-8").splitlines():
        rules, _, comment = line.partition("#")
        if comment.strip():
            explained |= set(re.findall(r'"([A-Z]+\d*)"', rules))
    assert ignored - explained == set()
