"""Ask services about jobs: Provider + Account + Transport -> Job."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

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
from videostat.models import Job, JobRef, State
from videostat.polling import course, poll
from videostat.polling.groups import Group
from videostat.polling.options import ATTEMPTS, Message, Phase, PollOptions, Reply, Target
from videostat.providers import reading
from videostat.providers.base import Meaning
from videostat.transport import Transport
from videostat.transport.tracing import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from videostat.config import Account
    from videostat.config.keys import Key
    from videostat.models import Link
    from videostat.providers.base import Answer, Page, Provider
    from videostat.transport import Body

PAGE_ATTEMPTS = 3
BETWEEN_PAGES = Backoff(first=1, longest=30)  # seconds; somebody is looking at the screen


class Client:
    """Ask about jobs, list them and open their videos; one may be shared by all threads."""

    def __init__(
        self,
        settings: Settings | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        *,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Read config.toml and the environment, and take a transport and a clock of its own, where none are given.

        `keys`: API keys by account, as in {"jogg": "..."}; they come before all that is configured. Raises ConfigError.
        `groups`: what each key has met, so that all waits of this client share its rates and pauses.
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
        self.clock = clock or Clock()
        self.groups: dict[str, Group] = {}

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
        provider, key = account.provider, account.key()
        endpoint = provider.video if job.needs_url and provider.video else provider.job
        try:
            answer = self._transport.ask(
                "GET", account.base_url, endpoint.path.format(id=job.ref.id), _auth(account, key)
            )
        except Redirected as error:
            if not endpoint.is_video or not reading.url(error.location):
                raise
            # The download step may also redirect to the file: its address goes without the key.
            return replace(job, state=State.SUCCEEDED, video_url=error.location, needs_url=False)
        try:
            found = understand(answer, job, provider)
        except KeyRefused as error:
            if account.renew(key):
                raise KeyChanged(f"{error}; there is another key now") from error
            raise
        account.worked(key)
        return with_whole_urls(found, account.base_url)

    def targets(self, refs: Iterable[JobRef], worked: Collection[JobRef] = ()) -> list[Target]:
        """What the poll loop must know of each job; `worked` were answered on an earlier day, at the same address."""
        accounts = {ref: self.account(ref.provider) for ref in refs}
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
        """Let the floor of a job run from a look so many seconds ago, which another process has made."""
        group = self.groups.setdefault(self.account(ref.provider).key_group, Group())
        with group.lock:
            group.heard_at.setdefault(ref, self.clock.monotonic() - seconds)

    def link(self, job: Job, number: int = 1, *, timeout: float = math.inf) -> Link:
        """Fetch a fresh address of a succeeded job's video, of several that of this number.

        Its looks keep to the floor and the pauses of all others.
        A job that runs again is waited for, `timeout` seconds; infinity is as long as one look takes. Raises what the
        job ends with, and NotSaved where there is no address any more.
        """
        account = self.account(job.ref.provider)
        wanted = replace(job, video_url=None, needs_url=account.provider.video is not None)
        inbox: SimpleQueue[Message] = SimpleQueue()

        def submit(_: Phase, job: Job) -> None:
            try:
                inbox.put(Reply(job.ref, self.look(job)))
            except Exception as error:  # noqa: BLE001 - the loop raises again what is not ours
                inbox.put(Reply(job.ref, error))

        options = PollOptions(attempts=ATTEMPTS) if math.isinf(timeout) else PollOptions(timeout=max(timeout, 1e-3))
        targets = [replace(target, known=wanted) for target in self.targets([job.ref])]
        polled = poll(targets, submit, inbox, self.clock, options, groups=self.groups)
        (ended,) = (found for found in polled if found and found.ended)
        if ended.problem:
            raise ended.problem
        if len(ended.links) < number:
            raise NotSaved(f"{account.provider.title} gives no address for its video")
        return ended.links[number - 1]

    def check(self, name: str) -> str:
        """Prove the key by one cheap request, and say where it was found; raises what is wrong."""
        account = self.account(name)
        try:
            if account.provider.listing:
                self.page(name, 1, size=1)
            else:
                self.look(Job(ref=JobRef(name, "videostat-check")))
        except NotFound as error:
            # Only the service's own code says that it has read the key; any server has a 404.
            if not error.sure or error.code in account.provider.vague:
                raise ServiceError(f"nothing proves the key: {error}", hint=error.hint, code=error.code) from error
        except Unreadable as error:
            error.hint = error.hint or f"No {account.provider.title} API at {account.base_url}? Check base_url."
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
        path, key = f"{listing.path}?page={number}&{listing.size_param}={size or listing.max_size}", account.key()
        answer = self._transport.ask("GET", account.base_url, path, _auth(account, key))
        page = listing.parse(name, answer.body) if course.is_ok(answer) else None
        if page is None:
            raise self._no_page(account, key, answer)
        account.worked(key)
        jobs = (with_whole_urls(replace(job, seen_at=answer.received_at), account.base_url) for job in page.jobs)
        return replace(page, jobs=tuple(jobs))

    def _no_page(self, account: Account, key: Key, answer: Answer) -> VideostatError:
        meaning, sure, _ = course.read(answer, account.provider, account.provider.job, "")
        error = course.refuse(answer, account.provider, meaning, "ID", sure=sure)
        if isinstance(error, KeyRefused) and account.renew(key):
            return KeyChanged(f"{error}; there is another key now")
        if isinstance(error, NotFound):
            # A list has no id that could be missing.
            return ServiceError(f"the service refuses to list: {error}", code=error.code)
        return error

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
        return self._transport.ask("POST", account.base_url, path, _auth(account, account.key()), body=body).body

    def open(self, ref: JobRef, url: str, headers: Mapping[str, str]) -> Body:
        """A job's video, from the address the service gave."""
        account = self.account(ref.provider)
        return self._transport.open(url, headers, base_url=account.base_url, auth=_auth(account, account.key()))


