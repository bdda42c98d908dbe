"""The three services, simulated over real HTTP on loopback, with their quirks: for demos, scripts and tests.

One port serves them all: JoggAI under /jogg, the gateway under /doubao, ReelBot under /reelbot, the videos
under /media. Every duration is in the Clock's seconds. What becomes of a job is written in its id: see jobs.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Self

from videostat.clock import Clock
from videostat.errors import UsageError
from videostat.sandbox.jobs import WORDS
from videostat.sandbox.orders import ORDERS
from videostat.sandbox.server import Server
from videostat.sandbox.services import DIALECTS, Services
from videostat.sandbox.videos import Videos, ensure_media
from videostat.sandbox.webhooks import SECRET, Webhooks

if TYPE_CHECKING:
    from collections import deque
    from types import TracebackType

    from videostat.sandbox.exchange import Request
    from videostat.sandbox.webhooks import Posted

__all__ = ["ORDERS", "WORDS", "Sandbox"]


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A server that runs while the `with` block does; port 0 takes any free one.

    `limits`: the services' rate limits hold. `fail_rate`: the share of their answers, 0 to 1, that are an error,
    a proxy's page or a cut connection instead, by the random numbers of `seed`. The videos: `url_lifetime` of their
    URLs in seconds, whether there are `ranges`, `cut_after` so many bytes each video's first transfer is cut,
    and at most `bytes_per_second`. `webhook`: the URL that is told when a JoggAI job has ended; a submitted body may
    name another as `webhook_url`. Raises UsageError if the port cannot be had.
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
                hint="Port 0 takes any free one.",
            ) from error
        self.port = self._server.server_port
        videos.base_url = self.base_url()
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._webhooks.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def requests(self) -> deque[Request]:
        """What was asked, the latest ten thousand."""
        return self._server.requests

    @property
    def errors(self) -> deque[BaseException]:
        """What the sandbox itself did wrong."""
        return self._server.errors

    @property
    def posted(self) -> deque[Posted]:
        """The webhooks that were sent, the latest ten thousand."""
        return self._webhooks.posted

    def base_url(self, service: str = "") -> str:
        return f"http://127.0.0.1:{self.port}" + (f"/{service}" if service else "")

    def key(self, service: str) -> str:
        return DIALECTS[service].key

    def exhausted_key(self, service: str) -> str:
        return DIALECTS[service].exhausted_key

    def environment(self) -> dict[str, str]:
        """The variables that point videostat's three accounts here."""
        return {
            f"VIDEOSTAT_{name.upper()}_{what}": value
            for name in DIALECTS
            for what, value in (("BASE_URL", self.base_url(name)), ("API_KEY", self.key(name)))
        } | {"VIDEOSTAT_JOGG_WEBHOOK_SECRET": SECRET}
