"""Ask services about jobs: Provider + Account + Transport -> Job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from videostat.clock import Backoff
from videostat.config import Settings, load
from videostat.errors import NotFound, NotSaved, Retryable, ServiceError, UsageError
from videostat.models import Job, JobRef
from videostat.transport import Transport
from videostat.transport.tracing import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.config import Account
    from videostat.models import Link
    from videostat.providers.base import Page
    from videostat.transport import Body

PAGE_ATTEMPTS = 3
BETWEEN_PAGES = Backoff(first=1, longest=30)  # seconds; somebody is looking at the screen


class Client:
    """Ask about jobs, list them and open their videos; one may be shared by all threads."""

    def __init__(
        self,
        settings: Settings | None = None,
        transport: Transport | None = None,
        *,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Read config.toml and the environment, and open a transport of its own, where none are given.

        `keys`: API keys by account, as in {"jogg": "..."}; they come before all that is configured. Raises ConfigError.
        """
        if not isinstance(settings, Settings | None):
            raise TypeError('settings are what config.load() returns; keys are given as keys={"jogg": "..."}')
        if keys is not None and settings is not None:
            raise TypeError("a Client takes settings or keys, not both")
        if keys is not None and not isinstance(keys, Mapping):
            raise TypeError(f'keys are a mapping such as {{"jogg": "..."}}, not {type(keys).__name__}')
        if settings is None:
            settings = load(keys=keys or {})
            for warning in settings.warnings:
                LOG.warning("%s", warning)
        self._transport = transport or Transport(lambda: datetime.now(UTC))
        self._account = cache(settings.account)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are open."""
        self._transport.close()

    def account(self, name: str) -> Account:
        """Return the account of that name; raises ConfigError for an unknown one and for a missing base URL."""
        return self._account(name)

    def job(self, job: Job | JobRef | str) -> Job:
        """Fetch the whole job, its video's URL included: one request, two where the service keeps the URL elsewhere.

        `job`: a JobRef or "PROVIDER:ID". Raises whatever errors.py draws.
        """
        found = self.look(Job(ref=JobRef.of(job)))
        return self.look(found) if found.needs_url else found

    def look(self, job: Job) -> Job:
        """The job as it is now, by one request: its URL, if that is all that is missing.

        Raises whatever errors.py draws.
        """
        account = self.account(job.ref.provider)
        provider = account.provider
        endpoint = provider.video if job.needs_url and provider.video else provider.job
        answer = self._transport.ask("GET", account.base_url, endpoint.path.format(id=job.ref.id), _auth(account))
        found = endpoint.parse(job.ref, answer)
        if job.needs_url:
            return replace(
                job,
                video_url=found.video_url,
                alternative_urls=found.alternative_urls,
                further_urls=found.further_urls,
                expires_at=found.expires_at,
                needs_url=False,
            )
        since, kept = found.completed_at or found.created_at, provider.retention.get(found.state)
        return replace(found, seen_at=answer.received_at, kept_until=since + kept if since and kept else None)

    def check(self, name: str) -> str:
        """Prove the key by one cheap request, and say where it was found; raises what is wrong."""
        account = self.account(name)
        if account.provider.listing:
            self.page(name, 1, size=1)
        else:
            try:
                self.look(Job(ref=JobRef(name, "videostat-check")))
            except NotFound as error:
                # Only the service's own code says that it has read the key; any server has a 404.
                if error.code is None:
                    raise
        return account.key().source

    def page(self, name: str, number: int, size: int | None = None) -> Page:
        """One page of what the service lists, from 1, the newest jobs first; raises UsageError if it lists none."""
        account = self.account(name)
        listing = account.provider.listing
        if listing is None:
            raise UsageError(
                f"{account.provider.title} cannot be listed: the service has no list",
                hint=f"What this machine has seen: videostat history --provider {name}",
            )
        path = f"{listing.path}?page={number}&{listing.size_param}={size or listing.max_size}"
        return listing.parse(name, self._transport.ask("GET", account.base_url, path, _auth(account)))

    def list_jobs(
        self, name: str, sleep: Callable[[float], None] = time.sleep, wanted: int | None = None
    ) -> Iterator[tuple[Job, int | None]]:
        """Yield each job of the service's list once, with the total the service claims.

        `wanted`: how many will be taken, None for all; a page is no longer than that. Pages are asked for as they are
        needed. Jobs created meanwhile push others to the next page, where they are skipped. A page that fails for a
        while is asked for again, `sleep` waits between. Raises what `page` raises.
        """
        seen: set[JobRef] = set()
        listing = self.account(name).provider.listing
        size = min(wanted or listing.max_size, listing.max_size) if listing else 1
        for number in count(1):
            try:
                found = self._page_with_retries(name, number, size, sleep)
            except (NotFound, ServiceError):
                # It may take no more than its documentation shows.
                if number > 1 or listing is None or size <= listing.documented_size:
                    raise
                size = listing.documented_size
                found = self._page_with_retries(name, number, size, sleep)
            fresh = {job.ref: job for job in found.jobs if job.ref not in seen}
            seen.update(fresh)
            for job in fresh.values():
                yield job, found.total
            # A total may be wrong either way, and a page shorter than was asked for may be the longest there is: both
            # together are the end, and a page without news whatever they say.
            is_last = found.rows < size and found.total is not None and len(seen) >= found.total
            if is_last or not found.rows or (found.jobs and not fresh):
                return

    def _page_with_retries(self, name: str, number: int, size: int, sleep: Callable[[float], None]) -> Page:
        pause = 0.0
        for _ in range(1, PAGE_ATTEMPTS):
            try:
                return self.page(name, number, size)
            except Retryable as error:
                pause = BETWEEN_PAGES.after(pause)
                wait = pause if error.retry_after is None else error.retry_after
                if wait > BETWEEN_PAGES.longest:
                    raise
                sleep(wait)
        return self.page(name, number, size)

    def knock(self, url: str, nonce: str) -> int:
        """Post a delivery to an address that should be ours, and return the HTTP status; raises what is wrong."""
        site, slashes, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        return self._transport.ask("POST", site + slashes + host, slash + path, {}, body={"knock": nonce}).status

    def submit(self, name: str, path: str, body: Mapping[str, Any]) -> object:
        """Order a video; the service's answer, as it is."""
        account = self.account(name)
        return self._transport.ask("POST", account.base_url, path, _auth(account), body=body).body

    def link(self, job: Job, number: int = 1) -> Link:
        """Ask for a fresh address of a succeeded job's video, of several that of this number.

        Raises NotSaved where there is none any more.
        """
        account = self.account(job.ref.provider)
        links = self.look(replace(job, needs_url=account.provider.video is not None)).links
        if len(links) < number:
            raise NotSaved(f"{account.provider.title} gives no address for its video")
        return links[number - 1]

    def open(self, ref: JobRef, url: str, headers: Mapping[str, str]) -> Body:
        """A job's video, from the address the service gave."""
        account = self.account(ref.provider)
        return self._transport.open(url, headers, base_url=account.base_url, auth=_auth(account))


def _auth(account: Account) -> dict[str, str]:
    auth = account.provider.auth
    return {auth.header: auth.prefix + account.key().value}
