"""Wire client, poll loop, signals, history, view and answers into one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING

from videostat import waiting
from videostat.cli.options import read_duration
from videostat.cli.signals import forward_signals
from videostat.errors import ExitCode, VideostatError
from videostat.polling.options import Phase, PollOptions, Reply
from videostat.render.messages import say, tell
from videostat.render.notices import Notices
from videostat.render.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from videostat.cli.exec import Execution
    from videostat.cli.save import Saving
    from videostat.cli.session import Session
    from videostat.models import Job, JobRef
    from videostat.render.answers import Answers
    from videostat.render.views import View


WORKED = timedelta(days=30)  # an answer that young says that the address and the account are right


def wait_options(
    session: Session, refs: list[JobRef], timeout: str | None, interval: str | None, *, quiet: bool = False
) -> PollOptions:
    """Choose timeout and interval from the options, else the configuration, else what the services advise."""
    defaults = session.settings.defaults
    seconds = defaults.timeout if timeout is None else read_duration(timeout)
    between = defaults.interval if interval is None else read_duration(interval)
    for name in dict.fromkeys(ref.provider for ref in refs):
        floor = session.client.account(name).provider.polling.floor
        if between is not None and between < floor and not quiet:
            say(f"videostat: {name} allows one look every {floor:g}s: using that")
    if seconds is None:
        seconds = waiting.advised_timeout(session.client, refs)
    return PollOptions(timeout=seconds, interval=between)


def worst_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the smallest code that is not 0; a signal's code comes before all others."""
    bad = set(codes) - {ExitCode.OK}
    signals = bad & {ExitCode.INTERRUPTED, ExitCode.TERMINATED}
    return min(signals or bad, default=ExitCode.OK)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Jobs on their way to their end. Iterate over it to get each one as it ends."""

    session: Session
    refs: list[JobRef]
    options: PollOptions
    view: View
    saving: Saving | None = None
    execution: Execution | None = None

    def answer(self, answers: Answers) -> list[Job]:
        """Show each job as it ends, and return them all."""
        ended = []
        for job in self:
            answers.show(job)
            ended.append(job)
        answers.finish()
        return ended

    def __iter__(self) -> Iterator[Job]:
        if not self.refs:
            return
        clock, history, view = self.session.clock, self.session.history, self.view
        accounts = {ref: self.session.client.account(ref.provider) for ref in self.refs}
        addresses, since = {account.base_url for account in accounts.values()}, clock.now() - WORKED
        worked = frozenset().union(*(history.answered(address, since) for address in addresses))
        history.add(self.refs, clock.now())
        steps = self._steps()
        saved = {job.ref: job for job in self.saving.already()} if self.saving else {}
        for account in {account.key_group: account for ref, account in accounts.items() if ref not in saved}.values():
            # A key command may ask for a passphrase: not while a look's seconds are counted. What is wrong with the
            # key, the look tells.
            with suppress(VideostatError):
                account.key()
        notices = Notices(clock, {ref: account.provider.polling.usual for ref, account in accounts.items()})
        inbox: SimpleQueue[Reply | int] = SimpleQueue()
        options = replace(self.options, steps=tuple(steps))
        with forward_signals(inbox), view:
            for job in waiting.run(
                self.session.client, self.refs, steps, options, inbox=inbox, clock=clock, saved=saved, worked=worked
            ):
                if job is None:
                    view.tick()
                    continue
                history.update(job, clock.now(), accounts[job.ref].base_url if job.seen_at else None)
                for sentence in notices.about(job):
                    view.note(f"videostat: {sentence}")
                view.update(job)
                if job.ended:
                    with view.aside():
                        self._show_output(job)
                        yield job

    def _steps(self) -> dict[Phase, Callable[[Job], Job]]:
        steps: dict[Phase, Callable[[Job], Job]] = {}
        if self.saving:
            steps[Phase.SAVE] = self.saving.save
        if self.execution:
            steps[Phase.EXEC] = self.execution.execute
        return steps

    def _show_output(self, job: Job) -> None:
        if self.execution and (printed := self.execution.output.pop(job.ref, b"")):
            # It may well repeat a service's text.
            tell("".join(f"{clean(line, longest=None)}\n" for line in printed.decode(errors="replace").splitlines()))
