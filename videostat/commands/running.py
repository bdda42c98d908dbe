"""The wiring: client, poll loop, workers, signals, history, view and answers become one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from types import MappingProxyType
from typing import TYPE_CHECKING

from videostat.commands.signals import signals_put_into
from videostat.configfile import parse_duration
from videostat.errors import VideostatError
from videostat.render.messages import say, tell
from videostat.render.notices import Notices
from videostat.render.text import clean
from videostat.render.views import View, view
from videostat.terms import Phase, Reply, Terms
from videostat.waiting import advised_timeout, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from videostat.commands.executing import Executing
    from videostat.commands.saving import Saving
    from videostat.commands.session import Session
    from videostat.models import Job, JobRef
    from videostat.render.answers import Answers


def terms_of(
    session: Session, refs: list[JobRef], timeout: str | None, interval: str | None, *, quiet: bool = False
) -> Terms:
    """How long to wait and how often to look: as the options say, else the configuration, else the services."""
    defaults = session.settings.defaults
    seconds = defaults.timeout if timeout is None else parse_duration(timeout)
    between = defaults.interval if interval is None else parse_duration(interval)
    for name in dict.fromkeys(ref.provider for ref in refs):
        floor = session.client.account(name).provider.polling.floor
        if between is not None and between < floor and not quiet:
            say(f"videostat: {name} allows one look every {floor:g}s: using that")
    if seconds is None:
        seconds = advised_timeout(session.client, refs)
    return Terms(timeout=seconds, interval=between)


def run(
    session: Session,
    refs: list[JobRef],
    steps: Mapping[Phase, Callable[[Job], Job]],
    terms: Terms,
    view: View,
    *,
    saved: Mapping[JobRef, Job] = MappingProxyType({}),
) -> Iterator[Job]:
    """Each job as it ends; what happens until then is the view's and the history's."""
    clock, history = session.clock, session.history
    history.add(refs, clock.now())
    accounts = {ref: session.client.account(ref.provider) for ref in refs}
    for account in {account.group: account for ref, account in accounts.items() if ref not in saved}.values():
        # A key command may ask for a passphrase: not while a look's seconds are counted. What is wrong, the look tells.
        with suppress(VideostatError):
            account.key()
    notices = Notices(clock, {ref: account.provider.polling.usual for ref, account in accounts.items()})
    inbox: SimpleQueue[Reply | int] = SimpleQueue()
    with signals_put_into(inbox), view:
        for job in drive(session.client, refs, steps, terms, inbox=inbox, clock=clock, saved=saved):
            if job is None:
                view.tick()
                continue
            history.update(job, clock.now())
            for sentence in notices.about(job):
                view.note(f"videostat: {sentence}")
            view.update(job)
            if job.ended:
                with view.aside():
                    yield job


def follow(
    session: Session,
    refs: list[JobRef],
    terms: Terms,
    *,
    doing: str,
    shown: Answers,
    quiet: bool = False,
    progress: bool = True,
    saving: Saving | None = None,
    execution: Executing | None = None,
) -> list[Job]:
    """Everything until the last job has ended, each answered as it ends."""
    steps: dict[Phase, Callable[[Job], Job]] = {}
    if saving:
        steps[Phase.SAVE] = saving.save
    if execution:
        steps[Phase.EXEC] = execution.execute
    terms = replace(terms, then=tuple(steps))
    saved = {job.ref: job for job in saving.already()} if saving else {}
    transfers = saving.transfers if saving else {}
    seen = view(doing, len(refs), terms.timeout, session.clock, quiet=quiet, progress=progress, transfers=transfers)
    ended = []
    for job in run(session, refs, steps, terms, seen, saved=saved) if refs else ():
        if execution and (printed := execution.output.pop(job.ref, b"")):
            # It may well repeat a service's text.
            tell("".join(f"{clean(line, longest=None)}\n" for line in printed.decode(errors="replace").splitlines()))
        shown.show(job)
        ended.append(job)
    shown.finish()
    return ended
