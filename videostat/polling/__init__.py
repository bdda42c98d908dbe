"""Poll jobs until they end: send requests, receive replies, follow the course.

This package knows neither HTTP nor the screen. Its modules, in the order in which a job meets them: `options` (input
and messages), `task` (the state of one job), `agenda` (when each job is due), `sending` (which requests are due and
allowed), `keygroups` (what the jobs of one key have met), `pace` (how often a service is asked), `hints` (what webhooks
announce), `workers` (threads for the steps), `loop` (what follows a reply), `course` (the table that decides),
`ending` (how jobs end).
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from videostat.errors import Interrupted, Stopped
from videostat.polling.loop import Loop
from videostat.polling.options import Door, Hint, Reply, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from queue import SimpleQueue

    from videostat.clock import Clock
    from videostat.models import Job
    from videostat.polling.keygroups import Group
    from videostat.polling.options import Message, Phase, PollOptions


def poll(
    targets: Iterable[Target],
    submit: Callable[[Phase, Job], None],
    inbox: SimpleQueue[Message],
    clock: Clock,
    options: PollOptions,
    *,
    groups: dict[str, Group] | None = None,
    jitter: Callable[[], float] = random.random,
) -> Iterator[Job | None]:
    """Yield a Job for every answer.

    Several times a second it yields None, so that a view can draw. The last Job of each target has `ended=True`. A
    `problem` of an earlier one is temporary.

    `submit` starts a step and returns at once. Any thread then puts the outcome into `inbox` as a Reply. The inbox
    also takes a Hint (look at these jobs now), a Door (whether hints can come in), a Target (one more job) and a
    signal's number, which ends all jobs as interrupted. `groups`: what the key groups have met before, shared by all
    polls of one client. Raises again each exception of a step that is not a VideostatError.
    """
    loop = Loop(submit, clock, options, jitter, clock.monotonic() + (options.timeout or math.inf))
    groups = {} if groups is None else groups
    try:
        yield from loop.add_targets(targets, groups)
        while loop.tasks or options.stays:
            loop.send()
            item = loop.wait(inbox)
            match item:
                case int():
                    yield from loop.end_all(Interrupted(item))
                    if options.stays:
                        raise Interrupted(item)
                case Target():
                    yield from loop.add_targets([item], groups)
                case Reply():
                    yield from loop.receive(item)
                case Hint() | Door():
                    loop.apply_hint(item)
            if loop.is_tick(item):
                yield None
                # Only when the inbox is empty: an answer in it came in time, even if it is read late.
                yield from loop.end_at_deadline()
            yield from loop.wake()
    finally:
        # A caller who stops early must not leave places of the shared gates taken.
        loop.end_all(Stopped("the wait was left"))
