"""Fetch jobs, lists and videos from services, with the accounts and keys of the settings."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from videostat.client.answers import complete_urls, understand
from videostat.clock import Backoff, Clock
from videostat.config import Settings, load
from videostat.errors import (
    KeyChanged,
    KeyRefused,
    NotFound,
    NotSaved,
    Redirected,
    Retryable,
    ServiceError,
    Unreadable,
    UsageError,
    VideostatError,
)
from videostat.models import DOWNLOAD_AGAIN, Job, JobRef, State
from videostat.polling import course, poll
from videostat.polling.keygroups import Group
from videostat.polling.options import ATTEMPTS, Message, Phase, PollOptions, Reply, Target
from videostat.providers import reading
from videostat.transport import Transport
from videostat.transport.tracing import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from videostat.config import Account
    from videostat.config.keys import Key
    from videostat.models import Link
    from videostat.providers.base import Answer, Page
    from videostat.transport import Body

PAGE_ATTEMPTS = 3
BETWEEN_PAGES = Backoff(first=1, longest=30)  # seconds; a person waits for the list


class Client:
    """Fetch jobs, list them and open their videos. All threads may share one client.

    `groups`: what the jobs of each key have met, so that all waits of this client share its rates and pauses.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        *,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Read config.toml and the environment, unless `settings` are given. Raises ConfigError.

        `keys`: API keys by account, as in {"jogg": "..."}; they are used before any configured key.
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
        self._account = cache(settings.get_account)
        self.clock = clock or Clock()
        self.groups: dict[str, Group] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are open."""
        self._transport.close()

    def get_account(self, name: str) -> Account:
        """Return an account; raises ConfigError if it is unknown or has no base URL."""
        return self._account(name)

    def job(self, job: Job | JobRef | str) -> Job:
        """Fetch the job with its video's URL.

        That is one request, or two where the service gives the URL at another endpoint. `job`: a Job, a JobRef or
        "PROVIDER:ID". Raises VideostatError.
        """
        found = self.look(Job(ref=JobRef.of(job)))
        return self.look(found) if found.needs_url else found

    def look(self, job: Job) -> Job:
        """Fetch the job, or only its video's URL, with one request. Raises VideostatError."""
        account = self.get_account(job.ref.provider)
        provider, key = account.provider, account.find_key()
        endpoint = provider.video if job.needs_url and provider.video else provider.job
        try:
            answer = self._transport.ask(
                "GET", account.base_url, endpoint.path.format(id=job.ref.id), _make_auth_header(account, key)
            )
        except Redirected as error:
            if not endpoint.is_video or not reading.read_url(error.location):
                raise
            # The endpoint of the URL may redirect to the file itself. The key is not sent there.
            return replace(job, state=State.SUCCEEDED, video_url=error.location, needs_url=False)
        try:
            found = understand(answer, job, provider)
        except KeyRefused as error:
            if account.renew_key(key):
                raise KeyChanged(f"{error}; a new key was found and is used from now on") from error
            raise
        account.confirm_key(key)
        return complete_urls(found, account.base_url)

    def make_targets(self, refs: Iterable[JobRef], worked: Collection[JobRef] = ()) -> list[Target]:
        """Make targets for the poll loop; `worked`: jobs answered on an earlier day."""
        accounts = {ref: self.get_account(ref.provider) for ref in refs}
        names = {ref.provider for ref in worked}
        groups = {account.key_group for account in accounts.values() if {account.name, account.key_group} & names}
        return [
            Target(
                ref,
                account.key_group,
                account.provider.polling,
                account.max_requests_per_second,
                address=account.base_url,
                worked=ref in worked,
                account_worked=account.key_group in groups,
                announces=account.provider.webhook is not None,
            )
            for ref, account in accounts.items()
        ]

    def keep_floor(self, ref: JobRef, seconds: float) -> None:
        """Keep the floor of a job that another process looked at, `seconds` ago."""
        group = self.groups.setdefault(self.get_account(ref.provider).key_group, Group())
        with group.lock:
            group.heard_at.setdefault(ref, self.clock.monotonic() - seconds)

    def fetch_link(self, job: Job, number: int = 1, *, timeout: float = math.inf) -> Link:
        """Fetch a new URL of a job's video; `number` counts from 1.

        The looks keep to the floor and the pauses that hold for all jobs. If the job runs again, wait for it for
        `timeout` seconds; with infinity, look a few times only. Raises the problem with which the job ends, and
        NotSaved if the service gives no URL any more.
        """
        account = self.get_account(job.ref.provider)
        wanted = replace(job, video_url=None, needs_url=account.provider.video is not None)
        inbox: SimpleQueue[Message] = SimpleQueue()

        def submit(_: Phase, job: Job) -> None:
            try:
                inbox.put(Reply(job.ref, self.look(job)))
            except Exception as error:  # noqa: BLE001 - the loop raises it again unless it is a VideostatError
                inbox.put(Reply(job.ref, error))

        options = PollOptions(attempts=ATTEMPTS) if math.isinf(timeout) else PollOptions(timeout=max(timeout, 1e-3))
        targets = [replace(target, known=wanted) for target in self.make_targets([job.ref])]
        polled = poll(targets, submit, inbox, self.clock, options, groups=self.groups)
        (ended,) = (found for found in polled if found and found.ended)
        if ended.problem:
            raise ended.problem
        if len(ended.links) < number:
            raise NotSaved(f"{account.provider.title} returned no video URL", hint=DOWNLOAD_AGAIN)
        return ended.links[number - 1]

    def check(self, name: str) -> str:
        """Check an account's key with one cheap request, and return the source of the key; raises VideostatError."""
        account = self.get_account(name)
        try:
            if account.provider.listing:
                self.fetch_page(name, 1, size=1)
            else:
                self.look(Job(ref=JobRef(name, "videostat-check")))
        except NotFound as error:
            # Only an error code of the service shows that it has read the key. Any server can answer 404.
            if not error.sure or error.code in account.provider.vague:
                raise ServiceError(
                    f"cannot tell whether the key works: {error}", hint=error.hint, code=error.code
                ) from error
        except Unreadable as error:
            error.hint = error.hint or (
                f"Check base_url of {name}: {account.base_url} may not be an API of {account.provider.title}. "
                "See: videostat config show"
            )
            raise
        return account.find_key().source

    def fetch_page(self, name: str, number: int, size: int | None = None) -> Page:
        """Fetch one page of the service's list, newest jobs first.

        `number`: from 1. `size`: jobs on a page. Raises UsageError if the service has no list.
        """
        account = self.get_account(name)
        listing = account.provider.listing
        if listing is None:
            raise UsageError(
                f"{account.provider.title} cannot be listed: the service has no list",
                hint=f"What this machine has seen: videostat history --provider {name}",
            )
        path, key = f"{listing.path}?page={number}&{listing.size_param}={size or listing.max_size}", account.find_key()
        answer = self._transport.ask("GET", account.base_url, path, _make_auth_header(account, key))
        page = listing.parse(name, answer.body) if course.is_ok(answer) else None
        if page is None:
            raise self._refuse_page(account, key, answer)
        account.confirm_key(key)
        jobs = (complete_urls(replace(job, seen_at=answer.received_at), account.base_url) for job in page.jobs)
        return replace(page, jobs=tuple(jobs))

    def _refuse_page(self, account: Account, key: Key, answer: Answer) -> VideostatError:
        meaning, sure, _ = course.read(answer, account.provider, account.provider.job, "")
        error = course.make_error(answer, account.provider, meaning, "ID", sure=sure)
        if isinstance(error, KeyRefused) and account.renew_key(key):
            return KeyChanged(f"{error}; a new key was found and is used from now on")
        if isinstance(error, NotFound):
            # A list has no id, so "no such job" means something else here.
            return ServiceError(f"the service refuses to list: {error}", code=error.code)
        return error

    def list_jobs(
        self, name: str, sleep: Callable[[float], None] = time.sleep, wanted: int | None = None
    ) -> Iterator[tuple[Job, int | None]]:
        """Yield each job of the service's list once, with the total it claims.

        `wanted`: how many jobs the caller needs, None for all. A page is fetched when its first job is needed. New jobs
        push others to the next page; those are skipped there. A page that fails is fetched again, after a pause with
        `sleep`. Raises the errors of `fetch_page`.
        """
        seen: set[JobRef] = set()
        listing = self.get_account(name).provider.listing
        size = min(wanted or listing.max_size, listing.max_size) if listing else 1
        for number in count(1):
            try:
                found = self._fetch_page_with_retries(name, number, size, sleep)
            except (NotFound, ServiceError):
                # The service may refuse a page that is longer than the one in its documentation.
                if number > 1 or listing is None or size <= listing.documented_size:
                    raise
                size = listing.documented_size
                found = self._fetch_page_with_retries(name, number, size, sleep)
            fresh = {job.ref: job for job in found.jobs if job.ref not in seen}
            seen.update(fresh)
            for job in fresh.values():
                yield job, found.total
            # The total may be wrong, and the service may shorten its pages. Both signs together mean the end, and so
            # does a page without a new job.
            is_last = found.rows < size and found.total is not None and len(seen) >= found.total
            if is_last or not found.rows or (found.jobs and not fresh):
                return

    def _fetch_page_with_retries(self, name: str, number: int, size: int, sleep: Callable[[float], None]) -> Page:
        pause = 0.0
        for _ in range(1, PAGE_ATTEMPTS):
            try:
                return self.fetch_page(name, number, size)
            except Retryable as error:
                pause = BETWEEN_PAGES.lengthen(pause)
                wait = pause if error.retry_after is None else error.retry_after
                if wait > BETWEEN_PAGES.longest:
                    raise
                sleep(wait)
        return self.fetch_page(name, number, size)

    def knock(self, url: str, nonce: str) -> int:
        """Post to our own public address, and return the HTTP status; raises VideostatError."""
        site, slashes, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        return self._transport.ask("POST", site + slashes + host, slash + path, {}, body={"knock": nonce}).status

    def submit(self, name: str, path: str, body: Mapping[str, Any]) -> object:
        """Submit a job, and return the body of the service's answer."""
        account = self.get_account(name)
        return self._transport.ask(
            "POST", account.base_url, path, _make_auth_header(account, account.find_key()), body=body
        ).body

    def open(self, ref: JobRef, url: str, headers: Mapping[str, str]) -> Body:
        """Open a job's video at the URL that the service gave; raises VideostatError."""
        account = self.get_account(ref.provider)
        return self._transport.open(
            url, headers, base_url=account.base_url, auth=_make_auth_header(account, account.find_key())
        )


def _make_auth_header(account: Account, key: Key) -> dict[str, str]:
    auth = account.provider.auth
    return {auth.header: auth.prefix + key.value}
