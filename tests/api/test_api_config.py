from __future__ import annotations

import pytest

from reconciler.api.config import DEFAULT_URL, ApiConfig
from reconciler.errors import ReconcilerError, Refused, Usage

SECRET = "gat_s3cr3t"  # noqa: S105 - a test's token


def test_only_the_token_is_required() -> None:
    """Everything but the token has a default."""
    config = ApiConfig.from_environment({"GRAINE_API_KEY": SECRET})
    assert config == ApiConfig(DEFAULT_URL, SECRET, None, 60.0, "/batches/")


def test_space_around_values_is_dropped_and_blank_means_unset() -> None:
    """Secrets end in newlines, and workflows pass empty texts for what is not set."""
    config = ApiConfig.from_environment(
        {
            "GRAINE_API_KEY": f" {SECRET}\n",
            "GRAINE_API_URL": " https://api.example/v1// ",
            "GRAINE_ORG_ID": "  ",
            "GRAINE_TIMEOUT": " 2.5 ",
        },
        create_path="/batches/upload",
    )
    assert config == ApiConfig("https://api.example/v1", SECRET, None, 2.5, "/batches/upload")


def test_the_token_is_in_no_repr() -> None:
    """A config may be logged."""
    config = ApiConfig.from_environment({"GRAINE_API_KEY": SECRET})
    assert SECRET not in repr(config) + str(config)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="absent"),
        pytest.param(" \n", id="blank"),
        pytest.param("gat_s3 cr3t", id="space inside"),
        pytest.param("gat_s3\ncr3t", id="would split the header"),
        pytest.param("gat_s3\x00cr3t", id="control character"),
        pytest.param("gat_s3cr3t\u00e9", id="not ASCII"),
        pytest.param("Bearer gat_s3cr3t", id="copied with the scheme"),
        pytest.param('"gat_s3cr3t"', id="copied with quotes"),
    ],
)
def test_an_impossible_token_is_a_usage_error_that_does_not_show_it(token: str) -> None:
    """A token that no server can accept is said so before anything is sent."""
    with pytest.raises(Usage) as caught:
        ApiConfig.from_environment({"GRAINE_API_KEY": token})
    assert caught.value.hint
    assert "cr3t" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("api.example/v1", id="no scheme"),
        pytest.param("ftp://api.example", id="another scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://user:pass-word@api.example", id="userinfo"),
        pytest.param("https://127.0.0.1\\@evil.example", id="parsers disagree"),
        pytest.param("https://api.example/?a=1", id="query"),
        pytest.param("https://api.example/#x", id="fragment"),
        pytest.param("https://api.exa mple/", id="space"),
        pytest.param("https://api.example:99999/", id="port"),
        pytest.param("https://api.example:0/", id="port zero"),
        pytest.param("https://api.example/\n", id="only stripped by from_environment"),
    ],
)
def test_an_impossible_url_is_a_usage_error(url: str) -> None:
    """A URL that is none is said so, without showing a password in it."""
    with pytest.raises(Usage) as caught:
        ApiConfig(url, SECRET)
    assert caught.value.hint
    assert "pass-word" not in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("api.example", id="a name"),
        pytest.param("localhost.example", id="begins like localhost"),
        pytest.param("127.0.0.1.example", id="begins like loopback"),
        pytest.param("127.1", id="a spelling parsers read differently"),
        pytest.param("10.0.0.1", id="private is not loopback"),
        pytest.param("0.0.0.0", id="any address"),  # noqa: S104 - refused, not bound
        pytest.param("[::ffff:10.0.0.1]", id="mapped"),
    ],
)
def test_the_token_never_goes_in_clear_to_another_machine(host: str) -> None:
    """http:// is for this machine alone, however the config is made."""
    with pytest.raises(Refused) as caught:
        ApiConfig(f"http://{host}:8000/", SECRET)
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine_may_be_reached_in_clear(host: str) -> None:
    """The sandbox needs no certificate."""
    assert ApiConfig(f"http://{host}:8000/", SECRET).url == f"http://{host}:8000"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "1e9", "soon"])
def test_a_timeout_must_be_a_sane_number_of_seconds(timeout: str) -> None:
    """A wait that never ends, or never begins, is refused."""
    with pytest.raises(Usage, match="GRAINE_TIMEOUT"):
        ApiConfig.from_environment({"GRAINE_API_KEY": SECRET, "GRAINE_TIMEOUT": timeout})


@pytest.mark.parametrize("path", ["batches/", "/batches/?x=1", "/../batches", "//evil", ""])
def test_the_create_path_is_a_plain_path(path: str) -> None:
    """The path from the settings cannot lead elsewhere."""
    with pytest.raises(Usage):
        ApiConfig(DEFAULT_URL, SECRET, create_path=path)


def test_an_organisation_with_a_line_break_is_refused() -> None:
    """Two ids pasted at once are a slip."""
    with pytest.raises(ReconcilerError, match="GRAINE_ORG_ID"):
        ApiConfig.from_environment({"GRAINE_API_KEY": SECRET, "GRAINE_ORG_ID": "a\nb"})
