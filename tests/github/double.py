"""A local double of the few calls to GitHub's API that are used, with its permissions.

A token is what a job gets (it writes as `github-actions[bot]`), with the permissions that the job
asked for. What a token may not do is answered as GitHub does.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = "acme/calls"
BOT = {"login": "github-actions[bot]", "type": "Bot"}


@dataclass
class Pull:
    """A pull request."""

    number: int
    head: str
    base: str = "main"
    fork: bool = False
    merge_commit: str | None = None
    merged_at: str | None = None
    commits: set[str] = field(default_factory=set)

    @property
    def row(self) -> dict[str, Any]:
        """The pull request as the API shows it."""
        repo = "stranger/calls" if self.fork else REPOSITORY
        return {
            "number": self.number,
            "state": "closed" if self.merged_at else "open",
            "merged_at": self.merged_at,
            "merge_commit_sha": self.merge_commit,
            "head": {"sha": self.head, "repo": {"full_name": repo}},
            "base": {"ref": self.base, "repo": {"full_name": REPOSITORY}},
        }


class GitHubDouble:
    """The API of one repository, on 127.0.0.1. Everything in it may be looked at and changed."""

    def __init__(self) -> None:
        self.pulls: dict[int, Pull] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.tokens: dict[str, Mapping[str, str]] = {}
        self.requests: list[tuple[str, str]] = []
        self.writes: list[tuple[str, str, Any]] = []
        self.broken: list[tuple[int, dict[str, str]]] = []
        """Answers to give instead, one after the other: status and headers."""
        self.lock = threading.RLock()
        self._numbers = iter(range(1, 10_000))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The API's base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, permissions: Mapping[str, str]) -> str:
        """Give a job's token with these permissions (`{"issues": "write"}`)."""
        name = f"ghs_{len(self.tokens)}"
        self.tokens[name] = dict(permissions)
        return name

    def number(self) -> int:
        """Give the next number; issues and pull requests share them."""
        return next(self._numbers)

    def comment(
        self, pull: int, body: str, user: Mapping[str, str], *, editor: str | None = None
    ) -> dict[str, Any]:
        """Put a comment there, as somebody."""
        number = self.number()
        self.comments[number] = {
            "id": number,
            "node_id": f"IC_{number}",
            "issue": pull,
            "body": body,
            "user": dict(user),
            "editor": editor,
            "html_url": f"https://github.example/{REPOSITORY}/pull/{pull}#{number}",
        }
        return self.comments[number]

    def comments_of(self, pull: int) -> list[str]:
        """Give the bodies of a pull request's comments, oldest first."""
        return [row["body"] for row in self.comments.values() if row["issue"] == pull]


def _may(permissions: Mapping[str, str], what: str, level: str) -> bool:
    given = permissions.get(what)
    return given == "write" or (level == "read" and given == "read")


