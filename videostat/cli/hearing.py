"""Hear webhooks while jobs are waited for: what comes in becomes a hint in the inbox of the loop."""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from videostat.config.file import BASE_URL, parse_value
from videostat.errors import UsageError, VideostatError
from videostat.hooks.address import join_url, parse_address
from videostat.hooks.delivery import find_ids, find_senders
from videostat.hooks.receiver import Receiver
from videostat.polling.options import Door, Hint
from videostat.render.messages import say_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from videostat.cli.session import Session
    from videostat.config import Account
    from videostat.hooks.address import Address
    from videostat.hooks.delivery import Delivery
    from videostat.models import JobRef
    from videostat.polling.options import Message

# Seconds between two knocks at our own public address: so long a tunnel can be dead before it is noticed.
KNOCK_EVERY = 180
# A first look does not wait longer for the first knock.
FIRST_KNOCK = 3
# Hints that nobody has heeded yet; more tell nothing new.
MOST_HINTS = 1000


def check_url(url: str) -> str:
    """Return the public base address that --url gives; raises UsageError."""
    if not url.lower().startswith("https://"):
        raise UsageError(f"--url {url!a} does not begin with https://", hint="Services deliver to https only.")
    return str(parse_value("--url", url, BASE_URL))


@dataclass(frozen=True)
class Newcomer:
    """A job that was announced; `recorded` is set when it is in the history."""

    ref: JobRef
    recorded: Event = field(default_factory=Event)


class Hearing:
    """A receiver for the jobs of one run, which listens to `inbox` and calls `turn` several times a second.

    `addresses`: where the services are that may deliver.
    `public_base`: the public address that leads to the receiver, tried from time to time by a delivery of our own.
    Raises UsageError if the address cannot be had.
    """

    def __init__(
        self,
        session: Session,
        address: Address,
        *,
        public_base: str | None = None,
        quiet: bool = False,
        is_healthy: Callable[[], bool] | None = None,
    ) -> None:
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self._client, self._clock = session.client, session.clock
        self._base, self._quiet = public_base, quiet
        self.addresses: set[str] = set()
        self._refs: dict[str, list[JobRef]] = defaultdict(list)
        self._groups: dict[JobRef, str] = {}
        self._locks: dict[str, tuple[str | None, str | None]] = {}
        self._notes: SimpleQueue[str] = SimpleQueue()
        self._knocks: SimpleQueue[None] = SimpleQueue()
        self._knock_at = -math.inf if public_base else math.inf
        self._nonce, self._heard_nonce = "", ""
        self._is_door_open: bool | None = None
        self._has_refused = False
        self._receiver = Receiver(address, self._hear, is_healthy)
        self.url = join_url(public_base or self._receiver.address.origin, address.path)

    def expect(self, refs: Iterable[JobRef]) -> None:
        """Hear what is said about these jobs."""
        for ref in refs:
            account = self._client.get_account(ref.provider)
            self._lock(account)
            self._groups[ref] = account.key_group
            self._refs[ref.id].append(ref)

    def _lock(self, account: Account) -> None:
        """Let in what the account's service can have sent."""
        self.addresses.add(account.base_url)
        webhook = account.provider.webhook
        self._locks[account.key_group] = (webhook.signature if webhook else None, account.webhook_secret)

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        if self._base:
            self._knock_when_due()
            ends = self._clock.monotonic() + FIRST_KNOCK
            while self._is_door_open is None and (left := ends - self._clock.monotonic()) > 0:
                self._clock.wait(self._knocks, left)
        return self

    def __exit__(self, *raised: object) -> None:
        self._receiver.__exit__(*raised)

    def turn(self) -> Iterator[str]:
        """Yield what there is to say; knock again when it is time."""
        self._knock_when_due()
        while not self._notes.empty():
            sentence = self._notes.get()
            if not self._quiet:
                yield sentence

    def newcomers(self) -> Iterator[Newcomer]:
        """Yield the jobs that are to be waited for from now on."""
        yield from ()

    def _hear(self, delivery: Delivery) -> bool:
        if self._nonce and find_ids(delivery, {self._nonce}):
            self._heard_nonce = self._nonce
            return True
        return self._heed(delivery, self._senders(delivery))

    def _senders(self, delivery: Delivery) -> set[str]:
        senders = find_senders(delivery, self._locks)
        if not senders and not self._has_refused:
            self._has_refused = True
            self._notes.put(
                "a delivery with a wrong signature was refused: is webhook_secret the secret of your endpoint?"
            )
        return senders

    def _heed(self, delivery: Delivery, senders: set[str]) -> bool:
        """Wake the looks at the jobs that a delivery mentions; return whether anybody can have sent it."""
        found = [ref for job_id in find_ids(delivery, self._refs) for ref in self._refs[job_id]]
        hint = Hint(tuple(ref for ref in found if self._groups[ref] in senders))
        if hint.refs and self.inbox.qsize() < MOST_HINTS:
            self.inbox.put(hint)
        return bool(senders)

    def _knock_when_due(self) -> None:
        if self._clock.monotonic() >= self._knock_at:
            self._knock_at = math.inf
            Thread(target=self._knock, name="knock", daemon=True).start()

    def _knock(self) -> None:
        """Post to our own public address, and see whether it comes in by our own door."""
        self._nonce = secrets.token_urlsafe(16)
        try:
            said = f"it leads to somebody else (HTTP {self._client.knock(self.url, self._nonce)})"
        except VideostatError as error:
            said = str(error)
        is_open = self._heard_nonce == self._nonce
        if is_open is not self._is_door_open:
            self.inbox.put(Door(is_open=is_open))
            self._notes.put(
                f"deliveries come in by {self._base}: looks are made every minute, and less often once one has come"
                if is_open
                else f"no delivery can come in by {self._base}: {said}; polling goes on as ever"
            )
        self._is_door_open = is_open
        self._knocks.put(None)
        self._knock_at = self._clock.monotonic() + KNOCK_EVERY


def hear_webhooks(
    session: Session,
    refs: list[JobRef],
    listen: str | None,
    url: str | None,
    *,
    quiet: bool = False,
) -> Hearing:
    """Return what --listen and --url ask for; raises UsageError."""
    if listen is None:
        raise UsageError("--url says where --listen can be reached from outside", hint="Add --listen 8080")
    address, base = parse_address(listen), check_url(url) if url is not None else None
    hearing = Hearing(session, address, public_base=base, quiet=quiet)
    hearing.expect(refs)
    if address.is_path_made:
        say_address(hearing.url)
    return hearing
