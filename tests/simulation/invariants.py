"""Check what must be true after every run of every story; each check yields a sentence for each violation."""

from __future__ import annotations

import math
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from videostat.errors import ExitCode
from videostat.polling.course import SURE
from videostat.polling.loop import LAST_CHANCE
from videostat.polling.pace import find_interval_range
from videostat.providers import PROVIDERS
from videostat.providers.base import REFUSALS, Meaning

if TYPE_CHECKING:
    from simulation.play import Play, Record
    from simulation.world import Heard
    from videostat.models import Job
    from videostat.polling.options import Phase
    from videostat.providers.base import Provider

Check = Callable[["Play"], Iterator[str]]
A_MOMENT = 1e-6
ANSWERED = {Meaning.RUNNING, Meaning.SUCCESS, Meaning.FAILED, Meaning.GONE}
SIGNALS = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}


def provider(play: Play, number: int) -> Provider:
    return PROVIDERS[play.story.jobs[number].provider]


def heard_at(record: Record, heard: Heard) -> float:
    """Return when the program could read an answer: not while it was stopped or its output was being read."""
    return next((until for start, until in record.stops + record.reads if start <= heard.at < until), heard.at)


def of_run(play: Play, record: Record) -> list[Heard]:
    return [each for each in play.world.heard if each.run == record.number]


def ends(play: Play, record: Record) -> dict[int, float]:
    """Return the time at which each job ended, by its number; infinity if it did not end."""
    known = {job.ref: at for at, job in record.ended}
    return {number: known.get(ref, math.inf) for number, ref in enumerate(play.refs)}


def latest(record: Record) -> float:
    """Return the latest end of a run: its deadline, or some seconds after a stop that lasted longer."""
    return max([record.deadline, *(until + LAST_CHANCE for _, until in record.stops if until >= record.deadline)])


def finals_are_whole(play: Play) -> Iterator[str]:
    films = {f"{ref.provider}-{ref.id}.mp4": play.world.film(number) for number, ref in enumerate(play.refs)}
    for record in play.records:
        for name, content in record.films.items():
            if films.get(name) != content:
                yield f"run {record.number}: {name} has {len(content)} bytes that are not its video"


def ids_are_kept(play: Play) -> Iterator[str]:
    for record in play.records:
        if record.warnings or record.crash:
            return
        for ref in record.unknown:
            yield f"run {record.number}: {ref} was asked for before it was in the history"
        if lost := [*map(str, set(play.refs) - record.rows.keys())]:
            yield f"run {record.number}: the history lost {lost}"


def floors_hold(play: Play) -> Iterator[str]:
    for record in play.records:
        looks = defaultdict(list)
        for each in of_run(play, record):
            looks[each.job, each.phase].append(each)
        for (number, phase), requests in looks.items():
            for before, after in pairwise(requests):
                if after.sent < before.at + provider(play, number).polling.floor - A_MOMENT:
                    yield f"run {record.number}: {phase} of job {number} at {before.at:g} and then at {after.sent:g}"


def pauses_hold(play: Play) -> Iterator[str]:
    for record in play.records:
        requests, ended = of_run(play, record), ends(play, record)
        for limit in requests:
            at = heard_at(record, limit)
            if limit.wait is None or ended[limit.job] < at:
                continue
            for each in requests:
                is_same = _group(play, each) == _group(play, limit) and each.phase is limit.phase
                if limit.meaning is Meaning.BUSY:
                    is_same = each.job == limit.job
                if is_same and at < each.sent < limit.at + limit.wait - A_MOMENT:
                    yield f"run {record.number}: asked at {each.sent:g}, in the pause of {at:g} + {limit.wait:g}"


def growing_pauses_hold(play: Play) -> Iterator[str]:
    for record in play.records:
        requests, ended = of_run(play, record), ends(play, record)
        known: dict[tuple[str, Phase], float] = {}
        for limit in sorted(requests, key=lambda each: heard_at(record, each)):
            at = heard_at(record, limit)
            is_known = limit.meaning is Meaning.LIMIT and limit.wait is None and ended[limit.job] >= at
            place = _group(play, limit), limit.phase
            if not is_known or limit.sent <= known.get(place, -math.inf):
                continue
            known[place] = at
            # A fresh URL is asked for at the service's own interval.
            interval = None if play.story.saves else play.story.interval
            least, _ = find_interval_range(provider(play, limit.job).polling, interval)
            for each in requests:
                is_same = (_group(play, each), each.phase) == place
                if is_same and at < each.sent < at + least - A_MOMENT:
                    yield f"run {record.number}: asked at {each.sent:g}, limited without an end at {at:g}"


