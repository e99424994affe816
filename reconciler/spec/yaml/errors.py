"""What a YAML syntax error means to the person who wrote the file, and how to mend it.

The parser says what it expected; people need to know what they did. Each hint here belongs to a
mistake that people make: a tab, a colon in a text, a value beginning with `@`, an open quote.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from reconciler.spec.problems import Problem, printable

_CONFLICT = rb"(?m:^(?:<{7} |={7}\r?$|>{7} ))"
_QUOTE_TEXT = "put the value in quotes if it is meant as text"
_CLOSE = "close the quote; a quote inside of text in single quotes is written twice (`'it''s'`)"

# Part of the parser's problem → what happened, and what to do.
_MEANINGS = (
    (
        "mapping values are not allowed",
        "a `:` stands where no field can begin",
        "put a text with `: ` in it into quotes, or indent fields of one level alike",
    ),
    (
        "could not find expected ':'",
        "the line before has a name without a `:`, or a text goes on where it should not",
        "write `field: value`, and put a text of several lines in quotes",
    ),
    (
        "did not find expected '-' indicator",
        "a list ends here without its indentation saying so",
        "begin the line with `- `, or indent it like the field that the list belongs to",
    ),
    (
        "did not find expected key",
        "a new field was expected here",
        "check the indentation, and the quotes of the line before",
    ),
    (
        "did not find expected ',' or ']'",
        "a list in brackets is not closed, or a `,` is missing",
        "close it with `]`, and check the quotes before this place",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping in braces is not closed, or a `,` is missing",
        "close it with `}`, and check the quotes before this place",
    ),
    (
        "found unexpected ':'",
        "a `:` stands within a text in braces or brackets",
        "put the text in quotes",
    ),
    ("did not find expected node content", "a value was expected here", 'write one, or `""`'),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "begin the list on a line of its own, with `- `",
    ),
    (
        "unknown escape character",
        "a backslash in double quotes begins an escape that YAML does not know",
        "write the backslash twice, or use single quotes",
    ),
    (
        "invalid Unicode character escape",
        "the escape does not name a character",
        "write the character itself",
    ),
    ("did not find expected hexdecimal number", "the escape is not complete", "write `\\u00e9`"),
    ("found unexpected end of stream", "a quote is never closed", _CLOSE),
    ("found unexpected document indicator", "a quote is not closed before this `---`", _CLOSE),
    (
        "did not find expected <document start>",
        "the document has ended, but something follows",
        "check the indentation of this line; top-level fields begin in column 1",
    ),
    (
        "expected comment or line break",
        "something follows a `|` or `>` that begins a block of text",
        "put the value in quotes if it is meant as text",
    ),
    ("found undefined tag handle", "a value that begins with `!` is read as a tag", ""),
    ("while scanning a tag", "a value that begins with `!` is read as a tag", ""),
    ("while scanning an anchor", "a value that begins with `&` is read as an anchor", ""),
    ("while scanning an alias", "a value that begins with `*` is read as an alias", ""),
    ("directive", "a line that begins with `%` is read as a YAML directive", "delete the line"),
    ("incompatible YAML document", "the file asks for another YAML version", "delete the line"),
)


def at(mark: Any) -> tuple[int, int]:
    """Give a parser's mark as line and column, both counted from 1."""
    return (mark.line + 1, mark.column + 1)


def syntax_problem(error: Exception, data: bytes) -> Problem:
    """Say what a parser's error means, at its line and column."""
    conflict = re.search(_CONFLICT, data)
    if conflict is not None:
        line = data.count(b"\n", 0, conflict.start()) + 1
        hint = "decide which side of the merge is meant, and delete the lines with the markers"
        return Problem((), "git left a conflict marker here", hint, place=(line, 1))
    if isinstance(error, ReaderError):
        return _refused_character(error, data)
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem((), f"not YAML: {printable(str(error))[:200]}", place=(1, 1))
    problem = str(error.problem)
    line, column = at(error.problem_mark)
    if "cannot start any token" in problem or "tab character" in problem:
        return _bad_start(data, line, column)
    context = str(error.context or "")
    if "end of stream" in problem and error.context_mark is not None:
        line, column = at(error.context_mark)
    for part, message, hint in _MEANINGS:
        if part in problem or part in context:
            return Problem((), message, hint or _QUOTE_TEXT, place=(line, column))
    said = f"{context}: {problem}" if context else problem
    return Problem((), f"not YAML: {printable(said)}", place=(line, column))


def _refused_character(error: ReaderError, data: bytes) -> Problem:
    """Name a character that YAML does not allow anywhere."""
    code = int(error.character)
    before = data[: max(data.find(chr(code).encode("utf-8", "replace")), 0)]
    place = (
        before.count(b"\n") + 1,
        len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1,
    )
    return Problem(
        (), f"the character U+{code:04X} cannot stand in a YAML file", "delete it", place=place
    )


def _bad_start(data: bytes, line: int, column: int) -> Problem:
    """Explain a character that nothing can begin with: a tab, or one that needs quotes."""
    text = nth_line(data, line)
    indentation = text[: len(text) - len(text.lstrip())]
    if "\t" in indentation:
        place = (line, indentation.index("\t") + 1)
        return Problem(
            (),
            "the line is indented with a tab; YAML takes spaces only",
            "replace each tab by two spaces",
            place=place,
        )
    char = text[column - 1 : column]
    if char == "\t":
        return Problem(
            (),
            "a tab stands here; YAML takes spaces only",
            "replace the tab by a space",
            place=(line, column),
        )
    message = f"a value cannot begin with `{printable(char)}`"
    return Problem((), message, "put the value in quotes", place=(line, column))


def nth_line(data: bytes, line: int) -> str:
    """Give one line of a file, at most 10,000 bytes of it; empty when there is none."""
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
        if start == 0:
            return ""
    end = data.find(b"\n", start, start + 10_000)
    return data[start : end if end >= 0 else start + 10_000].decode("utf-8", "replace")
