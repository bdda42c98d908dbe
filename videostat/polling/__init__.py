"""Poll jobs until they end: send what is due, hear what comes back, apply what the course decides.

Knows neither HTTP nor the screen. The modules, in the order in which a job meets them: `options` (what is asked for),
`task` (what is known of one job), `sending` (what is due, and may be sent), `groups` (what a key has met) and `pace`
(how fast a service may be asked), `hints` (what webhooks have announced), `workers` (threads that do the steps),
`loop` (what comes back), `course` (what it means, and what to do).
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
    from videostat.polling.groups import Group
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
    """Yield a Job for every answer, and None on every idle tick, which is the moment to draw.

    The last Job of each target has `ended=True`. The problem of a job that has not ended is a passing one.

    `submit` starts a step and returns; its outcome is put into `inbox` as a Reply, by any thread. A number in the
    inbox is a signal: every job ends, interrupted. An exception that is not a VideostatError is raised again here.
    A Hint wakes looks, a Door says whether hints can come in, a Target is one job more.
    `groups`: what the key groups have met before, shared by all polls of one client.
    """
    loop = Loop(submit, clock, options, jitter, clock.monotonic() + (options.timeout or math.inf))
    groups = {} if groups is None else groups
    try:
        yield from loop.start(targets, groups)
        while loop.tasks or options.stays:
            loop.send()
            item = loop.wait(inbox)
            match item:
                case int():
                    yield from loop.end_all(Interrupted(item))
                    if options.stays:
                        raise Interrupted(item)
                case Target():
                    yield from loop.start([item], groups)
                case Reply():
                    yield from loop.receive(item)
                case Hint() | Door():
                    loop.heed(item)
            if loop.is_tick(item):
                yield None
                # Not before the inbox is empty: what is in it came in time, even if its turn comes late.
                yield from loop.end_at_deadline()
            yield from loop.wake()
    finally:
        # Whoever leaves early leaves no place taken.
        loop.end_all(Stopped("the wait was left"))
