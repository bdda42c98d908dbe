"""The three services, simulated over HTTP on loopback, for demos, scripts and tests.

One port serves JoggAI under /jogg, the gateway new-api under /doubao, ReelBot under /reelbot and the videos under
/media. All durations are in the Clock's seconds. Words in a job's id decide what happens to the job: see jobs.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Self

from videostat.clock import Clock
from videostat.errors import UsageError
from videostat.sandbox.jobs import WORDS
from videostat.sandbox.server import Server
from videostat.sandbox.services import DIALECTS, ORDERS, Services
from videostat.sandbox.videos import Videos, ensure_media
from videostat.sandbox.webhooks import SECRET, Webhooks

if TYPE_CHECKING:
    from collections import deque

    from videostat.sandbox.exchange import Request
    from videostat.sandbox.webhooks import Posted

__all__ = ["ORDERS", "WORDS", "Sandbox"]


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A server that runs inside a `with` block. Raises UsageError if it cannot use the port.

    `port`: 0 takes any free port. `limits`: apply the services' rate limits. `fail_rate`: the share of requests,
    0 to 1, that get an error, a proxy's page or a cut connection; the same `seed` gives the same faults.
    `url_lifetime`: how long a video's URL works, in seconds. `ranges`: allow range requests for videos.
    `cut_after`: the number of bytes after which the first transfer of each video is cut. `bytes_per_second`: the
    highest speed of a transfer. `webhook`: the URL that gets a POST when a JoggAI job has ended; a submitted body can
    name one more as `webhook_url`.
    """

    clock: Clock = field(default_factory=Clock)
    port: int = 0
    limits: bool = False
    fail_rate: float = 0
    seed: int = 0
    url_lifetime: float = 3600
    ranges: bool = True
    cut_after: int | None = None
    bytes_per_second: int | None = None
    webhook: str | None = None
    _webhooks: Webhooks = field(init=False, repr=False)
    _server: Server = field(init=False, repr=False)
    _thread: Thread = field(init=False, repr=False)

    def start(self) -> Self:
        """Start the server. Raises UsageError if it cannot use the port."""
        ensure_media()
        videos = Videos(
            lifetime=self.url_lifetime,
            ranges=self.ranges,
            cut_after=self.cut_after,
            bytes_per_second=self.bytes_per_second,
        )
        self._webhooks = Webhooks(self.clock, videos, self.webhook)
        services = Services(
            videos=videos,
            webhooks=self._webhooks,
            began_at=self.clock.now(),
            limits=self.limits,
            fail_rate=self.fail_rate,
            seed=self.seed,
        )
        try:
            self._server = Server(self.port, self.clock, services.answer)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"port {self.port} cannot be used: {getattr(error, 'strerror', None) or error}",
                hint="Use another port, or port 0 for any free one.",
            ) from error
        self.port = self._server.server_port
        videos.base_url = self.get_base_url()
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop the server and close its connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._webhooks.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.stop()

    @property
    def requests(self) -> deque[Request]:
        """The requests that came, the latest ten thousand."""
        return self._server.requests

    @property
    def errors(self) -> deque[BaseException]:
        """The errors of the sandbox itself."""
        return self._server.errors

    @property
    def posted(self) -> deque[Posted]:
        """The webhooks that were sent, the latest ten thousand."""
        return self._webhooks.posted

    def get_base_url(self, service: str = "") -> str:
        """Return the address of a service, or of the whole sandbox."""
        return f"http://127.0.0.1:{self.port}" + (f"/{service}" if service else "")

    def get_key(self, service: str) -> str:
        """Return the API key that works at a service."""
        return DIALECTS[service].key

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make videostat use this sandbox."""
        return {
            f"VIDEOSTAT_{name.upper()}_{what}": value
            for name in DIALECTS
            for what, value in (("BASE_URL", self.get_base_url(name)), ("API_KEY", self.get_key(name)))
        } | {"VIDEOSTAT_JOGG_WEBHOOK_SECRET": SECRET}
