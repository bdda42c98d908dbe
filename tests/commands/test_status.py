"""videostat status: look once at each job, and print them in the given order."""

from __future__ import annotations

import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from loopback import redirect, reply

from videostat import models
from videostat.history import History, locate_history

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conftest import Instead, Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox

FIELDS = [field.name for field in models.FIELDS]

pytestmark = pytest.mark.usefixtures("no_history")


@pytest.fixture
def history(no_history: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the history on again."""
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")


@pytest.fixture
def dead_port() -> int:
    """Return a port on which no program listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("job", "state", "usual", "exit_status"),
    [
        ("jogg:proj_done", "succeeded", 0, 0),
        ("doubao:task_done", "succeeded", 0, 0),
        ("reelbot:reel_done", "succeeded", 0, 0),
        ("jogg-avatar:avatar_done", "succeeded", 0, 0),
        ("jogg-product:product_done_webm", "succeeded", 0, 0),
        ("jogg:proj_stuck", "queued", 0, 8),
        ("doubao:task_fail_done", "failed", 0, 5),
        ("jogg:proj_done_novideo", "succeeded", 0, 9),
        ("reelbot:reel_done_novideo", "succeeded", 0, 9),
        ("reelbot:reel_done_expired", "succeeded", 0, 7),
        ("jogg:nope", "unknown", 7, 7),
        ("jogg:proj_expired", "unknown", 7, 7),
    ],
)
def test_exit_status_option_makes_the_exit_code_tell_the_job_state(
    videostat: Videostat, job: str, state: str, usual: int, exit_status: int
) -> None:
    plain, asked = videostat("status", job, "--json"), videostat("status", job, "--json", "--exit-status")
    assert (plain.code, asked.code) == (usual, exit_status)
    for got in (plain, asked):
        (answer,) = got.objects
        assert (answer["state"], answer["exit_code"]) == (state, exit_status)


@pytest.mark.parametrize(
    ("account", "key", "code"),
    [
        ("jogg", "", 3),
        ("jogg", "mistyped-key", 3),
        ("doubao", "mistyped-key", 3),
        ("reelbot", "mistyped-key", 3),
        ("jogg", "sandbox-jogg-key-without-credit", 4),
        ("doubao", "sandbox-doubao-key-without-credit", 3),
        ("reelbot", "sandbox-reelbot-key-without-credit", 4),
        ("jogg", "two words", 2),
    ],
)
def test_bad_key_gives_one_message_and_an_error_for_every_job(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, account: str, key: str, code: int
) -> None:
    monkeypatch.setenv(f"VIDEOSTAT_{account.upper()}_API_KEY", key)
    got = videostat("status", account, "a", "b", "c", "--json")
    assert got.code == code
    assert [(answer["id"], answer["exit_code"]) for answer in got.objects] == [(name, code) for name in "abc"]
    assert all(answer["error"] for answer in got.objects)
    messages = [line for line in got.stderr.splitlines() if line.startswith("videostat: ")]
    assert len(set(messages)) == 1, messages
    assert not key or key not in got.stdout + got.stderr


def test_refused_key_does_not_affect_other_services(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", "wrong")
    got = videostat("status", "jogg:proj_done", "doubao:task_done", "jogg-avatar:avatar_done", "--json")
    assert got.code == 3
    assert [answer["exit_code"] for answer in got.objects] == [3, 0, 3]


def test_missing_key_message_names_every_place_for_a_key(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOSTAT_REELBOT_API_KEY")
    got = videostat("status", "reelbot", "reel_done")
    assert got.code == 3
    for name in ("set-key reelbot", "VIDEOSTAT_REELBOT_API_KEY", "REELBOT_API_KEY", "api_key", "config.toml"):
        assert name in got.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><html><body>maintenance</body></html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"[" * 100_000 + b"]" * 100_000),
        (200, b'{"code":0,"data":null}'),
        (200, b'{"code":0,"data":{"status":""}}'),
        (200, b'{"code":0,"data":{"status":7}}'),
        (200, b"\xff\xfe\x00"),
        (502, b"<html>Bad Gateway</html>"),
        (500, b'{"code":50000,"msg":"system error"}'),
        (200, b'{"code":99999,"msg":"who knows"}'),
    ],
)
@pytest.mark.parametrize("speed", [100])
def test_invalid_answer_gives_one_message_and_exits_6(
    videostat: Videostat, instead: Instead, status: int, body: bytes
) -> None:
    instead("jogg", reply(body, status))
    got = videostat("status", "jogg", "x", "--json")
    assert got.code == 6
    assert got.objects[0]["exit_code"] == 6
    assert got.stderr.startswith("videostat: jogg x: ")
    assert "Traceback" not in got.stderr
    assert len(got.stderr.splitlines()) <= 2


