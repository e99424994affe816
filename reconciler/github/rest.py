"""The few calls to GitHub's REST API, over the standard library. The one door to GitHub.

Not httpx, whose one door is the batches API: these are a handful of small requests in a job that
has already done its work or has not begun it, and Python's own client is enough for them.

Promises, the same as for the batches API: the token never goes to an `http://` address of another
machine and never across a redirect (none is followed), it is in no message, no request waits for
ever, and what is read is bounded. Reads and changes that may be repeated are sent again a few
times; something new (a comment, an issue) is sent once, unless GitHub said "not now".
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from reconciler import __version__
from reconciler.api.config import is_loopback
from reconciler.errors import ReconcilerError, Refused, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

TIMEOUT = 30.0
"""Seconds without a word after which a request is given up."""
TRIES = 3
PAGE = 100
MOST_PAGES = 30
"""More than 3,000 comments on one pull request are not read."""
_LONGEST = 32 * 2**20  # bytes of one answer
_LONGEST_PAUSE = 30.0  # seconds; a job must not be held up for an hour by a rate limit
_API_VERSION = "2022-11-28"
_NOT_NOW = frozenset({403, 429})
_TROUBLE = frozenset({500, 502, 503, 504})
_HINTS = {
    401: "give the step a token: GITHUB_TOKEN: ${{ github.token }}",
    403: "give the job the permission it lacks: pull-requests, statuses or issues: write",
    404: "check GITHUB_REPOSITORY, and that the job's permissions include reading this",
}


class GitHubError(ReconcilerError):
    """GitHub said no, or gave no usable answer. `status` is None when there was no answer."""

    def __init__(self, message: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class _NoRedirects(HTTPRedirectHandler):
    """Leaves a redirect as the answer: the token must not go along."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


class GitHub:
    """One repository on GitHub. `repository` is `owner/name`, `url` the API's base address.

    Raises `Usage` for an address or a repository that can be none, and `Refused` for an address
    to which the token would travel in clear. `pause` waits, in seconds; tests pass their own.
    """

    def __init__(
        self, url: str, repository: str, token: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._url = _checked(url)
        parts = repository.split("/")
        if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - owner and name
            raise Usage(
                "GITHUB_REPOSITORY is not owner/name", hint="in GitHub Actions it is set already"
            )
        self._repository = "/repos/" + "/".join(quote(part, safe="") for part in parts)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Usage("GITHUB_TOKEN is not set, or is no token", hint=_HINTS[401])
        self._token = token
        self._pause = pause
        # A proxy is for addresses elsewhere: what is on this machine is reached directly.
        direct = urlsplit(self._url).scheme == "http"
        self._opener: OpenerDirector = build_opener(
            _NoRedirects(), *([ProxyHandler({})] if direct else [])
        )

    def get(self, path: str, **query: str) -> Any:
        """Read one thing below the repository. Raises `GitHubError`."""
        return self._ask("GET", self._repository + path, query=query)

    def pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Read a list through all its pages. Raises `GitHubError`, also when it has no end."""
        for page in range(1, MOST_PAGES + 1):
            rows = self.get(path, **query, per_page=str(PAGE), page=str(page))
            if not isinstance(rows, list):
                raise GitHubError(f"GitHub gave no list for {path}")
            yield from (row for row in rows if isinstance(row, dict))
            if len(rows) < PAGE:
                return
        raise GitHubError(f"GitHub's list for {path} has no end after {MOST_PAGES * PAGE} rows")

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Make something new below the repository. Raises `GitHubError`."""
        return self._ask("POST", self._repository + path, document=document, repeat=False)

    def patch(self, path: str, document: Mapping[str, Any]) -> Any:
        """Change something below the repository. Raises `GitHubError`."""
        return self._ask("PATCH", self._repository + path, document=document)

    def graphql(self, url: str, query: str, **variables: str) -> Any:
        """Ask what only GraphQL tells, and give `data`. Raises `GitHubError`."""
        document = {"query": query, "variables": variables}
        answer = self._ask("POST", "", document=document, base=_checked(url))
        if not isinstance(answer, dict) or answer.get("errors") or not answer.get("data"):
            raise GitHubError("GitHub's GraphQL gave no data")
        return answer["data"]

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
        repeat: bool = True,
        base: str | None = None,
    ) -> Any:
        url = (
            (self._url if base is None else base) + path + (f"?{urlencode(query)}" if query else "")
        )
        request = Request(  # noqa: S310 - the address was checked to be http(s)
            url,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "User-Agent": f"call-batch-reconciler/{__version__}",
                "X-GitHub-Api-Version": _API_VERSION,
            },
        )
        # "Unredirected": Python's client itself leaves it out of any request that follows.
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        what = f"{method} {path.removeprefix(self._repository) or 'GraphQL'}"
        for left in reversed(range(TRIES)):
            try:
                with self._opener.open(request, timeout=TIMEOUT) as response:
                    return _document(response, what)
            except HTTPError as error:
                with error:
                    wait = _wait(error, repeat=repeat, tried=TRIES - left)
                    if not left or wait is None:
                        raise _refusal(error, what) from error
            except (URLError, OSError) as error:
                reason = getattr(error, "reason", error)
                refused = isinstance(reason, ConnectionRefusedError)
                if not left or not (repeat or refused):
                    raise GitHubError(
                        f"GitHub could not be reached ({what}): {type(reason).__name__}",
                        hint="run the job again; check GITHUB_API_URL and HTTPS_PROXY",
                    ) from error
                wait = float(TRIES - left)
            self._pause(wait)
        raise AssertionError("the last try returns or raises")


def _checked(url: str) -> str:
    """Give an API's address without its last slash, or say why it is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise Usage(
            "the address of GitHub's API is no http(s) URL",
            hint="GITHUB_API_URL is https://api.github.com, and set already in GitHub Actions",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise Refused(
            f"the GitHub token would travel in clear to {parts.hostname}",
            hint="use https:// in GITHUB_API_URL",
        )
    return url.rstrip("/")


def _document(response: HTTPResponse, what: str) -> Any:
    data = response.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise GitHubError(f"GitHub's answer is too long to be one ({what})")
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise GitHubError(f"GitHub's answer is not JSON ({what})") from error


def _wait(error: HTTPError, *, repeat: bool, tried: int) -> float | None:
    """Say how many seconds to wait before asking again; None for not at all."""
    told = error.headers.get("retry-after", "")
    if error.code in _NOT_NOW and told.isdigit():
        return float(told) if float(told) <= _LONGEST_PAUSE else None
    if error.code in _TROUBLE and repeat:
        return float(tried)
    return None


def _refusal(error: HTTPError, what: str) -> GitHubError:
    said = ""
    with suppress(OSError, ValueError):
        document = json.loads(error.read(_LONGEST))
        said = str(document.get("message", "")) if isinstance(document, dict) else ""
    if error.code in range(300, 400):
        said, hint = "a redirect, which is not followed", "check GITHUB_API_URL, GITHUB_REPOSITORY"
    else:
        hint = _HINTS.get(error.code, "run the job again")
    flat = " ".join(said.split())[:200]
    return GitHubError(
        f"GitHub answered {error.code} to {what}{f': {flat}' if flat else ''}",
        status=error.code,
        hint=hint,
    )
