"""Send webhooks as JoggAI does.

They are signed. A webhook that gets no 2xx answer is sent again, up to three times, every 5 seconds. Words in a job's
id change its webhooks: see jobs.py.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from videostat.errors import VideostatError
from videostat.hooks.delivery import sign
from videostat.polling.agenda import Agenda
from videostat.sandbox.jogg import make_announcement
from videostat.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from videostat.clock import Clock
    from videostat.sandbox.jobs import Job
    from videostat.sandbox.videos import Videos

SECRET = "whsec_sandbox-0001"  # noqa: S105 - not a real secret
RETRIES = 3
BETWEEN_ATTEMPTS = timedelta(seconds=5)
LATE = timedelta(seconds=20)
EARLY = 0.3  # of the job's duration

_FORGERS_SECRET = "whsec_nobody-knows"  # noqa: S105
_KEPT = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A webhook to send. `failures` counts the earlier attempts."""

    url: str
    content: Mapping[str, Any]
    secret: str = SECRET
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Posted:
    """A webhook that was sent. `status` is the HTTP status of the answer, None if there was no answer."""

    at: datetime
    delivery: Delivery
    status: int | None


def plan_deliveries(job: Job, content: Mapping[str, Any], url: str) -> Iterator[tuple[datetime, Delivery]]:
    """Yield each delivery for a job, with its time."""
    if "early" in job.words:
        yield job.submitted_at + EARLY * job.duration, Delivery(url, content, _FORGERS_SECRET)
    if job.words.isdisjoint({"lost", "stuck"}):
        for _ in range(2 if "twice" in job.words else 1):
            yield job.ended_at + LATE * ("late" in job.words), Delivery(url, content)


@dataclass(slots=True)
class Webhooks:
    """The sender of webhooks. It sends them to `url`, if there is one, and to the URLs of the job."""

    clock: Clock
    videos: Videos
    url: str | None = None
    posted: deque[Posted] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _inbox: SimpleQueue[tuple[datetime, Delivery] | None] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None
    _is_over: bool = False

    def announce(self, job: Job, urls: Iterable[str] = ()) -> None:
        """Plan the webhooks of a job. Skip a job that has ended, and a service without webhooks."""
        content = make_announcement(job, self.videos)
        if content is None or job.ended_at < self.clock.now():
            return
        for url in dict.fromkeys([*([self.url] if self.url else []), *urls]):
            for item in plan_deliveries(job, content, url):
                self._put(item)

    def stop(self) -> None:
        """Stop sending webhooks."""
        self._is_over = True
        self._inbox.put(None)
        if self._thread:
            self._thread.join()

    def _put(self, item: tuple[datetime, Delivery]) -> None:
        self._inbox.put(item)
        if not self._thread:
            self._thread = Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        agenda: Agenda[Delivery] = Agenda()
        while True:
            item = self.clock.wait(self._inbox, agenda.get_next_due() - self.clock.now().timestamp())
            if self._is_over:
                return
            if item:
                at, delivery = item
                agenda.put(delivery, at.timestamp())
            for due in agenda.take_due(self.clock.now().timestamp()):
                Thread(target=self._post, args=(due,), daemon=True).start()

    def _post(self, delivery: Delivery) -> None:
        body = json.dumps(delivery.content).encode()
        headers = {
            "User-Agent": "JoggAI-Webhook/2.0",
            "X-Webhook-Event": delivery.content["event"],
            "X-Webhook-Signature": sign(delivery.secret, body),
        }
        status = None
        with suppress(VideostatError, ValueError):  # no answer, or not a valid URL
            parts = urlsplit(delivery.url)
            site, target = f"{parts.scheme}://{parts.netloc}", urlunsplit(("", "", parts.path, parts.query, ""))
            # A Transport keeps the headers of an account. The signature differs each time, so use a new one.
            transport = Transport(self.clock.now)
            status = transport.ask("POST", site, target, headers, body=delivery.content).status
        now = self.clock.now()
        self.posted.append(Posted(now, delivery, status))
        is_accepted = status in range(200, 300)
        if not is_accepted and delivery.failures < RETRIES:
            self._put((now + BETWEEN_ATTEMPTS, replace(delivery, failures=delivery.failures + 1)))