def rates_hold(play: Play) -> Iterator[str]:
    for record in play.records:
        lanes = defaultdict(list)
        for each in of_run(play, record):
            lanes[_group(play, each), each.phase].append(each)
        for requests in lanes.values():
            spacing = 1 / provider(play, requests[0].job).max_requests_per_second
            for before, after in pairwise(sorted(requests, key=lambda each: each.sent)):
                if after.sent < before.sent + spacing - A_MOMENT:
                    yield f"run {record.number}: asked at {before.sent:g} and at {after.sent:g}"


def nothing_is_sent_late(play: Play) -> Iterator[str]:
    for record in play.records:
        requests = [each for each in of_run(play, record) if each.sent > record.deadline + A_MOMENT]
        stops = sum(until > record.deadline for _, until in record.stops)
        for (number, phase), count in Counter((each.job, each.phase) for each in requests).items():
            if count > stops:
                yield f"run {record.number}: {phase} of job {number}, {count} times after the deadline"


def jobs_end_once(play: Play) -> Iterator[str]:
    for record in play.records:
        counts = Counter(job.ref for _, job in record.ended)
        is_over = record.code is not None
        for ref in record.refs:
            if counts[ref] > 1 or (is_over and not counts[ref]):
                yield f"run {record.number}: {ref} ended {counts[ref]} times"


def deadlines_hold(play: Play) -> Iterator[str]:
    for record in play.records:
        if record.over_at > max([latest(record), *(until for _, until in record.reads)]) + 1:
            yield f"run {record.number} had until {latest(record):g}, and was over at {record.over_at:g}"


def codes_fit(play: Play) -> Iterator[str]:
    for record in play.records:
        requests = of_run(play, record)
        for at, job in record.ended:
            number = play.refs.index(job.ref)
            group = provider(play, number).key_group
            known = [each for each in requests if each.at <= at and _group(play, each) == group]
            if not _fits(play, record, at, job, known):
                said = {(each.job, each.meaning.name) for each in known}
                yield f"run {record.number}: {job.ref} ended at {at:g} with {int(job.exit_code)}, said was {said}"


def _fits(play: Play, record: Record, at: float, job: Job, known: list[Heard]) -> bool:
    """Return whether the answers until then allow the exit code."""
    number, code = play.refs.index(job.ref), job.exit_code
    mine = {each.meaning for each in known if each.job == number}
    group = {each.meaning for each in known}
    is_late = at >= record.deadline - A_MOMENT
    has_film = f"{job.ref.provider}-{job.ref.id}.mp4" in record.films
    finished = [each for each in known if each.job == number and each.meaning is Meaning.SUCCESS and each.sure]
    is_refused_now = any(each.meaning in REFUSALS and heard_at(record, each) == at for each in known)
    is_finished = finished and heard_at(record, finished[0]) < at and not is_refused_now
    if at == record.deadline and is_finished and code not in SIGNALS:
        return code in {ExitCode.OK, ExitCode.NOT_SAVED} or Meaning.RUNNING in mine
    # The program may not have read an answer that came while it was stopped.
    is_answered = any(each.job == number and each.meaning in ANSWERED and heard_at(record, each) < at for each in known)
    signals = {128 + signal.Signals[each.what] for each in play.story.events if each.kind == "signal"}
    allowed: Mapping[int, bool] = {
        ExitCode.OK: has_film if play.story.saves else any(each.job == number and each.has_url for each in known),
        ExitCode.KEY: Meaning.KEY in group,
        ExitCode.CREDIT: bool({Meaning.CREDIT, Meaning.LIMIT} & group),
        ExitCode.FAILED: Meaning.FAILED in mine,
        ExitCode.UNKNOWN: Meaning.BROKEN in mine or (not is_answered and (bool(group - ANSWERED) or is_late)),
        ExitCode.GONE: bool({Meaning.MISSING, Meaning.GONE} & mine) or Meaning.MISSING in group,
        ExitCode.NOT_SAVED: Meaning.SUCCESS in mine,
        ExitCode.TIMEOUT: is_late,
        **dict.fromkeys(signals, True),
    }
    return allowed.get(code, False)