@pytest.mark.parametrize("speed", [40])
def test_unreachable_server_exits_6(videostat: Videostat, monkeypatch: pytest.MonkeyPatch, dead_port: int) -> None:
    monkeypatch.setenv("VIDEOSTAT_DOUBAO_BASE_URL", f"http://127.0.0.1:{dead_port}")
    got = videostat("status", "doubao:x", "jogg:proj_done", "--json")
    assert got.code == 6
    assert [answer["exit_code"] for answer in got.objects] == [6, 0]
    assert f"127.0.0.1:{dead_port} cannot be reached" in got.stderr


def test_rate_limit_with_a_long_retry_after_exits_4(videostat: Videostat, instead: Instead) -> None:
    server = instead(
        "reelbot",
        reply({"success": False, "code": "RATE_LIMITED", "message": "slow down"}, 429, {"Retry-After": "1800"}),
    )
    got = videostat("status", "reelbot", "x", "--json")
    assert (got.code, got.objects[0]["exit_code"]) == (4, 4)
    assert len(server.requests) == 1


def test_redirect_is_not_followed_and_the_new_base_url_is_given(videostat: Videostat, instead: Instead) -> None:
    server = instead("jogg", redirect("https://new.example.com/v2/project/x"))
    got = videostat("status", "jogg", "x")
    assert got.code == 6
    assert 'base_url = "https://new.example.com"' in got.stderr
    assert len(server.requests) == 1


def test_answers_are_in_the_order_of_the_arguments(videostat: Videostat) -> None:
    jobs = ["reelbot:reel_done", "jogg:proj_stuck", "doubao:task_done", "jogg:nope", "jogg:proj_done"]
    got = videostat("status", *jobs)
    assert [f"{provider}:{job_id}" for provider, job_id, *_ in got.rows] == jobs


