"""The state of one job while it is waited for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.errors import VideostatError
from videostat.polling import course
from videostat.polling.options import Phase
from videostat.providers.base import REFUSALS, Meaning

if TYPE_CHECKING:
    from videostat.models import Job
    from videostat.polling.keygroups import Group
    from videostat.polling.options import Target

WITHOUT_URL = 3  # further looks at a succeeded job whose answer has no video


@dataclass(slots=True, eq=False)
class Task:
    """A job, its phase, and what has happened since its last good answer. Times are monotonic seconds.

    `worked`: it was answered, in this run (`answered`) or on an earlier day. `asked`: a request was sent. `is_ready`:
    it is queued; a task that was sent out of turn stays in the queue and is skipped there. `trouble`: the error of the
    last look. `refusal`: the last sure refusal. `doubt`: the job as an unsure word describes it. `turns`: how often it
    asked for its whole group. `held_until`: the end of a Retry-After. `hinted_at`: time of the last hint. `ran_at`:
    when the last look was sent that found it running. `seen`: when each meaning came first.
    """

    target: Target
    group: Group
    job: Job
    phase: Phase = Phase.LOOK
    worked: bool = False
    answered: bool = False
    asked: bool = False
    is_ready: bool = False
    trouble: VideostatError | None = None
    refusal: VideostatError | None = None
    doubt: Job | None = None
    attempts: int = 0
    turns: int = 0
    without_url: int = 0
    pause: float = 0
    held_until: float = -math.inf
    sent_at: float = math.inf
    hinted_at: float = -math.inf
    ran_at: float = math.inf
    joined_at: float = 0
    seen: dict[Meaning, float] = field(default_factory=dict)

    @property
    def ready_at(self) -> float:
        """Return when the floor and the last Retry-After allow the next look."""
        floor = self.group.heard_at.get(self.target.ref, -math.inf) + self.target.polling.floor
        return max(floor, self.held_until)

    def learn(self, outcome: Job | VideostatError, now: float, *, waits: bool) -> tuple[Meaning, course.Step]:
        """Learn from an outcome; return its meaning and the next step."""
        meaning, sure = course.classify_outcome(outcome)
        group, polling = self.group, self.target.polling
        meaning = course.settle(meaning, sure=sure, key_answered=group.answered, job_answered=self.answered)
        is_answer = course.is_answer(meaning, sure=sure)
        was_seen = self.seen.get(meaning)
        self._remember(outcome, meaning, now, sure=sure, is_answer=is_answer and meaning is not Meaning.MISSING)
        if isinstance(outcome, VideostatError):
            group.trouble = outcome
        group.on_answer(
            self.target.ref,
            meaning,
            now,
            sure=sure,
            is_answer=is_answer,
            floor=polling.floor,
            least=max(polling.every[0], polling.floor),
        )
        is_foreign = meaning is Meaning.FOREIGN
        if isinstance(outcome, VideostatError) and not outcome.hint:
            if is_foreign and group.sightings >= course.SIGHTINGS and not group.ever:
                outcome.hint = (
                    f"{course.SIGHTINGS} answers were not the service's: is {self.target.address} the right base_url?"
                )
            elif meaning is Meaning.MISSING and waits and was_seen is None:
                outcome.hint = f"Asked again for {course.SURE} seconds: a new id can take a moment to be known."
        is_old = was_seen is not None and (meaning is not Meaning.MISSING or now - was_seen >= course.SURE)
        past = course.Past(
            worked=self.worked if is_foreign and course.is_about_job(outcome) else group.ever,
            confirmed=is_old or not waits,
            final=isinstance(outcome, course.FINAL) if is_foreign else group.verdict == (now, outcome),
        )
        return meaning, course.decide(meaning, past, sure=sure)

    def _remember(
        self, outcome: Job | VideostatError, meaning: Meaning, now: float, *, sure: bool, is_answer: bool
    ) -> None:
        if is_answer:
            self.worked = self.answered = True
            self.trouble = self.refusal = None
            self.pause, self.held_until = 0, -math.inf
            # "Not ready" is an answer, but a command that looks only once must not look for ever.
            self.attempts = self.attempts if isinstance(outcome, VideostatError) else 0
            self.seen = {each: at for each, at in self.seen.items() if each is meaning}
        elif isinstance(outcome, VideostatError):
            self.trouble = outcome
            if sure and meaning in REFUSALS:
                self.refusal = outcome
        self.seen.setdefault(meaning, now)
        if sure or is_answer:
            self.doubt = None
        if not isinstance(outcome, VideostatError) and not sure and outcome.state.is_terminal:
            self.doubt = outcome

    def may_look_again(self) -> bool:
        """Tell whether another look may find the missing video, and count it."""
        if self.job.needs_url or self.job.video_url or self.job.saved:
            return False
        self.without_url += 1
        return self.without_url <= WITHOUT_URL

    def make_ending(self, *codes: int) -> course.Ending:
        """Return what is known at the deadline; `codes` are the group's exit codes."""
        limit = next((gate.limit for gate in self.group.gates.values() if gate.limit), None)
        return course.Ending(
            job=self.job,
            refusal=self.refusal,
            doubt=self.doubt,
            trouble=self.trouble or (None if self.asked or self.group.answered else limit),
            asked=self.asked,
            answered=self.answered,
            group_answered=self.group.answered,
            others=frozenset(codes),
        )
