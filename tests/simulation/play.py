"""Play a story: run `wait`, then `wait --unfinished` after each gap, and keep a record of each run."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from simulation.time import SILENT, Killed, Time
from simulation.world import GATEWAY, KEY, NEW_KEY, Disk, World
from videostat.cli.run import Run, choose_exit_code
from videostat.cli.save import plan_saving
from videostat.cli.session import Session
from videostat.client import Client
from videostat.config import Settings
from videostat.errors import UsageError
from videostat.history import History, Which
from videostat.history.database import Database
from videostat.models import JobRef
from videostat.polling.options import Door, Hint, PollOptions
from videostat.render.log import ErrorsOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulation.story import Event, Story
    from videostat.errors import ExitCode
    from videostat.models import Job

MEMORY = Path("/dev/shm")
LAST_TIMEOUT = 150
SILENCE = timedelta(days=30)


@dataclass
class Record:
    """What one run did. `rows`: the history afterwards, by job; `films`: the content of files with a final name.

    `stops`: from when to when the process was stopped. `reads`: from when to when it waited for its reader.
    """

    number: int
    began: float
    timeout: float
    refs: list[JobRef]
    is_last: bool
    ended: list[tuple[float, Job]] = field(default_factory=list)
    is_killed: bool = False
    over_at: float = 0
    code: ExitCode | None = None
    crash: Exception | None = None
    warnings: list[str] = field(default_factory=list)
    unknown: list[JobRef] = field(default_factory=list)
    rows: dict[JobRef, dict[str, Any]] = field(default_factory=dict)
    films: dict[str, bytes] = field(default_factory=dict)
    stops: list[tuple[float, float]] = field(default_factory=list)
    reads: list[tuple[float, float]] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        return self.began + self.timeout


class SilentView(ErrorsOnly):
    """A view that shows nothing."""

    def note(self, sentence: str) -> None:
        pass

    def get_plain_view(self) -> Self:
        return self


class Steps:
    """A replacement of the worker threads: answers arrive after their latency, and saving takes turns."""

    def __init__(self, world: World, deliver: Callable[[object], object]) -> None:
        self._world = world

    def submit(self, step: partial[Any]) -> None:
        time, world = self._world.time, self._world
        phase, _ = step.args
        if phase.is_request:
            reply = step()
            time.deliver(time.time + world.latency, reply)
        else:
            time.begin(step)

    def close(self) -> None:
        pass


@dataclass
class Play:
    """One story in one folder."""

    story: Story
    folder: Path
    time: Time = field(default_factory=Time)
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.story, self.time)
        self.refs = [JobRef(plan.provider, plan.id) for plan in self.story.jobs]
        self._history, self._videos = self.folder / "history.db", self.folder / "videos"
        self._videos.mkdir()
        self._history.write_bytes(_empty_history())

    def run(self) -> Self:
        """Play all runs."""
        with in_process(self):
            self._run(self.refs, self.story.timeout, is_last=False)
            for number, gap in enumerate(self.story.gaps, 1):
                is_last = number == len(self.story.gaps)
                self.time.time = max(self.time.time, self.story.horizon if is_last else 0) + gap
                timeout = LAST_TIMEOUT if is_last else self.story.timeout
                with suppress(UsageError):  # a history that cannot be read is exit code 2
                    self._run(self._unfinished(), timeout, is_last=is_last)
        return self

    def _unfinished(self) -> list[JobRef]:
        """Return the jobs of `wait --unfinished`; with saving, also those whose video is not saved yet."""
        history, heard = History(self._history, warn=lambda _: None), self.time.now() - SILENCE
        wanted = [Which.UNFINISHED, *([Which.UNSAVED] if self.story.saves else [])]
        found = [seen.job.ref for which in wanted for seen in history.find_jobs(which=which, heard_since=heard)]
        history.close()
        return list(dict.fromkeys(found))

    def _run(self, refs: list[JobRef], timeout: float, *, is_last: bool) -> None:
        time, world = self.time, self.world
        record = Record(len(self.records), time.time, timeout, refs, is_last)
        self.records.append(record)
        world.run = record.number
        random.seed(f"{self.story.seed} {record.number}")
        self._deliver_events(record)
        history = History(self._history, warn=record.warnings.append, lock_timeout=0)
        asked: set[JobRef] = set()

        def on_request(ref: JobRef) -> None:
            if ref not in asked and ref not in self._rows():
                record.unknown.append(ref)
            asked.add(ref)

        world.on_request = on_request
        world.kill = self._snapshot
        try:
            for job in self._wait(refs, timeout, history):
                record.ended.append((time.time, job))
                self._read_slowly(record)
            record.code = choose_exit_code(job.exit_code for _, job in record.ended)
            record.over_at = time.time
            self._snapshot()
        except Killed:
            record.is_killed, record.over_at = True, time.time
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a bug
            record.crash = error
            self._snapshot()
        time.end()
        self._restore()
        if record.is_killed:
            if history._database:
                history._database.close()
        else:
            history.close()
        record.rows = self._rows()
        record.films = {file.name: file.read_bytes() for file in self._videos.iterdir() if ".part" not in file.suffixes}

    def _wait(self, refs: list[JobRef], timeout: float, history: History) -> Iterator[Job]:
        environ = {"JOGG_API_KEY": "", "VIDEOSTAT_DOUBAO_BASE_URL": GATEWAY}
        settings = Settings(self.folder / "config.toml", environ)
        with Client(settings, self.world, self.time) as client:  # type: ignore[arg-type]
            session = Session(settings, self.time, client, history)
            saving = plan_saving(session, refs, output_dir=self._videos, timeout=timeout) if self.story.saves else None
            options = PollOptions(timeout=timeout, interval=self.story.interval, parallel=len(refs) or 1)
            yield from Run(session=session, refs=refs, options=options, view=SilentView(), saving=saving)

    def _rows(self) -> dict[JobRef, dict[str, Any]]:
        with sqlite3.connect(self._history) as db:
            db.row_factory = sqlite3.Row
            rows = [dict(row) for row in db.execute("SELECT * FROM job")]
        db.close()
        return {JobRef(row["provider"], row["id"]): row for row in rows}

    # A killed process leaves the disk as it is at that moment, even if its threads would still have tidied up.

    def _snapshot(self) -> None:
        shutil.copytree(self._videos, self.folder / "dead", dirs_exist_ok=True)

    def _restore(self) -> None:
        if (self.folder / "dead").exists():
            shutil.rmtree(self._videos)
            (self.folder / "dead").rename(self._videos)

    # Events during a run

    def _deliver_events(self, record: Record) -> None:
        for event in self.story.events:
            happens = {
                "signal": self._signal,
                "kill": self._kill,
                "stop": self._stop,
                "asleep": self._fall_asleep,
                "hint": self._hint,
                "door": self._door,
                "key": self._change_key,
            }.get(event.kind)
            if happens:
                happens(event, record)

    def _read_slowly(self, record: Record) -> None:
        """Let the reader of the output take its time with one job."""
        for event in self.story.events:
            if event.kind == "reader" and event.at <= self.time.time < event.until:
                record.reads.append((self.time.time, event.until))
                self.time.time = event.until

    def _signal(self, event: Event, record: Record) -> None:
        if event.at >= record.began:
            self.time.deliver(event.at, int(signal.Signals[event.what]))

    def _kill(self, event: Event, record: Record) -> None:
        def kill() -> None:
            self._snapshot()
            raise Killed

        if event.at >= record.began:
            self.time.deliver(event.at, kill)

    def _stop(self, event: Event, record: Record) -> None:
        def stop() -> None:
            record.stops.append((self.time.time, event.until))
            self.time.time = max(self.time.time, event.until)

        if event.at >= record.began:
            self.time.deliver(event.at, stop)

    def _fall_asleep(self, event: Event, record: Record) -> None:
        def sleep() -> None:
            self.time.sleeps.append((self.time.time, event.until - event.at))

        if event.at >= record.began:
            self.time.deliver(event.at, sleep)

    def _hint(self, event: Event, record: Record) -> None:
        refs = (JobRef("jogg", "nobody"),) if event.what == "forged" else tuple(self.refs)
        refs = refs if event.job is None else (self.refs[event.job],)
        if event.at >= record.began:
            for _ in range(2 if event.what == "twice" else 1):
                self.time.deliver(event.at, Hint(refs))

    def _door(self, event: Event, record: Record) -> None:
        if event.at >= record.began:
            self.time.deliver(event.at, Door(event.what == "open"))

    def _change_key(self, event: Event, record: Record) -> None:
        def change() -> object:
            _write_keys(self.folder, NEW_KEY)
            return SILENT

        if event.until > record.began:
            self.time.deliver(event.until, change)
        else:
            change()


def _write_keys(folder: Path, key: str) -> None:
    lines = [f'[providers.{name}]\napi_key = "{key}"\n' for name in ("jogg", "doubao", "reelbot")]
    (folder / "credentials.toml").write_text("".join(lines))
    (folder / "credentials.toml").chmod(0o600)


@cache
def _empty_history() -> bytes:
    """Return the file of an empty history; creating it takes longer than a whole story, so it is cached."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        database = Database(Path(folder) / "history.db", 0)
        database.write([])
        database.close()
        return (Path(folder) / "history.db").read_bytes()


@contextmanager
def in_process(play: Play) -> Iterator[None]:
    """Replace threads, signals and disks of the program by those of the story."""
    real_run, real_replace = Database._run, Path.replace

    def write(self: Database, statement: Any) -> Any:
        play.world.touch_history()
        return real_run(self, statement)

    def replace(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            play.world.touch("replace")
        return real_replace(self, target)

    with ExitStack() as stack:
        for target, value in (
            ("videostat.waiting.Workers", partial(Steps, play.world)),
            ("videostat.waiting.Random", partial(Random, play.story.seed)),
            ("videostat.cli.run.forward_signals", lambda inbox: nullcontext()),
            ("videostat.saving.partfile.os", Disk(play.world)),
            ("videostat.history.database.Database._run", write),
            ("pathlib.Path.replace", replace),
        ):
            stack.enter_context(patch(target, value))
        yield


def play(story: Story) -> Play:
    """Play a story in a folder of its own."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        _write_keys(Path(folder), KEY)
        return Play(story, Path(folder)).run()
