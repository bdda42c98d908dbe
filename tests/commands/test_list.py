"""videostat list: list the jobs that a service still keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback import reply

from videostat.history import locate_history

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Instead, Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_history")


@pytest.mark.parametrize(("provider", "family"), [("jogg", "proj"), ("jogg-product", "product")])
def test_list_gives_all_jobs_newest_first(videostat: Videostat, provider: str, family: str) -> None:
    ids = videostat("list", provider, "--all", "-q").lines
    assert len(ids) > 20
    assert ids == sorted(set(ids))
    assert ids[0] == f"{family}_0001"


@pytest.mark.parametrize(("options", "count"), [([], 20), (["--limit", "3"], 3), (["-n", "25"], 25)])
def test_limit_is_the_number_of_rows(videostat: Videostat, options: list[str], count: int) -> None:
    assert len(videostat("list", "jogg", *options).lines) == count


def test_state_filter_applies_before_the_limit(videostat: Videostat) -> None:
    got = videostat("list", "jogg", "--state", "failed", "-n", "2", "--json")
    assert [answer["state"] for answer in got.objects] == ["failed", "failed"]


def test_list_of_one_page_sends_one_request(videostat: Videostat, sandbox: Sandbox) -> None:
    videostat("list", "jogg", "-n", "5")
    assert [request.path for request in sandbox.requests] == ["/jogg/v2/projects"]


@pytest.mark.parametrize("provider", ["doubao", "reelbot", "jogg-avatar"])
def test_service_without_a_list_gives_the_history_command(
    videostat: Videostat, sandbox: Sandbox, provider: str
) -> None:
    got = videostat("list", provider)
    assert (got.code, got.stdout) == (2, "")
    assert f"videostat history --provider {provider}" in got.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "PROVIDER"),
        (["jog"], "Did you mean jogg?"),
        (["jogg", "--state", "done"], "--state"),
        (["jogg", "-n", "0"], "--limit"),
        (["jogg", "-n", "many"], "--limit"),
        (["jogg", "extra"], "extra"),
    ],
)
def test_wrong_list_arguments_are_refused(videostat: Videostat, argv: list[str], sentence: str) -> None:
    got = videostat("list", *argv)
    assert (got.code, got.stdout) == (2, "")
    assert sentence in got.stderr
    assert got.stderr.startswith("videostat: ")
    assert len(got.stderr.splitlines()) <= 2


@pytest.mark.parametrize(("key", "code"), [("", 3), ("mistyped-key", 3), ("sandbox-jogg-key-without-credit", 4)])
def test_list_without_a_working_key_exits_3_or_4(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, key: str, code: int
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", key)
    got = videostat("list", "jogg")
    assert (got.code, got.stdout) == (code, "")
    assert got.stderr.startswith("videostat: ")


def test_list_exits_6_after_three_bad_gateway_answers(videostat: Videostat, instead: Instead) -> None:
    server = instead("jogg", reply(b"<html>", 502))
    got = videostat("list", "jogg")
    assert (got.code, got.stdout) == (6, "")
    assert len(got.stderr.splitlines()) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize("tty", [(), ("stdout",)])
def test_list_prints_the_rows_before_a_page_that_fails(
    videostat: Videostat, instead: Instead, tty: tuple[str, ...]
) -> None:
    rows = [{"project_id": f"proj_{number}", "status": "processing"} for number in range(100)]

    def answer(request: Request) -> bytes:
        return (
            reply({"code": 0, "data": {"projects": rows, "total": 150}})
            if "page=1" in request.target
            else reply(b"<html>", 502)
        )

    instead("jogg", answer)
    got = videostat("list", "jogg", "--all", tty=tty)
    assert got.code == 6
    assert got.stdout.count("proj_") == 100
    assert "502" in got.stderr


def test_list_on_a_terminal_marks_jobs_with_few_days_left(videostat: Videostat) -> None:
    got = videostat("list", "jogg", "--all", tty=("stdout",))
    for header in ("ID", "STATE", "CREATED", "DAYS LEFT"):
        assert header in got.lines[0]
    assert any("!" in line for line in got.lines)
    assert "\x1b[1;31m" in got.stdout


# At this speed the job stays queued.
@pytest.mark.parametrize("speed", [5])
def test_list_on_a_terminal_shows_progress_error_codes_and_links(
    videostat: Videostat,
) -> None:
    videostat("status", "jogg", "proj_stuck")
    got = videostat("list", "jogg", "--all", tty=("stdout",))
    jobs = videostat("list", "jogg", "--all", "--json").objects
    assert "PROGRESS" in got.lines[0]
    for job in jobs:
        line = next(line for line in got.lines if job["id"] in line)
        assert (job["error_code"] is None) == ("(code" not in line)
        assert ("0%" in line) == (job["id"] == "proj_stuck")
        assert (f"{job['id']}.mp4?" in line) == (job["state"] == "succeeded")
    assert {job["state"] for job in jobs} == {"queued", "succeeded", "failed"}


def test_counter_is_erased_when_stdout_is_the_same_terminal(videostat: Videostat) -> None:
    got = videostat("list", "jogg", "--all", tty=("stdout", "stderr"))
    assert got.stderr.endswith("\r\x1b[K")
    assert videostat("list", "jogg", "--all", "--json", tty=("stdout", "stderr")).stderr == ""


def test_counter_is_shown_only_on_a_terminal(videostat: Videostat) -> None:
    assert "\r1 of " in videostat("list", "jogg", "--all", "--json", tty=("stderr",)).stderr
    assert videostat("list", "jogg", "--all", "--json").stderr == ""
    assert videostat("list", "jogg", "--all", "--quiet", tty=("stderr",)).stderr == ""


@pytest.mark.parametrize("form", [["--json"], []])
def test_list_output_can_be_piped_into_download(videostat: Videostat, tmp_path: Path, form: list[str]) -> None:
    listed = videostat("list", "jogg", "--state", "succeeded", "-n", "3", *form)
    got = videostat("download", "--from", "-", "-q", stdin=listed.stdout)
    assert got.code == 0
    assert len(got.lines) == len(list(tmp_path.glob("*.mp4"))) == 3


def test_listed_jobs_are_recorded_unless_no_history_is_set(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not locate_history().exists()
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    listed = videostat("list", "jogg", "-q", "-n", "4").lines
    assert videostat("history", "-q").lines == listed
    assert videostat("list", "jogg", "-q", "-n", "6", "--no-history").code == 0
    assert videostat("history", "-q").lines == listed


def test_since_limits_the_list_to_newer_jobs(videostat: Videostat) -> None:
    # The sandbox has a job of each 16 hours.
    everything = videostat("list", "jogg", "--all", "-q").lines
    for since, count in (("1h", 0), ("24h", 1), ("40h", 2), ("7d", 10)):
        assert videostat("list", "jogg", "--all", "-q", "--since", since).lines == everything[:count]


def test_page_size_of_the_request_is_the_limit(videostat: Videostat, sandbox: Sandbox) -> None:
    videostat("list", "jogg", "-n", "5")
    assert sandbox.requests[0].query["limit"] == "5"


def test_a_list_is_fetched_again_with_a_key_that_was_replaced(
    videostat: Videostat, instead: Instead, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([reply({"code": 10105}, 401), reply({"code": 0, "data": {"projects": [], "total": 0}})])
    instead("jogg", lambda _: next(answers))
    monkeypatch.setattr("videostat.config.keys.Keys.renew", lambda *_: True)
    assert videostat("list", "jogg").code == 0
