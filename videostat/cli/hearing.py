"""Receive webhooks during a wait and turn them into hints for the poll loop.

A knock is a delivery that we send to our own public address, to test it.
"""

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
from videostat.hooks.delivery import LEAST_ID, find_ids, find_senders
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

# Seconds between two knocks: a tunnel that has died is noticed after at most this time.
KNOCK_EVERY = 180
# Seconds for which the first look waits for the first knock.
FIRST_KNOCK = 3
# The most hints in the inbox; further ones would say nothing new.
MOST_HINTS = 1000


def check_url(url: str) -> str:
    """Return the public base address from --url; raises UsageError if it is invalid."""
    if not url.lower().startswith("https://"):
        raise UsageError(
            f"--url {url!a} does not begin with https://",
            hint="Services send webhooks only to https: --url https://videos.example.com",
        )
    return str(parse_value("--url", url, BASE_URL))


@dataclass(frozen=True)
class Newcomer:
    """A job that a webhook announced; `recorded`: it is in the history."""

    ref: JobRef
    recorded: Event = field(default_factory=Event)


class Hearing:
    """A webhook receiver for one run.

    The run reads `inbox` and calls `tick` several times a second.
    `addresses`: the base URLs of the services that may send webhooks.
    `public_base`: the public address of the receiver, tested by a knock every KNOCK_EVERY seconds.
    Raises UsageError if the receiver cannot listen on `address`.
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
        self._signers: dict[str, tuple[str | None, str | None]] = {}
        self._notes: SimpleQueue[str] = SimpleQueue()
        self._knocks: SimpleQueue[None] = SimpleQueue()
        self._knock_at = -math.inf if public_base else math.inf
        self._nonce, self._heard_nonce = "", ""
        self._is_door_open: bool | None = None
        self._has_refused = False
        self._receiver = Receiver(address, self._hear, is_healthy)
        self.url = join_url(public_base or self._receiver.address.origin, address.path)

    def expect(self, refs: Iterable[JobRef]) -> None:
        """Accept webhooks about these jobs."""
        for ref in refs:
            account = self._client.get_account(ref.provider)
            self._accept(account)
            self._groups[ref] = account.key_group
            self._refs[ref.id].append(ref)
        if short := ", ".join(ref_id for ref_id in self._refs if len(ref_id) < LEAST_ID):
            self._notes.put(
                f"webhooks are not recognised for ids of fewer than {LEAST_ID} characters: {short}; "
                "these jobs are asked about as usual"
            )

    def _accept(self, account: Account) -> None:
        """Accept webhooks from the service of this account, with its signature."""
        self.addresses.add(account.base_url)
        webhook = account.provider.webhook
        self._signers[account.key_group] = (webhook.signature if webhook else None, account.webhook_secret)

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

    def tick(self) -> Iterator[str]:
        """Yield the sentences to show; knock again when it is time."""
        self._knock_when_due()
        while not self._notes.empty():
            sentence = self._notes.get()
            if not self._quiet:
                yield sentence

    def take_newcomers(self) -> Iterator[Newcomer]:
        """Yield jobs to add to the run."""
        yield from ()

    def _hear(self, delivery: Delivery) -> bool:
        if self._nonce and find_ids(delivery, {self._nonce}):
            self._heard_nonce = self._nonce
            return True
        return self._handle(delivery, self._find_senders(delivery))

    def _find_senders(self, delivery: Delivery) -> set[str]:
        senders = find_senders(delivery, self._signers)
        if not senders and not self._has_refused:
            self._has_refused = True
            self._notes.put(
                "refused a delivery with a wrong signature. If the service sent it, correct webhook_secret: "
                "videostat config show says where it is set"
            )
        return senders

    def _handle(self, delivery: Delivery, senders: set[str]) -> bool:
        """Send a hint for the mentioned jobs; return False if the sender is unknown."""
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
        """Post to our public address, and check whether the delivery arrives here."""
        self._nonce = secrets.token_urlsafe(16)
        try:
            reason = f"another server answers there (HTTP {self._client.knock(self.url, self._nonce)})"
        except VideostatError as error:
            reason = str(error)
        finally:
            self._knock_at = self._clock.monotonic() + KNOCK_EVERY
        is_open = self._heard_nonce == self._nonce
        if is_open is not self._is_door_open:
            self.inbox.put(Door(is_open=is_open))
            self._notes.put(
                f"deliveries arrive through {self._base}: each job is checked once a minute, then less often"
                if is_open
                else f"no delivery can arrive through {self._base}: {reason}. Check that --url leads to --listen; "
                "jobs are asked about as usual"
            )
        self._is_door_open = is_open
        self._knocks.put(None)


def hear_webhooks(
    session: Session,
    refs: list[JobRef],
    listen: str | None,
    url: str | None,
    *,
    quiet: bool,
) -> Hearing:
    """Create the receiver that --listen and --url describe; raises UsageError."""
    if listen is None:
        raise UsageError("--url needs --listen", hint="Add --listen 8080")
    address, base = parse_address(listen), check_url(url) if url is not None else None
    hearing = Hearing(session, address, public_base=base, quiet=quiet)
    hearing.expect(refs)
    if address.is_path_made:
        say_address(hearing.url)
    return hearing