def test_repeated_job_is_asked_and_printed_once(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("status", "jogg:proj_done", "jogg", "proj_done", "proj_done")
    assert len(got.lines) == len(sandbox.requests) == 1


def test_status_accepts_not_found_after_one_request(videostat: Videostat, sandbox: Sandbox) -> None:
    assert videostat("status", "doubao", "nope").code == 7
    assert len(sandbox.requests) == 1


def test_output_in_a_pipe_is_tab_separated_without_a_header(videostat: Videostat) -> None:
    got = videostat("status", "jogg", "proj_done", "proj_stuck")
    (done, stuck) = got.rows
    assert done[:3] == ["jogg", "proj_done", "succeeded"]
    assert done[3].startswith("http://127.0.0.1:")
    assert stuck == ["jogg", "proj_stuck", "queued", ""]
    assert got.stderr == ""


def test_output_on_a_terminal_is_a_table_with_the_url_on_one_line(videostat: Videostat) -> None:
    got = videostat("status", "jogg", "proj_done", "proj_stuck", tty=("stdout", "stderr"))
    url = videostat("status", "jogg", "proj_done", "--quiet", "--json").objects[0]["video_url"].partition("?")[0]
    assert "PROVIDER" in got.lines[0]
    lines = [re.sub(r"\x1b\]8;[^\x1b]*\x1b\\", "", line) for line in got.lines]
    assert any(line.startswith("jogg proj_done  " + url) for line in lines)


def test_json_on_a_terminal_has_all_fields(videostat: Videostat) -> None:
    (answer,) = videostat("status", "jogg", "proj_done", "--json", tty=("stdout", "stderr")).objects
    assert list(answer) == FIELDS


@pytest.mark.parametrize(
    ("jobs", "states"),
    [(("jogg", "proj_done", "proj_stuck"), ["succeeded", "queued"]), (("doubao", "task_fail_done"), ["failed"])],
)
def test_quiet_prints_only_states(videostat: Videostat, jobs: Sequence[str], states: list[str]) -> None:
    assert videostat("status", "-q", *jobs).lines == states


def test_quiet_requests_no_download_url(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("status", "-q", "reelbot", "reel_done")
    assert (got.code, got.lines, got.stderr) == (0, ["succeeded"], "")
    assert not [request for request in sandbox.requests if "download" in request.path]


def test_running_job_costs_one_request_and_no_download_url(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("status", "--json", "reelbot", "reel_stuck")
    assert (got.code, got.objects[0]["video_url"], len(sandbox.requests)) == (0, None, 1)
    assert "download" not in sandbox.requests[0].path


def test_undocumented_status_word_is_printed_with_a_warning(videostat: Videostat, instead: Instead) -> None:
    body = {"code": "success", "data": {"task_id": "t", "status": "DREAMING"}}
    instead("doubao", reply(body))
    got = videostat("status", "doubao", "t", "--json", "--exit-status")
    assert (got.code, got.objects[0]["state"], got.objects[0]["status"]) == (8, "unknown", "DREAMING")
    assert "'DREAMING'" in got.stderr


@pytest.mark.usefixtures("history")
def test_unfinished_option_selects_unfinished_jobs_of_the_history(videostat: Videostat) -> None:
    videostat("status", "jogg", "proj_stuck", "proj_done")
    videostat("status", "doubao:task_fail_done", "reelbot:reel_stuck")
    assert {tuple(row[:2]) for row in videostat("status", "--unfinished").rows} == {
        ("jogg", "proj_stuck"),
        ("reelbot", "reel_stuck"),
    }


@pytest.mark.usefixtures("history")
def test_ids_are_in_the_history_before_the_first_request(videostat: Videostat, instead: Instead) -> None:
    known: list[set[str]] = []

    def answer(_: Request) -> bytes:
        with closing(History(locate_history(), warn=pytest.fail)) as history:
            known.append(set(history.find_ids("doubao", 10)))
        return reply({}, 500)

    instead("doubao", answer)
    videostat("status", "doubao", "a", "b")
    assert known[0] == {"a", "b"}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("how", ["option", "variable", "config"])
def test_the_history_can_be_turned_off(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    (tmp_path / "config.toml").write_text("[defaults]\nhistory = false\n")
    if how == "variable":
        monkeypatch.setenv("VIDEOSTAT_NO_HISTORY", "1")
    options = {"option": ["--no-history"], "variable": [], "config": ["--config", "config.toml"]}[how]
    assert videostat("status", "jogg", "proj_stuck", *options).code == 0
    assert not locate_history().exists()
    assert videostat("status", "jogg", "proj_stuck").code == 0
    assert locate_history().exists() == (how != "variable")


@pytest.mark.usefixtures("history")
def test_unfinished_option_reads_the_history_with_no_history(videostat: Videostat) -> None:
    videostat("status", "jogg", "proj_stuck")
    got = videostat("status", "--unfinished", "--no-history")
    assert [row[1] for row in got.rows] == ["proj_stuck"]


@pytest.mark.usefixtures("no_history")
def test_warning_about_an_undocumented_word_does_not_mention_waiting(videostat: Videostat, instead: Instead) -> None:
    body = {"code": "success", "data": {"task_id": "t", "status": "PONDERING"}}
    instead("doubao", reply(body))
    got = videostat("status", "doubao", "t")
    assert "a status it does not document, 'PONDERING'" in got.stderr
    assert "waiting" not in got.stderr