def finished_is_saved(play: Play) -> Iterator[str]:
    last = play.records[-1]
    if not play.story.saves or any(record.warnings or record.crash for record in play.records):
        return
    for number, plan in enumerate(play.story.jobs):
        row = last.rows.get(play.refs[number], {})
        name = f"{plan.provider}-{plan.id}.mp4"
        if plan.has_film and not row.get("gone") and (name not in last.films or not row.get("file")):
            ended = [int(job.exit_code) for _, job in last.ended if job.ref == play.refs[number]]
            yield f"{name} is finished and not saved: {ended}, {dict(row)}"


def only_sure_is_recorded(play: Play) -> Iterator[str]:
    for record in play.records:
        for number, ref in enumerate(play.refs):
            row = record.rows.get(ref)
            said = [
                each._replace(at=heard_at(play.records[each.run], each))
                for each in play.world.heard
                if each.job == number and each.run <= record.number and each.at <= play.records[each.run].over_at
            ]
            if row and not _may_be_recorded(row, said, play.time.wall):
                recorded = {name: row[name] for name in ("state", "ended", "gone")}
                yield f"run {record.number}: of {ref} is recorded {recorded}"


def _may_be_recorded(row: Mapping[str, object], said: list[Heard], wall: Callable[[float], float]) -> bool:
    sure = {each.meaning for each in said if each.sure}
    missing = [wall(each.at) for each in said if each.meaning is Meaning.MISSING and each.sure]
    is_missing = bool(missing) and max(missing) - min(missing) >= 19  # whole seconds are recorded
    doubts = Counter(each.run for each in said if each.meaning is Meaning.FAILED)
    is_failed = Meaning.FAILED in sure or any(count > 1 for count in doubts.values())
    allowed = {
        None: True,
        "succeeded": Meaning.SUCCESS in sure or row["file"] is not None,
        "failed": is_failed,
        "running": Meaning.RUNNING in sure,
        "queued": Meaning.RUNNING in sure,
        "unknown": True,
    }
    may_be_gone = Meaning.GONE in sure or is_missing
    is_over = row["state"] in {"succeeded", "failed"} or may_be_gone
    return allowed[row["state"]] and (may_be_gone or not row["gone"]) and (is_over or not row["ended"])  # type: ignore[index]


def walls_are_left(play: Play) -> Iterator[str]:
    for record in play.records:
        groups = defaultdict(list)
        for each in of_run(play, record):
            groups[_group(play, each)].append(each)
        for group, requests in groups.items():
            if any(
                each.meaning in ANSWERED
                or each.meaning is Meaning.LIMIT
                or (each.meaning is Meaning.MISSING and each.sure)
                for each in requests
            ):
                continue
            # An unsure "missing" is asked again for 20 s.
            polling, said = provider(play, requests[0].job).polling, {each.meaning for each in requests}
            patience = 3 * SURE / polling.floor if Meaning.MISSING in said else 0
            if len(requests) > 10 + patience + (record.over_at - record.began) / 20:
                yield f"run {record.number}: {group} never answered, and was asked {len(requests)} times"


def nothing_crashes(play: Play) -> Iterator[str]:
    for record in play.records:
        if record.crash:
            yield f"run {record.number}: {record.crash!r}"


def _group(play: Play, heard: Heard) -> str:
    return provider(play, heard.job).key_group


# The sentences stand in CONTRIBUTING.md and in tests/simulate.py too, and a test compares them.
INVARIANTS: Mapping[str, Check] = {
    "A file with its final name is the whole video of its job.": finals_are_whole,
    "No id is lost: it is in the history before the first request, and stays there.": ids_are_kept,
    "No two looks at a job are closer than the floor.": floors_hold,
    "Nothing is asked inside a pause whose end was told.": pauses_hold,
    "After a limit without an end, nothing is asked for an interval.": growing_pauses_hold,
    "No service is asked faster than its rate.": rates_hold,
    "Nothing is asked after the deadline, except one last look after a stop that went past it.": nothing_is_sent_late,
    "The deadline holds within a second, and within four after such a stop.": deadlines_hold,
    "Each job ends exactly once in a run.": jobs_end_once,
    "An exit code says what the service has said.": codes_fit,
    "What the service has finished is saved by the next `wait --unfinished --download`.": finished_is_saved,
    "Only what is sure is recorded, and a failure word of the shared table seen twice.": only_sure_is_recorded,
    "A key group behind a wall is asked a few times.": walls_are_left,
    "Nothing ends in a traceback.": nothing_crashes,
}


def broken(play: Play) -> Iterator[tuple[str, str]]:
    """Yield each invariant that a story breaks, with a description."""
    for sentence, check in INVARIANTS.items():
        for how in check(play):
            yield sentence, how
