"""Receive webhooks for `videostat listen`: add the announced jobs to the run, until a signal."""

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

# Seconds between two requests for a service's list, which shows jobs whose webhook was lost.
LIST_EVERY = 600
# Seconds. A service repeats a delivery that has no answer after 5 s, so the job must be recorded before.
RECORDED_WITHIN = 4
# Seconds. The run calls `tick` several times a second.
UNHEALTHY_AFTER = 60


class Listening(Hearing):
    """A webhook receiver that adds the announced jobs to the run."""

    def __init__(self, session: Session, names: list[str], address: Address) -> None:
        accounts = {name: session.client.get_account(name) for name in names}
        for name, account in accounts.items():
            if not account.provider.webhook:
                raise UsageError(
                    f"{name} has no documented webhooks",
                    hint=f"To wait for its jobs: videostat wait --unfinished --provider {name}",
                )
        is_open = [name for name, account in accounts.items() if not account.webhook_secret]
        if is_open and len(address.path) <= MADE_PATH:
            raise UsageError(
                f"the path of --listen is too short: {is_open[0]} has no webhook_secret, so it needs at least "
                f"{MADE_PATH} characters",
                hint=f"For a secret path that videostat makes: --listen {address.origin.removeprefix('http://')}",
            )
        for account in accounts.values():
            account.find_key()  # without a key, no announcement could be checked
        super().__init__(session, address, is_healthy=lambda: time.monotonic() - self._ticked_at < UNHEALTHY_AFTER)
        self._accounts = accounts
        for account in accounts.values():
            self._accept(account)
        self._arrived: SimpleQueue[Newcomer] = SimpleQueue()
        self._began_at = session.clock.now()
        self._list_at = session.clock.monotonic()
        self._ticked_at = time.monotonic()

    def tick(self) -> Iterator[str]:
        """Yield the sentences to show; read the services' lists when it is time."""
        self._ticked_at = time.monotonic()
        if self._clock.monotonic() >= self._list_at:
            self._list_at = self._clock.monotonic() + LIST_EVERY
            Thread(target=self._read_lists, name="lists", daemon=True).start()
        yield from super().tick()

    def take_newcomers(self) -> Iterator[Newcomer]:
        """Yield the jobs that were announced since the last call."""
        while not self._arrived.empty():
            yield self._arrived.get()

    def _handle(self, delivery: Delivery, senders: set[str]) -> bool:
        content = delivery.content
        found = [
            Newcomer(JobRef(name, job_id))
            for name, account in self._accounts.items()
            if account.key_group in senders and account.provider.webhook
            if (job_id := account.provider.webhook.read(content))
        ]
        self._announce(found)
        for newcomer in found:
            if not newcomer.recorded.wait(RECORDED_WITHIN):
                # The service repeats a delivery that gets no answer.
                raise TimeoutError
        return bool(senders)

    def _announce(self, newcomers: Iterable[Newcomer]) -> None:
        for newcomer in newcomers:
            if self._arrived.qsize() < MOST_HINTS:
                self._arrived.put(newcomer)
                self.inbox.put(NUDGE)

    def _read_lists(self) -> None:
        """Add the listed jobs that have ended since the start, announced or not."""
        for name, account in self._accounts.items():
            if not account.provider.listing:
                continue
            try:
                jobs = self._client.fetch_page(name, 1).jobs
            except VideostatError as error:
                self._notes.put(f"cannot read the list of {name}, next try in 10 minutes: {error}")
                continue
            for job in jobs:
                since = job.completed_at or job.created_at
                if job.state.is_terminal and since and since >= self._began_at:
                    self._announce([Newcomer(job.ref)])
