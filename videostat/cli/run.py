"""Run a command: connect client, poll loop, signals, history, view and answers."""

from __future__ import annotations

import math
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from threading import Semaphore
from typing import TYPE_CHECKING

from videostat import waiting
from videostat.cli.heldjobs import Refusals
from videostat.cli.options import read_duration
from videostat.cli.signals import forward_signals
from videostat.errors import ExitCode, Interrupted, KeyMissing, OutputClosed, UsageError, VideostatError
from videostat.models import Job, State
from videostat.polling.options import Hint, Message, Phase, PollOptions
from videostat.render.answers import Answers
from videostat.render.messages import say
from videostat.render.notices import Notices
from videostat.render.summary import format_summary
from videostat.render.text import clean_text, format_job_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from videostat.cli.display import Display
    from videostat.cli.exec import Execution
    from videostat.cli.hearing import Hearing
    from videostat.cli.session import Session
    from videostat.config import Account
    from videostat.models import JobRef
    from videostat.render.log import ErrorsOnly
    from videostat.waiting import Saving


LATELY = timedelta(minutes=1)  # longer than the minimum interval of any service
WORKED = timedelta(days=30)  # an answer within this time proves that address and account are right


def choose_wait_options(
    session: Session,
    refs: list[JobRef],
    timeout: str | None,
    interval: str | None,
    parallel: int | None,
    *,
    quiet: bool = False,
) -> PollOptions:
    """Choose timeout and interval from options, configuration or the services' advice, in this order."""
    defaults = session.settings.defaults
    seconds = defaults.timeout if timeout is None else read_duration("--timeout", timeout)
    between = defaults.interval if interval is None else read_duration("--interval", interval)
    for name in dict.fromkeys(ref.provider for ref in refs):
        floor = session.client.get_account(name).provider.polling.floor
        if between is not None and between < floor and not quiet:
            asked = f"each job is asked about every {floor:g}s"
            say(f"videostat: an interval of {between:g}s is too short for {name}: {asked}")
    if seconds is None:
        seconds = waiting.find_longest_timeout(session.client, refs)
    return PollOptions(timeout=seconds, interval=between, parallel=parallel or defaults.parallel)


