"""Test the library: Client, wait and save in a Python program."""

from __future__ import annotations

import copy
import inspect
import logging
import math
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Server, reply

import videostat
from videostat import Client, ExitCode, Job, JobRef, Link, Saved, State, VideostatError, errors, save, wait
from videostat.config import load
from videostat.errors import (
    ConfigError,
    Interrupted,
    JobFailed,
    KeyMissing,
    NotFound,
    NotReady,
    NotSaved,
    RateLimited,
    TimedOut,
    UsageError,
)
from videostat.providers.base import Answer, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.clock import Clock
    from videostat.sandbox import Sandbox


@pytest.fixture
def speed() -> float:
    return 500


# A single look is given up after 15 seconds of the clock, which must be long enough on a busy machine.
with_a_slower_clock = pytest.mark.parametrize("speed", [20])


@pytest.fixture(autouse=True)
def _use_the_clock_of_the_sandbox(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videostat.client.Clock", lambda: clock)


@pytest.mark.usefixtures("sandbox")
def test_wait_yields_each_job_when_it_has_ended() -> None:
    jobs = {job.ref: job for job in wait(Client(), ["jogg:demo-1", JobRef("reelbot", "demo-2"), "doubao:demo-fail"])}
    assert {ref: job.state for ref, job in jobs.items()} == {
        JobRef("jogg", "demo-1"): State.SUCCEEDED,
        JobRef("reelbot", "demo-2"): State.SUCCEEDED,
        JobRef("doubao", "demo-fail"): State.FAILED,
    }
    assert jobs[JobRef("reelbot", "demo-2")].video_url
    assert jobs[JobRef("doubao", "demo-fail")].exit_code is ExitCode.FAILED
    assert all(job.ended for job in jobs.values())


@pytest.mark.usefixtures("sandbox")
def test_unfinished_job_at_the_timeout_has_a_timed_out_problem() -> None:
    (job,) = wait(Client(), ["jogg:demo-stuck"], timeout=60)
    assert isinstance(job.problem, TimedOut)
    assert job.state in {State.QUEUED, State.RUNNING}


def test_missing_key_becomes_the_problem_of_its_job() -> None:
    (job,) = wait(Client(), ["jogg:proj_1"])
    assert isinstance(job.problem, KeyMissing)


@pytest.mark.parametrize(
    ("job", "error", "sentence"),
    [
        ("jogg", UsageError, "'jogg' is not PROVIDER:ID"),
        ("nowhere:1", ConfigError, "unknown service or account 'nowhere'"),
        ("jogg:a/b", UsageError, "'a/b' is not a job id"),
        ("doubao:1", ConfigError, "doubao needs a base URL"),
        (["jogg:1", 2], TypeError, "a job is a Job, a JobRef or 'PROVIDER:ID', not int"),
        (b"jogg:1", TypeError, "not int"),
        ([None], TypeError, "not NoneType"),
    ],
)
def test_wait_refuses_an_invalid_job_when_called(job: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        wait(Client(), job)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"timeout": "10m"}, TypeError, "timeout is a number of seconds, not str"),
        ({"timeout": -1}, UsageError, "timeout is a number of seconds, not -1"),
        ({"interval": math.nan}, UsageError, "interval is a number of seconds, not nan"),
        ({"on_change": "print"}, TypeError, "on_change is a function of a job, not str"),
    ],
)
def test_wait_refuses_an_invalid_option_when_called(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        wait(Client(), "jogg:proj_1", **options)


def test_wait_takes_the_client_as_its_first_argument() -> None:
    with pytest.raises(TypeError, match="takes a Client and then the jobs, not list"):
        wait(["jogg:proj_1"], Client())  # type: ignore[arg-type]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("job", ["jogg:demo-done", JobRef("jogg", "demo-done"), Job(ref=JobRef("jogg", "demo-done"))])
def test_wait_accepts_one_job_without_a_list(job: Job | JobRef | str) -> None:
    assert [each.state for each in wait(Client(), job)] == [State.SUCCEEDED]


@pytest.mark.usefixtures("sandbox")
def test_on_change_is_called_only_for_changes() -> None:
    changes: list[Job] = []
    (job,) = wait(Client(), "jogg:demo-1", on_change=changes.append)
    assert changes[-1] == job
    assert [each.state for each in changes][-2:] == [State.RUNNING, State.SUCCEEDED]
    assert all(before.news != after.news for before, after in pairwise(changes))
    assert len({each.progress for each in changes}) > 2


# ---- one job


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("job", ["reelbot:demo-done", "jogg:demo-done", "doubao:demo-done"])
def test_client_job_returns_the_complete_job(job: str) -> None:
    found = Client().job(job)
    assert found.video_url
    assert found.exit_code is ExitCode.OK


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
def test_client_job_raises_if_the_job_cannot_be_fetched() -> None:
    with Client() as client:
        with pytest.raises(NotFound):
            client.job("jogg:demo-unknown")
        with pytest.raises(TypeError, match="not int"):
            client.job(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="5 is not a job id"):
        JobRef("jogg", 5)  # type: ignore[arg-type]


# ---- keys


def test_given_keys_come_before_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", "of-the-environment")
    monkeypatch.setenv("REELBOT_API_KEY", "of-the-environment-too")
    client = Client(keys={"jogg-avatar": "of-the-program"})
    assert [client.get_account(name).find_key().value for name in ("jogg", "jogg-product", "reelbot")] == [
        "of-the-program",
        "of-the-program",
        "of-the-environment-too",
    ]


@pytest.mark.parametrize(
    ("keys", "error", "sentence"),
    [
        ({"joggg": "k"}, ConfigError, "unknown service or account 'joggg'"),
        ({"jogg": "two words"}, ConfigError, "the given key of jogg contains a space"),
        ({"jogg": ""}, ConfigError, "the given key of jogg is empty"),
        ({"jogg": None}, ConfigError, "the given key of jogg must be"),
        (
            {"jogg": "one", "jogg-avatar": "two"},
            ConfigError,
            "jogg-avatar shares its key with jogg, but two keys were given",
        ),
        ("jogg", TypeError, "keys are a mapping .*, not str"),
    ],
)
def test_client_refuses_invalid_keys(keys: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as refused:
        Client(keys=keys)
    assert "two words" not in str(refused.value)


def test_client_takes_either_settings_or_keys() -> None:
    with pytest.raises(TypeError, match="keys are given as keys="):
        Client({"jogg": "k"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="settings or keys"):
        Client(load(), keys={"jogg": "k"})


def test_client_closes_its_connections_at_the_end_of_a_with_block() -> None:
    with Server(lambda _: reply({"code": 0, "data": {"status": "pending"}})) as server:
        settings = load(environ={"VIDEOSTAT_JOGG_BASE_URL": server.url, "JOGG_API_KEY": "a-key"})
        with Client(settings) as client:
            client.job("jogg:proj_1")
            client.job("jogg:proj_1")
            assert server.connections == 1
        client.job("jogg:proj_1")
        assert server.connections == 2
        client.close()


# ---- saving


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("to", "file"),
    [
        ("clip.mp4", "clip.mp4"),
        ("new/clip.mp4", "new/clip.mp4"),
        ("videos", "videos/jogg-demo-done.mp4"),
        ("here", "here/jogg-demo-done.mp4"),
        ("here.d", "here.d/jogg-demo-done.mp4"),
        ("new.d/", "new.d/jogg-demo-done.mp4"),
        (Path("videos"), "videos/jogg-demo-done.mp4"),
        (".", "jogg-demo-done.mp4"),
    ],
)
def test_a_video_is_saved_to_a_file_or_a_folder(
    to: str | Path, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "here.d"):
        (tmp_path / folder).mkdir()
    saved = save("jogg:demo-done", to)
    assert saved.file == Path(file)
    assert saved.bytes == Path(file).stat().st_size > 1000


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
def test_saved_video_is_not_fetched_again(sandbox: Sandbox, tmp_path: Path) -> None:
    first, asked = save("jogg:demo-done", tmp_path), len(sandbox.requests)
    again = save("jogg:demo-done", tmp_path)
    assert (again.file, again.skipped) == (first.file, True)
    assert len(sandbox.requests) == asked
    assert not save("jogg:demo-done", tmp_path, overwrite=True).skipped
    with pytest.raises(NotSaved, match="already exists"):
        save("jogg:demo-done", first.file)


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
def test_job_returned_by_wait_is_saved_without_another_look(sandbox: Sandbox, tmp_path: Path) -> None:
    with Client() as client:
        (job,) = wait(client, ["reelbot:demo-done"])
        asked = len(sandbox.requests)
        assert save(job, tmp_path / "clip.mp4", client=client).file.exists()
    assert [request.path for request in [*sandbox.requests][asked:] if "/api/" in request.path] == []


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("job", "error", "code"),
    [
        ("jogg:demo-done-fail", JobFailed, ExitCode.FAILED),
        ("jogg:demo-stuck", NotReady, ExitCode.RUNNING),
        ("jogg:demo-done-novideo", NotSaved, ExitCode.NOT_SAVED),
        ("jogg:demo-unknown", NotFound, ExitCode.GONE),
    ],
)
def test_save_raises_the_reason_if_the_job_has_no_video(
    job: str, error: type[VideostatError], code: ExitCode, tmp_path: Path
) -> None:
    with pytest.raises(error) as raised:
        save(job, tmp_path / "videos")
    assert raised.value.exit_code is code
    assert not (tmp_path / "videos").exists()


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
def test_save_sends_no_request_for_a_failed_job(sandbox: Sandbox, tmp_path: Path) -> None:
    (job,) = wait(Client(), "jogg:demo-done-fail")
    asked = len(sandbox.requests)
    with pytest.raises(JobFailed, match="jogg demo-done-fail failed: "):
        save(job, tmp_path)
    assert len(sandbox.requests) == asked


@pytest.mark.parametrize(
    ("job", "to", "error", "sentence"),
    [
        ("jogg:proj_1", "", UsageError, "'' is no place"),
        ("jogg:proj_1", "a\0b", UsageError, "is no place"),
        ("jogg:proj_1", "a" * 300 + ".mp4", NotSaved, "File name too long"),
        ("jogg:proj_1", None, TypeError, "NoneType"),
        (5, "clip.mp4", TypeError, "a job is"),
        ("nowhere:1", "clip.mp4", ConfigError, "unknown service or account 'nowhere'"),
        ("jogg:proj_1", f"{__file__}/clip.mp4", UsageError, "cannot save in"),
        ("jogg:proj_1", "clip.mp4", KeyMissing, "no key"),
    ],
)
def test_save_refuses_invalid_jobs_and_places(job: Any, to: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        save(job, to)


# ---- logging


@with_a_slower_clock
@pytest.mark.usefixtures("sandbox")
def test_debug_log_contains_requests_but_no_secrets(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        (job,) = wait(Client(), "reelbot:demo-done")
        save(job, tmp_path)
    lines = [record.getMessage() for record in caplog.records if record.name == "videostat"]
    assert any(line.startswith("> GET ") and "/api/v1/video/status/demo-done" in line for line in lines)
    assert any(line.startswith("< 200 GET ") for line in lines)
    query = (job.video_url or "").partition("?")[2]
    assert query
    # Check the records of all loggers, because urllib3 logs too.
    assert not [record for record in caplog.records if sandbox.get_key("reelbot") in record.getMessage()]
    assert not [record for record in caplog.records if query in record.getMessage()]


def test_a_log_has_no_escape_sequences(caplog: pytest.LogCaptureFixture) -> None:
    page = b"\x1b[2J\xe2\x80\xaepage"
    with Server(lambda _: reply(page, 502)) as server, caplog.at_level(logging.DEBUG, "videostat"):
        environ = {"VIDEOSTAT_JOGG_BASE_URL": server.url, "JOGG_API_KEY": "a-key"}
        with Client(load(environ=environ)) as client, pytest.raises(VideostatError):
            client.job("jogg:proj_1")
    assert r"\x1b[2J\u202epage" in caplog.text
    assert "\x1b" not in caplog.text


def test_library_is_silent_unless_logging_is_configured(home: Path) -> None:
    # There is a warning about a key that other users can read.
    folder = home / ".config" / "videostat"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[providers.jogg]\napi_key = "a-key-of-mine"\n')
    (folder / "config.toml").chmod(0o644)
    code = "from videostat import Client; Client(){}"
    for more, warning in (("", ""), ("; import logging; logging.basicConfig(); Client()", "chmod 600")):
        environ = {**os.environ, "XDG_CONFIG_HOME": str(folder.parent)}
        done = subprocess.run(
            [sys.executable, "-c", code.format(more)], env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert warning in done.stderr
        assert bool(done.stderr) is bool(warning)


# ---- values

SIGNED = "https://cdn.example/v.mp4?X-Amz-Signature=a-signature"


def job_with_everything() -> Job:
    return Job(
        ref=JobRef("jogg", "proj_1"),
        state=State.SUCCEEDED,
        video_url=SIGNED,
        thumbnail_url=SIGNED,
        expires_at=datetime(2025, 1, 21, tzinfo=UTC),
        extra={"cover": SIGNED},
        saved=Saved(file=Path("clip.mp4"), bytes=1),
        problem=RateLimited("slow down", hint="later", code="18", retry_after=3.5),
    )


def test_repr_contains_no_signed_url() -> None:
    values = [
        job_with_everything(),
        Link(SIGNED),
        Page((job_with_everything(),), 1, 1),
        Answer(status=200, headers={"location": SIGNED}, body={"video_url": SIGNED}, received_at=datetime.now(UTC)),
    ]
    assert [value for value in values if "a-signature" in repr(value)] == []


def every_error(kind: type[VideostatError] = VideostatError) -> Iterator[type[VideostatError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from every_error(child)


@pytest.mark.parametrize("again", [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", [*every_error()], ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_and_copying(kind: type[VideostatError], again: Callable[[Any], Any]) -> None:
    error = Interrupted(15) if issubclass(kind, Interrupted) else kind("a sentence", hint="a hint", code="a code")
    back = again(error)
    assert type(back) is kind
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.exit_code is error.exit_code


def test_every_public_value_survives_pickling() -> None:
    job = job_with_everything()
    back = pickle.loads(pickle.dumps(job))
    assert replace(back, problem=None) == replace(job, problem=None)
    assert vars(back.problem) == vars(job.problem)
    values = [job.ref, job.state, job.exit_code, job.saved, Link(SIGNED)]
    assert pickle.loads(pickle.dumps(values)) == values


@pytest.mark.usefixtures("sandbox")
def test_fetch_link_asks_for_a_new_url(sandbox: Sandbox) -> None:
    client = Client()
    (job,) = wait(client, ["reelbot:demo-done"])
    before = len(sandbox.requests)
    assert client.fetch_link(job).url.startswith("http")
    assert [request.path for request in sandbox.requests][before:] == ["/reelbot/api/v1/video/download/demo-done"]


def test_wait_for_no_jobs_ends_immediately() -> None:
    assert list(wait(Client(), [])) == []


def test_every_public_name_exists() -> None:
    assert {getattr(videostat, name).__name__ for name in videostat.__all__} == set(videostat.__all__)
    assert videostat._HOMES.keys() == set(videostat.__all__)
    assert dir(videostat) == sorted([*videostat.__all__, "__version__"])


def test_every_public_name_has_a_docstring() -> None:
    things = [getattr(videostat, name) for name in videostat.__all__]
    methods = [each for name, each in vars(Client).items() if inspect.isfunction(each) and not name.startswith("_")]
    kinds = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, VideostatError)]
    # Python gives a dataclass without a docstring its signature as docstring.
    assert [
        thing.__name__
        for thing in (*things, *methods, *kinds)
        if not thing.__doc__ or thing.__doc__.startswith(f"{thing.__name__}(")
    ] == []


@pytest.mark.usefixtures("sandbox")
def test_example_in_the_package_docstring_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    indented = [line for line in (videostat.__doc__ or "").splitlines() if line.startswith("    ")]
    exec(compile(inspect.cleandoc("\n".join(indented)), "help(videostat)", "exec"), {})
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "jogg proj_abc123 succeeded videos/jogg-proj_abc123.mp4",
        "reelbot reel_42 succeeded videos/reelbot-reel_42.mp4",
    ]


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = videostat.nothing_like_it


def test_importing_videostat_loads_none_of_its_modules() -> None:
    code = "import sys, videostat; print([name for name in sys.modules if name.startswith('videostat.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
