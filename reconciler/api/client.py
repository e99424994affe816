"""The API over HTTP: the one module that knows httpx. Importing it costs a tenth of a second.

Promises: a create is one POST at most, and its end is told, never raised. Reads and lifecycle
calls are sent again a few times and then raise `ApiError`. No request takes longer than the
configured timeout, and none follows a redirect, because the token would go along. Proxies and
certificates come from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR) as
httpx reads them, but a server on this machine reached by http:// is never reached through a
proxy: the token would leave the machine in clear.
"""

from __future__ import annotations

import ssl
import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import httpx

from reconciler import __version__
from reconciler.api.exchange import Exchange
from reconciler.api.outcome import classify_response, is_rejection, spoken
from reconciler.api.privacy import Noting, Scrubber
from reconciler.api.reads import Answer, Failure, Reads
from reconciler.api.retry import Patience
from reconciler.model import LongBody
from reconciler.observed import Outcome, Rejected, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.api.config import ApiConfig
    from reconciler.ports import Clock

_LONGEST_OUTCOME = 4 * 2**20  # bytes; a 422 about 10,000 contacts fits
_LONGEST_READ = 32 * 2**20  # bytes of one page
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NEVER_COULD = (httpx.UnsupportedProtocol, httpx.InvalidURL)
_LEAST_SKEW = timedelta(seconds=5)
_PIECE = 64 * 2**10  # bytes of a body that are sent at once
_DEPTH = 20  # links followed in a chain of exceptions

_CHECK_PROXY = "check HTTPS_PROXY and NO_PROXY"
_CHECK_TLS = (
    "if a proxy or a private authority signs certificates here, set SSL_CERT_FILE to a file that "
    "holds its certificate"
)
_CHECK_SETUP = "check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY and NO_PROXY"
_CHECK_SUSPENSION = "was this machine suspended? run the same command again"
_STOPPED = Failure("stopped", retry=False, hint="run the command again")


