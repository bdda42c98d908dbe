"""Wait for whatever webhooks announce, until a signal."""

from __future__ import annotations

import time
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from videostat.cli.hearing import MOST_HINTS, Hearing, Newcomer
from videostat.errors import UsageError, VideostatError
from videostat.hooks.address import MADE_PATH
from videostat.models import JobRef
from videostat.polling.options import NUDGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from videostat.cli.session import Session
    from videostat.hooks.address import Address
    from videostat.hooks.delivery import Delivery

# Seconds between two looks at the service's list, which shows what was announced and lost on its way.
LIST_EVERY = 600
# A service repeats a delivery that is not answered in 5 s: by then the job is recorded, or something is wrong.
RECORDED_WITHIN = 4
# The run gives us a turn several times a second.
UNHEALTHY_AFTER = 60


class Listening(Hearing):
    """A receiver whose deliveries become jobs."""

    def __init__(self, session: Session, names: list[str], address: Address) -> None:
        accounts = {name: session.client.get_account(name) for name in names}
        for name, account in accounts.items():
            if not account.provider.webhook:
                raise UsageError(f"{name} documents no webhooks", hint="It is polled: videostat wait --unfinished")
        is_open = [name for name, account in accounts.items() if not account.webhook_secret]
        if is_open and len(address.path) <= MADE_PATH:
            raise UsageError(
                f"without a webhook_secret for {is_open[0]}, the path needs {MADE_PATH} characters at least",
                hint="Leave the path out, and one is made.",
            )
        super().__init__(session, address, is_healthy=self._is_healthy)
        self._accounts = accounts
        for account in accounts.values():
            self._lock(account)
        self._arrived: SimpleQueue[Newcomer] = SimpleQueue()
        self._began_at = session.clock.now()
        self._list_at = session.clock.monotonic()
        self._turned_at = time.monotonic()

    def turn(self) -> Iterator[str]:
        self._turned_at = time.monotonic()
        if self._clock.monotonic() >= self._list_at:
            self._list_at = self._clock.monotonic() + LIST_EVERY
            Thread(target=self._look_at_lists, name="lists", daemon=True).start()
        yield from super().turn()

    def newcomers(self) -> Iterator[Newcomer]:
        while not self._arrived.empty():
            yield self._arrived.get()

    def _is_healthy(self) -> bool:
        return time.monotonic() - self._turned_at < UNHEALTHY_AFTER

    def _heed(self, delivery: Delivery, senders: set[str]) -> bool:
        content = delivery.content
        found = [
            Newcomer(JobRef(name, job_id))
            for name, account in self._accounts.items()
            if account.key_group in senders and account.provider.webhook
            if (job_id := account.provider.webhook.read(content))
        ]
        self._arrive(found)
        for newcomer in found:
            if not newcomer.recorded.wait(RECORDED_WITHIN):
                # Without an answer it is sent again.
                raise TimeoutError
        return bool(senders)

    def _arrive(self, newcomers: Iterable[Newcomer]) -> None:
        for newcomer in newcomers:
            if self._arrived.qsize() < MOST_HINTS:
                self._arrived.put(newcomer)
                self.inbox.put(NUDGE)

    def _look_at_lists(self) -> None:
        """Find what has ended since we began, whoever told us of it."""
        for name, account in self._accounts.items():
            if not account.provider.listing:
                continue
            try:
                jobs = self._client.fetch_page(name, 1).jobs
            except VideostatError as error:
                self._notes.put(f"the list of {name} could not be read, and is tried again in 10 minutes: {error}")
                continue
            for job in jobs:
                since = job.completed_at or job.created_at
                if job.state.is_terminal and since and since >= self._began_at:
                    self._arrive([Newcomer(job.ref)])