def _handler(world: GitHubDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PATCH(self) -> None:
            self._serve("PATCH")

        def _serve(self, method: str) -> None:
            length = int(self.headers.get("content-length") or 0)
            sent = json.loads(self.rfile.read(length) or b"null")
            path = urlsplit(self.path).path
            with world.lock:
                world.requests.append((method, self.path))
                headers: dict[str, str] = {}
                if world.broken:
                    status, headers = world.broken.pop(0)
                    answer: Any = {"message": "broken on purpose"}
                else:
                    token = self.headers.get("authorization", "").removeprefix("Bearer ")
                    permissions = world.tokens.get(token)
                    if permissions is None:
                        status, answer = 401, {"message": "Bad credentials"}
                    else:
                        status, answer = _answer(world, method, self.path, sent, permissions)
                    if status < 300 and method != "GET" and path != "/graphql":
                        world.writes.append((method, path, sent))
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _answer(
    world: GitHubDouble, method: str, url: str, sent: Any, permissions: Mapping[str, str]
) -> tuple[int, Any]:
    parts = urlsplit(url)
    path = parts.path
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if path == "/graphql":
        row = next(
            (c for c in world.comments.values() if c["node_id"] == sent["variables"]["id"]), None
        )
        if row is None:
            return 200, {"data": {"node": None}}
        editor = row["editor"] and {"login": row["editor"].removesuffix("[bot]")}
        author = {"login": row["user"]["login"].removesuffix("[bot]")}
        node = {"author": author, "editor": editor, "lastEditedAt": editor and "2026-01-01"}
        return 200, {"data": {"node": node}}
    if not path.startswith(f"/repos/{REPOSITORY}/"):
        return 404, {"message": "Not Found"}
    path = path.removeprefix(f"/repos/{REPOSITORY}")
    for pattern, verb, needs, what in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and verb == method:
            level = "read" if method == "GET" else "write"
            if not any(_may(permissions, each, level) for each in needs):
                status = 404 if method == "GET" else 403
                return status, {"message": "Resource not accessible by integration"}
            answered: tuple[int, Any] = what(world, found, query, sent)
            return answered
    return 404, {"message": "Not Found"}


def _paged(rows: list[dict[str, Any]], query: Mapping[str, str]) -> tuple[int, Any]:
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    return 200, rows[size * (page - 1) : size * page]


def _comments(world: GitHubDouble, found: re.Match[str], query: Any, _: Any) -> tuple[int, Any]:
    rows = [row for row in world.comments.values() if row["issue"] == int(found[1])]
    return _paged(rows, query)


def _new_comment(world: GitHubDouble, found: re.Match[str], _: Any, sent: Any) -> tuple[int, Any]:
    if len(sent["body"]) > 65_536:
        return 422, {"message": "body is too long"}
    return 201, world.comment(int(found[1]), sent["body"], BOT)


def _edit_comment(world: GitHubDouble, found: re.Match[str], _: Any, sent: Any) -> tuple[int, Any]:
    if len(sent["body"]) > 65_536:
        return 422, {"message": "body is too long"}
    row = world.comments[int(found[1])]
    row.update(body=sent["body"], editor=BOT["login"])
    return 200, row


def _pulls_of(world: GitHubDouble, found: re.Match[str], _: Any, __: Any) -> tuple[int, Any]:
    return 200, [
        pull.row for pull in world.pulls.values() if found[1] in {pull.merge_commit, *pull.commits}
    ]


def _pulls(world: GitHubDouble, _: Any, query: Mapping[str, str], __: Any) -> tuple[int, Any]:
    rows = [
        pull.row
        for pull in world.pulls.values()
        if pull.row["state"] == query["state"] and pull.base == query["base"]
    ]
    return _paged(rows[::-1], query)


def _status(world: GitHubDouble, found: re.Match[str], _: Any, sent: Any) -> tuple[int, Any]:
    if len(sent["description"]) > 140:
        return 422, {"message": "description is too long"}
    world.statuses.append({"sha": found[1], **sent})
    return 201, {}


def _issues(world: GitHubDouble, _: Any, query: Mapping[str, str], __: Any) -> tuple[int, Any]:
    rows = [row for row in world.issues.values() if query["labels"] in row["labels"]]
    return _paged(rows, query)


def _new_issue(world: GitHubDouble, _: Any, __: Any, sent: Any) -> tuple[int, Any]:
    number = world.number()
    address = f"https://github.example/{REPOSITORY}/issues/{number}"
    row = {"number": number, "state": "open", "user": BOT, "html_url": address, **sent}
    world.issues[number] = row
    return 201, row


def _edit_issue(world: GitHubDouble, found: re.Match[str], _: Any, sent: Any) -> tuple[int, Any]:
    world.issues[int(found[1])].update(sent)
    return 200, world.issues[int(found[1])]


_ON_PULLS = ("pull-requests", "issues")
_ROUTES: tuple[tuple[str, str, tuple[str, ...], Any], ...] = (
    (r"/issues/(\d+)/comments", "GET", _ON_PULLS, _comments),
    (r"/issues/(\d+)/comments", "POST", _ON_PULLS, _new_comment),
    (r"/issues/comments/(\d+)", "PATCH", _ON_PULLS, _edit_comment),
    (r"/commits/([0-9a-f]+)/pulls", "GET", ("pull-requests",), _pulls_of),
    (r"/pulls", "GET", ("pull-requests",), _pulls),
    (r"/statuses/([0-9a-f]+)", "POST", ("statuses",), _status),
    (r"/issues", "GET", ("issues",), _issues),
    (r"/issues", "POST", ("issues",), _new_issue),
    (r"/issues/(\d+)", "PATCH", ("issues",), _edit_issue),
)