class HttpBatchApi(Reads):
    """`reconciler.ports.BatchApi` over HTTP; a context manager, for many threads at once.

    `parallelism` is how many connections are kept open for reuse. Once `stop` is set, no create
    is sent any more (`Rejected`), reads fail with `ApiError`, also those under way, and lifecycle
    calls get one try. A create that was sent is waited for all the same.
    """

    def __init__(
        self,
        config: ApiConfig,
        *,
        parallelism: int = 4,
        clock: Clock,
        stop: threading.Event | None = None,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(
            organization_id=config.organization_id,
            clock=clock,
            stop=stop or threading.Event(),
            patience=patience or Patience(),
            scrub=Scrubber(config.token),
        )
        self._config = config
        self._parallelism = parallelism
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._skews: list[timedelta] = []

    @property
    def timeout(self) -> float:
        """How many seconds one request may take."""
        return self._config.timeout

    @property
    def skew(self) -> timedelta:
        """How far the API's clock was ahead of ours at its last answer; zero while it is not told.

        Read from the `Date` header, which counts whole seconds: a difference below five is zero.
        """
        return self._skews[-1] if self._skews else timedelta(0)

    @property
    def most_skew(self) -> timedelta:
        """How far it was ahead at most: one answer of a cache may tell a wrong time."""
        return max(self._skews, default=timedelta(0))

    @property
    def least_skew(self) -> timedelta:
        """How far it was ahead at least."""
        return min(self._skews, default=timedelta(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def create(self, body: bytes | LongBody, key: str, *, send_by: float | None = None) -> Outcome:
        """POST one batch, once; see `BatchApi.create`. What cannot be told is `Unknown`."""
        if self._stop.is_set():
            return Rejected("stopped before it was sent", retry=True)
        if not (key.isascii() and key.isprintable()):
            return Rejected("the key cannot stand in a header")
        try:
            return self._create(body, key, send_by)
        except Exception as error:  # noqa: BLE001 - the port promises an outcome, whatever happens
            return Unknown(f"the client failed: {type(error).__name__}")

    def _create(self, body: bytes | LongBody, key: str, send_by: float | None) -> Outcome:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        content: bytes | _Pieces = _Pieces(body)
        if isinstance(body, bytes) and len(body) <= _PIECE:
            content = body
        if isinstance(content, _Pieces):
            # Without it the body would go out in chunks, which not every server takes.
            try:
                headers["Content-Length"] = str(len(body))
            except OSError as error:
                return Rejected(f"the contacts cannot be read: {_why(error)}")
        made = self._request("POST", self._config.create_path, headers=headers, content=content)
        if isinstance(made, Failure):
            return Rejected(made.reason, hint=made.hint)
        exchange = self._exchange(made, _LONGEST_OUTCOME, pieces=content, send_by=send_by)
        scrub = self._scrubber(body, exchange)
        status = exchange.status
        if status is not None and (exchange.complete or is_rejection(status)):
            # A rejection counts even when its explanation broke off: the status line says it all.
            return classify_response(
                status, exchange.headers, exchange.body, now=self._clock.now(), scrub=scrub
            )
        if isinstance(content, _Pieces) and content.problem is not None and status is None:
            why = _why(content.problem)
            return Unknown(f"the contacts could not be read while they were sent: {why}")
        failure = self._failure(exchange, scrub)
        if status is not None or failure.left:
            return Unknown(failure.reason, status)
        return Rejected(
            failure.reason, retry=failure.retry, hint=failure.hint, too_late=failure.too_late
        )

    def _scrubber(self, body: bytes | LongBody, exchange: Exchange) -> Scrubber:
        """Give what keeps a request's people out of whatever was answered to it."""
        token = self._config.token
        if isinstance(body, bytes):
            return Scrubber(token, body)

        def spoken_of() -> frozenset[str]:
            # Of so many people only those are looked for whom the answer may speak of.
            noting = Noting()
            spoken(exchange.body, noting)
            noting.clean(str(exchange.error))
            return noting.spoken_of(body.contacts)

        return Scrubber(token, more=spoken_of)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        stoppable: bool,
        send_by: float | None = None,
    ) -> Answer | Failure:
        if stoppable and self._stop.is_set():
            return _STOPPED
        made = self._request(method, path, params=dict(query))
        if isinstance(made, Failure):
            return made
        stop = self._stop if stoppable else None
        exchange = self._exchange(made, _LONGEST_READ, stop, send_by=send_by)
        if exchange.complete and exchange.status is not None:
            return Answer(exchange.status, exchange.headers, exchange.body)
        return self._failure(exchange, self._scrub)

    def _request(self, method: str, path: str, **parts: Any) -> httpx.Request | Failure:
        """Build a request; nothing is sent while it is being built, so a failure stays here."""
        try:
            url = self._config.url + path
            return self._http().build_request(method, url, **parts)
        except Exception as error:  # noqa: BLE001 - certificates, proxies and headers each raise their own
            # The error's own text may hold a proxy's password or a header's value.
            reason = f"the request cannot be made: {type(error).__name__}"
            return Failure(reason, left=False, retry=False, hint=_CHECK_SETUP)

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                https = self._config.url.startswith("https://")
                self._client = httpx.Client(
                    headers={
                        "Authorization": f"Bearer {self._config.token}",
                        "User-Agent": f"call-batch-reconciler/{__version__}",
                        "Accept": "application/json",
                        # What is read is bounded; a compressed answer would grow after that.
                        "Accept-Encoding": "identity",
                    },
                    timeout=self._config.timeout,
                    # Callers bound how many requests run at once. A bound here would let an
                    # exchange that was given up take a place away from a live one.
                    limits=httpx.Limits(
                        max_connections=None, max_keepalive_connections=self._parallelism
                    ),
                    follow_redirects=False,
                    trust_env=https,
                    # Without TLS there is no certificate: loading the authorities takes longer
                    # than a small plan.
                    verify=https,
                )
            return self._client

    def _exchange(
        self,
        request: httpx.Request,
        limit: int,
        stop: threading.Event | None = None,
        pieces: object = None,
        send_by: float | None = None,
    ) -> Exchange:
        """Send a request once, and give what came of it by the deadline.

        `pieces`, where it is the request's body, is not read on once nobody waits any more.
        """
        elapsed = self._clock.elapsed
        over_at = elapsed() + self._config.timeout
        exchange = Exchange(
            limit,
            late=lambda: send_by is not None and elapsed() > send_by,
            over=lambda: elapsed() > over_at,
            has_body=pieces is not None,
        )
        if isinstance(pieces, _Pieces):
            pieces.exchange = exchange
        request.extensions["trace"] = exchange.trace
        client = self._http()

        def perform() -> None:
            response = client.send(request, stream=True)
            try:
                exchange.answered(response.status_code, dict(response.headers))
                for chunk in response.iter_bytes():
                    if not exchange.take(chunk):
                        break
            finally:
                response.close()

        exchange.run(perform, self._config.timeout, stop)
        self._note_date(exchange.headers.get("date"))
        return exchange

    def _note_date(self, date: str | None) -> None:
        try:
            date_told = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if date_told.tzinfo is not None:
            skew = date_told - self._clock.now()
            skew = skew if abs(skew) >= _LEAST_SKEW else timedelta(0)
            # The least, the most and the last are all that is ever asked for.
            told = [*self._skews, skew]
            self._skews = [min(told), max(told), skew]

    def _failure(self, exchange: Exchange, scrub: Scrubber) -> Failure:
        """Say why an exchange gave no whole answer, and whether the request stayed here for sure.

        Two witnesses must agree on that: the kind of error, and the steps the library reported.
        """
        error = exchange.error
        if exchange.held_back:
            reason = "its time was over before all of it was sent"
            return Failure(reason, left=exchange.sent, hint=_CHECK_SUSPENSION, too_late=True)
        if error is None:
            return self._unfinished(exchange)
        reason = f"{type(error).__name__}: {scrub.clean(str(error))}".removesuffix(": ")
        if exchange.sent:
            if isinstance(error, httpx.LocalProtocolError):
                # Its text may quote a header.
                return Failure(type(error).__name__)
            return Failure(reason)
        untrusted = _certificate_error(error)
        if untrusted is not None:
            reason = f"the certificate is not trusted: {scrub.clean(untrusted)}"
            return Failure(reason, left=False, retry=False, hint=_CHECK_TLS)
        if isinstance(error, httpx.ProxyError):
            # The proxy would not open the way; a login or a ban does not pass by itself.
            passing = str(error)[:1] == "5"
            return Failure(
                f"the proxy refused: {scrub.clean(str(error))}",
                left=False,
                retry=passing,
                hint=_CHECK_PROXY,
            )
        if isinstance(error, _NEVER_LEFT):
            return Failure(reason, left=False)
        if isinstance(error, _NEVER_COULD):
            return Failure(type(error).__name__, left=False, retry=False)
        return Failure(reason)

    def _unfinished(self, exchange: Exchange) -> Failure:
        """Say why an exchange without an error is not whole: too long, stopped, or too slow."""
        if exchange.too_long:
            return Failure("the answer is too long to be one", retry=False)
        if exchange.stopped:
            return _STOPPED
        seconds = f"{self._config.timeout:g} s"
        if exchange.connecting:
            return Failure(f"no connection within {seconds}", left=False)
        return Failure(f"no whole answer within {seconds}")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class _Pieces:
    """A long body as it goes out, each piece of it only if somebody still waits for the answer.

    `problem` is what kept it from being read to its end.
    """

    def __init__(self, body: bytes | LongBody) -> None:
        self._body = body
        self.exchange: Exchange | None = None
        self.problem: OSError | None = None

    def _cut(self) -> Iterator[bytes]:
        body = self._body
        if isinstance(body, LongBody):
            return iter(body)
        return (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._cut()
        while True:
            try:
                piece = next(pieces, None)
            except OSError as error:
                self.problem = error
                raise
            if piece is None:
                return
            if self.exchange is not None:
                self.exchange.require_wanted()
            yield piece


def _certificate_error(error: BaseException) -> str | None:
    """Find a failed certificate check below an error: httpx keeps only its text."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return link.verify_message or "certificate verify failed"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Follow an error to its origins: wrappers keep them as cause, context or argument."""
    waiting = [error]
    for _ in range(_DEPTH):
        if not waiting:
            return
        link = waiting.pop(0)
        yield link
        waiting.extend(
            origin
            for origin in (link.__cause__, link.__context__, *link.args)
            if isinstance(origin, BaseException)
        )