def choose_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code of a signal if there is one, else the smallest code except 0, else 0."""
    bad = set(codes) - {ExitCode.OK}
    signals = bad & {ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED}
    return min(signals or bad, default=ExitCode.OK)


def measure_age(job: Job, now: datetime) -> float:
    """Return the seconds since the service gave this answer; infinity if unknown."""
    return (now - job.seen_at).total_seconds() if job.seen_at else math.inf


def print_recalled(jobs: Iterable[Job], began: datetime) -> None:
    """Print which jobs were answered from the history."""
    recalled = [job for job in jobs if job.seen_at and job.seen_at < began and job.problem is None]
    if recalled:
        which = str(recalled[0].ref) if len(recalled) == 1 else format_job_count(len(recalled))
        seconds = max(measure_age(job, began) for job in recalled)
        say(f"videostat: {which}: answered from the history, seen {seconds:.0f}s ago (--no-history asks the service)")


def _find_keyless(accounts: Mapping[JobRef, Account]) -> dict[JobRef, Job]:
    """Return the jobs without a usable key; their problem says why."""
    refused = {}
    for ref, account in accounts.items():
        try:
            account.find_key()
        except VideostatError as error:
            refused[ref] = Job(ref=ref, problem=error, ended=True)
    return refused


@dataclass(frozen=True, kw_only=True)
class Run:
    """The jobs of one command. Iterate over it to get each job as it ends.

    `may_recall`: answer from the history if a running job was seen within the minimum interval of its service.
    `_waited`: the jobs that have not ended yet.
    """

    session: Session
    refs: list[JobRef]
    options: PollOptions
    view: ErrorsOnly
    saving: Saving | None = None
    execution: Execution | None = None
    may_recall: bool = False
    hearing: Hearing | None = None
    _waited: set[JobRef] = field(default_factory=set)

    def answer(self, display: Display) -> list[Job]:
        """Show each job as it ends, then a summary; return all jobs."""
        ended, began = [], self.session.clock.monotonic()
        answers = Answers(display.line, self.session.clock.now, self.refs)
        for job in self:
            ended.append(job)
            # Ctrl-C also ends the reader of our stdout: the hint on how to continue must still be printed.
            with suppress(*(OutputClosed, UsageError) if isinstance(job.problem, Interrupted) else ()):
                answers.show(job)
        is_left = any(isinstance(job.problem, Interrupted) for job in ended)
        with suppress(*(OutputClosed, UsageError) if is_left else ()):
            answers.finish()
        # Without a key there was no wait to sum up.
        if len(ended) > 1 and not display.quiet and not all(isinstance(job.problem, KeyMissing) for job in ended):
            say(format_summary(ended, self.session.clock.monotonic() - began))
        return ended

    def __iter__(self) -> Iterator[Job]:
        if not self.refs and not self.options.stays:
            return
        clock, history, view = self.session.clock, self.session.history, self.view
        accounts = {ref: self._get_account(ref) for ref in self.refs}
        addresses, since = {account.base_url for account in accounts.values()}, clock.now() - WORKED
        addresses |= self.hearing.addresses if self.hearing else set()
        worked = frozenset().union(*(history.find_answered(address, since) for address in addresses))
        history.add(self.refs, clock.now(), wanted=self.saving is not None)
        if self.saving:
            self.saving.note_recent(history)
        steps = self._make_steps()
        saved = {job.ref: job for job in self.saving.find_saved()} if self.saving else {}
        fresh = self._find_recent(accounts)
        for ref, seen in fresh.items():
            self.session.client.keep_floor(ref, measure_age(seen, clock.now()))
        recalled = fresh if self.may_recall else {}
        # A key command may ask for a passphrase: run it before the time limits of requests start.
        known = {*saved, *recalled}
        refused = _find_keyless({ref: account for ref, account in accounts.items() if ref not in known})
        ended = {**recalled, **refused}
        asked = [ref for ref in self.refs if ref not in ended]
        if not asked and not self.options.stays:
            yield from self._show_ended(ended, view.get_plain_view())
            return
        self._waited.update(asked)
        waits = self.options.attempts is None
        notices = Notices(clock, lambda ref: self._get_account(ref).provider.polling.usual, waits=waits)
        inbox: SimpleQueue[Message] = self.hearing.inbox if self.hearing else SimpleQueue()
        refusals = Refusals({ref: accounts[ref].key_group for ref in asked if ref not in saved})
        # While one file is written to the disk, the next one can be transferred.
        options = replace(
            self.options, steps=tuple(steps), parallel=2 * self.options.parallel, is_watched=view.is_watched
        )
        with forward_signals(inbox), self.execution or nullcontext(), self.hearing or nullcontext(), view:
            yield from self._show_ended(ended, view)
            for job in waiting.run(
                self.session.client,
                asked,
                steps,
                options,
                inbox=inbox,
                clock=clock,
                saved=saved,
                known={ref: replace(job, ended=False, poll_after=None) for ref, job in fresh.items()},
                worked=worked,
            ):
                if job:
                    self._record(job)
                # After the record, which shows whether a repeated delivery is about a job that has ended.
                self._take_announced(worked)
                if job is None:
                    view.tick()
                    continue
                for sentence in notices.check(job):
                    view.note(f"videostat: {sentence}")
                self._show_output(job.ref)
                yield from self._show(refusals.sort(job))

    def _record(self, job: Job) -> None:
        """Record a job, unless a kill now must make its command run again."""
        if job.ended:
            self._waited.discard(job.ref)
        is_command_due = self.options.stays and self.execution and job.state is State.SUCCEEDED
        if not (is_command_due and (not job.ended or isinstance(job.problem, Interrupted))):
            base_url = self._get_account(job.ref).base_url if job.seen_at else None
            self.session.history.update(job, self.session.clock.now(), base_url=base_url)

    def _show(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Show the state of the jobs; yield those that have ended."""
        for job in jobs:
            self.view.update(job)
            if job.ended:
                with self.view.release_screen():
                    yield job
                if self.options.stays and self.saving:
                    self.saving.transfers.pop(job.ref, None)

    def _show_output(self, ref: JobRef) -> None:
        if self.execution and (printed := self.execution.output.pop(ref, b"")):
            # The output may repeat text of a service: clean it.
            lines = printed.decode(errors="replace").splitlines()
            self.view.show_output([clean_text(line, longest=None) for line in lines])

    def _get_account(self, ref: JobRef) -> Account:
        return self.session.client.get_account(ref.provider)

    def _take_announced(self, worked: frozenset[JobRef]) -> None:
        """Show the notes about webhooks, and add the jobs that they have announced."""
        if not self.hearing:
            return
        for sentence in self.hearing.tick():
            self.view.note(f"videostat: {sentence}")
        newcomers = [*self.hearing.take_newcomers()]
        # Record a job in the history before its webhook is answered.
        is_recorded = self.session.history.add(
            [each.ref for each in newcomers], self.session.clock.now(), wanted=self.saving is not None
        )
        for newcomer in newcomers if is_recorded else ():
            newcomer.recorded.set()
        refs = [each.ref for each in newcomers if not self._is_finished(each.ref)]
        for target in self.session.client.make_targets(refs, worked) if refs else ():
            # The job may end before this message is read. A hint does not begin it once more.
            self.hearing.inbox.put(Hint((target.ref,)) if target.ref in self._waited else target)
            self._waited.add(target.ref)

    def _is_finished(self, ref: JobRef) -> bool:
        """Return whether a job has ended and, if videos are saved, has been saved before."""
        job = self.session.history.find_job(ref) or Job(ref=ref)
        return job.state.is_terminal and not (self.saving and job.state is State.SUCCEEDED and not job.saved)

    def _find_recent(self, accounts: Mapping[JobRef, Account]) -> dict[JobRef, Job]:
        """Return the running jobs seen within the minimum interval of their service."""
        history, now, found = self.session.history, self.session.clock.now(), {}
        for address in {account.base_url for account in accounts.values()}:
            for ref in history.find_answered(address, now - LATELY) & accounts.keys():
                known, floor = history.find_job(ref) or Job(ref=ref), accounts[ref].provider.polling.floor
                past = measure_age(known, now)
                if accounts[ref].base_url == address and known.exit_code is ExitCode.RUNNING and 0 <= past < floor:
                    left = max(known.poll_after or 0, floor) - past
                    found[ref] = replace(known, poll_after=left, ended=True)
        return found

    def _show_ended(self, jobs: Mapping[JobRef, Job], view: ErrorsOnly) -> Iterator[Job]:
        for job in jobs.values():
            view.update(job)
            with view.release_screen():
                yield job

    def _make_steps(self) -> dict[Phase, Callable[[Job], Job]]:
        steps: dict[Phase, Callable[[Job], Job]] = {}
        if self.saving:
            steps[Phase.SAVE] = partial(self.saving.save, slot=Semaphore(self.options.parallel))
        if self.execution:
            steps[Phase.EXEC] = self.execution.execute
        return steps
