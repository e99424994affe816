from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.render.escape import code, html_code, markdown, mermaid, printable, shortened
from tests.render.conftest import NASTY

GFM = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
"""What GitHub's renderer does to tables, HTML and emphasis."""
PIECES = ["www.", "http://a.b", "1. ", "- ", "# ", "<!--", "-->", "%%", "```", "_x_", "[a](b)"]
TEXT = st.lists(
    st.text(max_size=8)
    | st.text(st.sampled_from("|`*_~<>&@#$:!-+.)([]{}\\= \n\ta"), max_size=8)
    | st.sampled_from(PIECES),
    max_size=6,
).map("".join)


class Page(HTMLParser):
    """The text of a page and the tags in it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag, with its attributes if it has any."""
        self.tags.add(tag if not attrs else f"{tag} {attrs}")

    def handle_data(self, data: str) -> None:
        """Take in text."""
        self.text += data


def squeezed(text: str) -> str:
    """Give a text as a browser shows it: runs of spaces are one."""
    return " ".join(text.split())


@given(TEXT)
@example(NASTY)
@example("# heading")
@example("1) list")
def test_text_stays_text_in_a_list_a_table_and_a_sentence(text: str) -> None:
    """Rendered, escaped text shows exactly its letters; it makes no tag but the ones we put."""
    assume(printable(text))
    for before, after, tags in (
        ("- ", "", {"ul", "li"}),
        ("> [!WARNING]\n> - ", "", {"blockquote", "p", "ul", "li"}),
        ("| a |\n|:--|\n| ", " |", {"table", "thead", "tbody", "tr", "th", "td"}),
        ("x ", " y", {"p"}),
    ):
        page = Page(GFM.render(f"{before}{markdown(text)}{after}\n"))
        shown = squeezed(printable(text))
        assert shown in squeezed(page.text), before
        assert {tag.split()[0] for tag in page.tags} <= {*tags, "span"}, before
        assert not [tag for tag in page.tags if "href" in tag or "src" in tag]


@given(TEXT)
@example(NASTY)
def test_code_stays_text(text: str) -> None:
    """Code shows exactly its letters, in a table too."""
    for before, after, tags in (
        ("| a |\n|:--|\n| ", " |", {"table", "thead", "tbody", "tr", "th", "td"}),
        ("x ", " y", {"p"}),
    ):
        page = Page(GFM.render(f"{before}{code(text)}{after}\n"))
        assert squeezed(printable(text)) in squeezed(page.text)
        assert {tag.split()[0] for tag in page.tags} <= {*tags, "code"}


@given(TEXT)
@example(NASTY)
def test_code_in_html_stays_text(text: str) -> None:
    """In a summary, which is no markdown, it is text as well."""
    page = Page(f"<summary>{html_code(text)}</summary>")
    assert squeezed(page.text) == squeezed(printable(text))
    assert page.tags == {"summary", "code"}


@pytest.mark.parametrize(
    ("text", "kept", "reason"),
    [
        ("ask @team", "@team", "a mention notifies people"),
        ("see #123", "#123", "a reference shows up in that issue"),
        ("GH-123", "GH-123", "so does this form of it"),
        ("a :tada: b", ":tada:", "an emoji"),
        ("it is $a$ b", "$a$", "a formula"),
        ("http://example.com", "://", "a link"),
        ("www.example.com", "www.", "a link without a protocol"),
    ],
)
def test_what_github_looks_for_afterwards_is_not_there(text: str, kept: str, reason: str) -> None:
    """GitHub looks through the letters that its renderer made: a tag of its own keeps them apart.

    An entity would be a letter again by then.
    """
    shown = html.unescape(GFM.render(markdown(text)))
    assert kept not in shown, reason
    assert Page(shown).text.strip() == text


@given(TEXT)
@example(NASTY)
@example("section 1")
@example("%%{init: {}}%%")
def test_a_label_of_a_diagram_is_letters_and_codes(text: str) -> None:
    """Mermaid finds no separator, comment or keyword in it, and shows the text itself."""
    label = mermaid(text)
    assert re.fullmatch(r"(?:#\d+;(?:[\w\s/.,()+-]|#\d+;)*)?", label)
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) == printable(text)


@given(TEXT)
def test_nothing_is_invisible(text: str) -> None:
    """No control character, no direction mark, one line."""
    shown = printable(text)
    assert all(char.isprintable() for char in shown)
    assert "\n" not in shown


def test_what_is_cut_off_is_told() -> None:
    """Dots stand for the rest, within the length that was asked for."""
    assert shortened("abcdefgh", 8) == "abcdefgh"
    assert shortened("abcdefghi", 8) == "abcde..."