def understand(answer: Answer, job: Job, provider: Provider) -> Job:
    """The job as an answer to a look at it says; raises what errors.py draws. Pure."""
    endpoint = provider.video if job.needs_url and provider.video else provider.job
    meaning, sure, task = course.read(answer, provider, endpoint, job.ref.id)
    if task is None:
        raise course.refuse(answer, provider, meaning, job.ref.id, sure=sure)
    found = replace(endpoint.parse(job.ref, task), seen_at=answer.received_at)
    if endpoint.is_video:
        return _with_video(job, reading.with_video(found, task))
    found = replace(reading.settled(found, task, provider.words), sure=sure)
    kept, since = provider.retention.get(found.state), found.completed_at or found.created_at
    advice = provider.hints.get(Meaning.FAILED) if found.state is State.FAILED else None
    found = replace(found, kept_until=since + kept if since and kept else None, advice=advice)
    return replace(found, needs_url=True, error=None) if provider.video and found.state is State.SUCCEEDED else found


def with_whole_urls(job: Job, base_url: str) -> Job:
    """The job with addresses that can be asked: what a gateway writes about itself is read as its base URL.

    A public address comes before one that had to be corrected.
    """
    urls = [(url, _whole(url, base_url)) for url in (job.video_url, *job.alternative_urls) if url]
    first, *others = dict.fromkeys(whole for _, whole in sorted(urls, key=lambda each: each[0] != each[1])) or [None]
    return replace(
        job,
        video_url=first,
        alternative_urls=tuple(each for each in others if each),
        further_urls=tuple(_whole(url, base_url) for url in job.further_urls),
        thumbnail_url=job.thumbnail_url and _whole(job.thumbnail_url, base_url),
    )


def _whole(url: str, base_url: str) -> str:
    base = urlsplit(base_url)
    home = f"{base.scheme}://{base.netloc}"
    if url.startswith("/"):
        return f"{base.scheme}:{url}" if url.startswith("//") else home + url
    parts = urlsplit(url)
    is_lost = _is_loopback(parts.hostname) and not _is_loopback(base.hostname)
    is_home = parts.hostname == base.hostname and parts.scheme == "http" and base.scheme == "https"
    if is_lost or (is_home and parts.netloc.rpartition(":")[2] in {parts.netloc, "80", "443"}):
        return home + url.partition("://")[2][len(parts.netloc) :]
    return url


def _is_loopback(host: str | None) -> bool:
    try:
        address = ip_address(host or "")
    except ValueError:
        return (host or "").rstrip(".").endswith("localhost")
    return address.is_loopback or address.is_unspecified


def _with_video(job: Job, found: Job) -> Job:
    return replace(
        job,
        state=State.SUCCEEDED,
        video_url=found.video_url,
        alternative_urls=found.alternative_urls,
        further_urls=found.further_urls,
        expires_at=found.expires_at,
        seen_at=found.seen_at,
        needs_url=False,
    )


def _auth(account: Account, key: Key) -> dict[str, str]:
    auth = account.provider.auth
    return {auth.header: auth.prefix + key.value}
