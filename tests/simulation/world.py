"""Play the services, their store and the disk, and record the answers: the transport of a Client."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import sqlite3
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import faults
from fakes import api_answer
from loopback import Request

from simulation.answers import MEDIA, SAYINGS, Said
from simulation.time import Killed, Time
from videostat.errors import Redirected, Unreachable, VideostatError
from videostat.models import JobRef
from videostat.polling.options import Phase
from videostat.providers import PROVIDERS
from videostat.providers.base import Meaning
from videostat.transport.headers import read_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulation.story import Event, Plan, Story
    from videostat.providers.base import Answer

KEY, NEW_KEY = "key-of-the-simulation", "another-key-of-it"
GATEWAY = "https://gateway.example"
RUNNING = {"jogg": "processing", "doubao": "IN_PROGRESS", "reelbot": "processing"}
SUCCESS = {"jogg": "success", "doubao": "SUCCESS", "reelbot": "completed"}
FAILED = {"jogg": "failed", "doubao": "FAILURE", "reelbot": "failed"}


class Heard(NamedTuple):
    """One request and its answer. `run`: the number of the run. `has_url`: the answer has the URL of the video."""

    run: int
    sent: float
    at: float
    job: int
    phase: Phase
    meaning: Meaning
    sure: bool
    has_url: bool = False
    wait: float | None = None


class Response(NamedTuple):
    """An answer and its meaning."""

    said: Said
    meaning: Meaning
    sure: bool = False
    has_url: bool = False
    wait: float | None = None


class Body:
    """The answer of a store, in pieces and with pauses; see saving.attempt.Body."""

    def __init__(self, time: Time, answer: faults.Answer, pause: float) -> None:
        self._time, self._answer, self._pause = time, answer, pause
        self.status, self.headers = answer.status, answer.headers
        length = answer.headers.get("content-length")
        self._left = math.inf if length is None else int(length)
        self._body = answer.body[: None if length is None else int(length)][: answer.sent]
        self.retry_after = read_retry_after(self.headers, time.now())

    @property
    def end_is_known(self) -> bool:
        return self._answer.is_chunked or not self._left

    def read1(self, size: int) -> bytes:
        self._time.sleep(self._pause)
        piece, self._body = self._body[: min(size, 700)], self._body[700:]
        self._left -= len(piece)
        is_cut = self._answer.sent is not None and not piece
        if is_cut and self._answer.end == "hang":
            self._time.sleep(30)
        if is_cut and (self._answer.end != "close" or self._answer.is_chunked):
            raise Unreachable("the connection was lost")
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass


@dataclass
class World:
    """Everything outside the program. `heard`: all answers; `latency`: how many seconds the last one took."""

    story: Story
    time: Time
    run: int = 0
    heard: list[Heard] = field(default_factory=list)
    latency: float = 0
    steps: int = 0
    on_request: Callable[[JobRef], None] = lambda ref: None
    kill: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._paths = {}
        for number, plan in enumerate(self.story.jobs):
            provider = PROVIDERS[plan.provider]
            base = provider.base_url or GATEWAY
            self._paths[base, provider.job.path.format(id=plan.id)] = (number, Phase.LOOK)
            if provider.video:
                self._paths[base, provider.video.path.format(id=plan.id)] = (number, Phase.URL)

    # The services

    def ask(self, method: str, base_url: str, path: str, auth: Mapping[str, str], **_: object) -> Answer:
        """Answer a look as the transport would; a turn waits for it, the main thread gets it `latency` later."""
        number, phase = self._paths[base_url, path]
        plan, sent = self.story.jobs[number], self.time.time
        self.on_request(JobRef(plan.provider, plan.id))
        chance = Random(f"{self.story.seed} {number} {len(self.heard)}")
        self.latency = chance.choice((0.1, 0.3, 2, 2, 7, 30)) if self.story.is_slow else 0.3
        (key,) = auth.values()
        meant = self._say(number, phase, key.removeprefix("Bearer "), chance)
        at = sent + self.latency
        self.heard.append(Heard(self.run, sent, at, number, phase, *meant[1:]))
        if self.time.turn:
            self.time.sleep(self.latency)
        if isinstance(meant.said, VideostatError):
            raise meant.said
        return meant.said

    def _active(self, kind: str, number: int | None = None) -> list[Event]:
        now = self.time.time
        return [
            each
            for each in self.story.events
            if each.kind == kind and each.at <= now < each.until and each.job in (None, number)
        ]

    def _say(self, number: int, phase: Phase, key: str, chance: Random) -> Response:
        """Return the answer of this moment: that of an event, or else the state of the job."""
        plan, at = self.story.jobs[number], self.time.at(self.time.time + self.latency)
        kind, saying = PROVIDERS[plan.provider].key_group, None
        is_unknown = self.time.time < plan.known_from or plan.end == "unknown"
        if self._refuses(key) or is_unknown:
            saying = SAYINGS["code key" if self._refuses(key) else "code missing"]
        for each in self._active("say", number):
            wanted = SAYINGS[each.what]
            is_fitting = kind in wanted.only and phase in wanted.phases
            if saying is None and is_fitting and chance.random() < each.odds:
                saying = wanted
        if saying is None:
            return self._state(plan, kind, phase)
        said = saying.write(plan.provider, plan.id, at)
        if isinstance(said, Redirected) and phase is Phase.URL:
            # ReelBot's download step may redirect to the file.
            return Response(said, Meaning.SUCCESS, sure=True, has_url=True)
        return Response(said, saying.meaning, saying.sure, wait=saying.wait)

    def _refuses(self, key: str) -> bool:
        changes = [each for each in self.story.events if each.kind == "key" and each.at <= self.time.time]
        return bool(changes) and key != NEW_KEY

    def _state(self, plan: Plan, kind: str, phase: Phase) -> Response:
        """Return the state of the job as an answer."""
        now, url = self.time.time, None
        at = self.time.at(now + self.latency)
        if now < plan.ends_at:
            meaning, word, sure = Meaning.RUNNING, RUNNING[kind], True
        elif plan.end in {"failed", "shared failed"}:
            sure = plan.end == "failed"
            meaning, word = Meaning.FAILED, FAILED[kind] if sure else "nsfw"
        else:
            is_named = plan.end != "no url" and not (plan.end == "late url" and now < plan.ends_at + 12)
            url = (
                f"https://cdn.example/{plan.provider}/{plan.id}?signature={now + self.latency:.3f}"
                if is_named
                else None
            )
            sure = plan.end != "shared success" or (url is not None and kind != "reelbot")
            meaning, word = Meaning.SUCCESS, SUCCESS[kind] if plan.end != "shared success" else "done"
        if phase is Phase.LOOK:
            answer = api_answer(200, {}, self._body(plan, kind, word, url), at)
            return Response(answer, meaning, sure, has_url=bool(url) and kind != "reelbot")
        if url is None:
            return Response(api_answer(200, {}, {"message": "later"}, at), Meaning.FOREIGN)
        return Response(api_answer(200, {}, {"downloadUrl": url}, at), Meaning.SUCCESS, sure=True, has_url=True)

    def _body(self, plan: Plan, kind: str, word: str, url: str | None) -> object:
        def moment(at: float) -> str:
            return self.time.at(at).isoformat()

        progress = f"{min(99, max(0, int(self.time.time / max(plan.ends_at, 1) * 4) * 25))}%"
        is_over, created = self.time.time >= plan.ends_at, min(0, plan.ends_at) - 5
        if kind == "reelbot":
            dated = {"createdAt": moment(created), "updatedAt": moment(min(plan.ends_at, self.time.time))}
            return {"status": word, **(dated if plan.is_dated else {})}
        names = ("created_at", "completed_at") if kind == "jogg" else ("submit_time", "finish_time")
        dated = {names[0]: moment(created), **({names[1]: moment(plan.ends_at)} if is_over else {})}
        own = {"project_id": plan.id} if plan.provider == "jogg" else {"video_id": plan.id}
        task = {
            "status": word,
            "progress": progress,
            **(own if kind == "jogg" else {"task_id": plan.id}),
            **(dated if plan.is_dated else {}),
            **({"video_url" if kind == "jogg" else "result_url": url} if url else {}),
        }
        return {"code": 0 if kind == "jogg" else "success", "data": task}

    # The store

    def film(self, number: int) -> bytes:
        """Return the content of the video of a job."""
        plan = self.story.jobs[number]
        return faults.mp4(plan.size, seed=number) + bytes(plan.tail)

    def open(self, url: str, headers: Mapping[str, str], **_: object) -> Body:
        """Open a video as the transport would."""
        parts, now = urlsplit(url), self.time.time
        self.time.sleep(0.2)
        places = {f"/{plan.provider}/{plan.id}": number for number, plan in enumerate(self.story.jobs)}
        if parts.path not in places:
            return Body(self.time, faults.page(Request("GET", url, headers), faults.Video(b"")), 0)
        number = places[parts.path]
        plan = self.story.jobs[number]
        made_at = float(parse_qs(parts.query)["signature"][0])
        request = Request("GET", url, {name.lower(): value for name, value in headers.items()})
        video = faults.Video(self.film(number), f'"{hashlib.sha256(plan.id.encode()).hexdigest()[:8]}"')
        chance = Random(f"{self.story.seed} {number} {now:.3f}")
        fault: faults.Fault = faults.honest
        if now > made_at + plan.url_lives:
            fault = faults.answers(403)
        elif now < plan.film_at:
            fault = faults.answers(404)
        else:
            for each in self._active("media", number):
                fault = MEDIA[each.what] if chance.random() < each.odds else fault
        return Body(self.time, fault(request, video), chance.choice((0.01, 0.1, 2)))

    def close(self) -> None:
        """Do nothing: there are no connections."""

    # The disk

    def touch(self, operation: str) -> None:
        """Let a step on the disk fail, or kill the process at it."""
        self.steps += 1
        if any(each.what == str(self.steps) for each in self._active("kill at step")):
            self.kill()
            raise Killed
        for each in self._active("disk"):
            wanted, _, name = each.what.partition(" ")
            if wanted == operation:
                raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    def touch_history(self) -> None:
        """Let a transaction of the history fail."""
        if self._active("history"):
            raise sqlite3.OperationalError("disk I/O error")


class Disk:
    """A replacement of `os` for writing files."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in {"open", "write", "ftruncate", "fsync"}:
            return real

        def call(*args: Any) -> Any:
            self._world.touch(name)
            return real(*args)

        return call
