"""`curl ... | videostat wait PROVIDER --from -`: read the answer of a service to a create request."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from videostat.cli.kept import keep_text
from videostat.history import locate_history

if TYPE_CHECKING:
    from conftest import Videostat

    from videostat.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_history")


@pytest.mark.parametrize(
    ("provider", "body", "job_id"),
    [
        ("jogg", {"code": 0, "msg": "Success", "data": {"project_id": "proj_done"}}, "proj_done"),
        ("jogg", {"code": 0, "data": {"project_id": 12345}}, "12345"),
        ("jogg-avatar", {"code": 0, "data": {"video_id": "avatar_done"}}, "avatar_done"),
        ("jogg-avatar", {"code": 0, "data": {"project_id": "avatar_done"}}, "avatar_done"),
        ("jogg-product", {"code": 0, "data": {"video_id": "product_done"}}, "product_done"),
        ("jogg-product", {"code": 0, "data": {"project_id": "product_done"}}, "product_done"),
        ("doubao", {"id": "req_1", "task_id": "task_done", "object": "video", "status": "queued"}, "task_done"),
        ("doubao", {"code": "success", "message": "", "data": {"task_id": "task_done"}}, "task_done"),
        ("reelbot", {"success": True, "projectId": "reel_done", "status": "queued"}, "reel_done"),
    ],
)
def test_job_id_is_found_in_the_create_answer_of_each_service(
    videostat: Videostat, tmp_path: Path, provider: str, body: object, job_id: str
) -> None:
    for text in (json.dumps(body), json.dumps(body, indent=2), json.dumps([body])):
        got = videostat("status", provider, "--from", "-", stdin=text)
        assert [row[:2] for row in got.rows] == [[provider, job_id]], got
    (tmp_path / "answer.json").write_text(json.dumps(body))
    assert videostat("status", provider, "--from", "answer.json").rows[0][1] == job_id


def test_create_answers_json_lines_and_bare_ids_can_be_mixed(videostat: Videostat) -> None:
    bodies = ({"code": 0, "data": {"project_id": "proj_done_a"}}, {"provider": "doubao", "id": "task_done"})
    got = videostat("status", "jogg", "--from", "-", stdin="".join(map(json.dumps, bodies)) + "\nproj_done_b\n")
    assert [row[1] for row in got.rows] == ["proj_done_a", "task_done", "proj_done_b"]


@pytest.mark.parametrize(
    ("provider", "body", "code", "said"),
    [
        ("jogg", {"code": 10105, "msg": "Invalid API key"}, 3, "Invalid API key"),
        ("jogg", {"code": 18020, "msg": "Insufficient credit", "data": None}, 4, "Insufficient credit"),
        ("jogg", {"code": 429, "msg": "slow down"}, 4, "slow down"),
        ("jogg", {"code": 50000, "msg": "System error"}, 6, "System error"),
        ("jogg", {"code": 40000, "msg": "script is required"}, 6, "script is required"),
        ("jogg", {"code": 77777, "msg": "who knows"}, 6, "who knows"),
        ("doubao", {"error": {"message": "Invalid token", "type": "new_api_error", "code": ""}}, 3, "Invalid token"),
        (
            "doubao",
            {"error": {"message": "no channel", "type": "new_api_error", "code": "model_not_found"}},
            6,
            "no ch",
        ),
        ("reelbot", {"success": False, "code": "QUOTA_EXCEEDED", "message": "upgrade"}, 4, "upgrade"),
        ("reelbot", {"success": False, "code": "UNAUTHORIZED", "message": "bad key"}, 3, "bad key"),
        ("reelbot", {"success": False, "code": "VALIDATION_ERROR", "message": "prompt"}, 6, "prompt"),
    ],
)
def test_create_answer_with_an_error_gives_its_message_and_exit_code(
    videostat: Videostat, provider: str, body: object, code: int, said: str
) -> None:
    got = videostat("wait", provider, "--from", "-", stdin=json.dumps(body))
    assert (got.code, got.stdout) == (code, ""), got
    assert said in got.stderr
    assert "HTTP" not in got.stderr
    assert "no such job" not in got.stderr


def list_kept_files() -> list[Path]:
    return [*locate_history().parent.glob("answer-*")]


def test_documented_error_answer_is_not_kept_in_a_file(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "--from", "-", stdin='{"code": 18020, "msg": "no credit"}')
    assert (got.code, "answer-" in got.stderr, list_kept_files()) == (4, False, [])


def find_kept_file(stderr: str) -> Path:
    (path,) = [Path(word) for line in stderr.splitlines() for word in line.split() if "answer-" in word]
    return path


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"code": 0, "data": {"vid": "hunter2"}}),
        json.dumps({"hello": "hunter2"}),
        json.dumps({"code": 31, "msg": "made", "data": {"vid": "hunter2"}}),
        json.dumps({"code": 0, "data": {"project_id": "hunter2/../x"}}),
        '{"code": 0, "data": {"project_id": "hunter2',
    ],
)
def test_answer_without_a_valid_id_exits_2_and_is_kept_in_a_private_file(
    videostat: Videostat, sandbox: Sandbox, text: str
) -> None:
    got = videostat("wait", "jogg", "--from", "-", stdin=text)
    assert (got.code, got.stdout) == (2, "")
    assert "hunter2" not in got.stderr
    assert [find_kept_file(got.stderr)] == list_kept_files()
    assert find_kept_file(got.stderr).read_text() == text
    assert stat.S_IMODE(find_kept_file(got.stderr).stat().st_mode) == 0o600
    assert not sandbox.requests


def test_answer_read_from_a_file_is_not_kept_again(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "made.json").write_text('{"hello": 1}')
    got = videostat("wait", "jogg", "--from", "made.json")
    assert got.code == 2
    assert "made.json" in got.stderr
    assert "answer-" not in got.stderr
    assert list_kept_files() == []


def test_error_among_several_answers_keeps_all_of_them_in_a_file(videostat: Videostat) -> None:
    bodies: list[Any] = [{"code": 0, "data": {"project_id": "proj_done"}}, {"code": 18020, "msg": "no credit"}]
    got = videostat("wait", "jogg", "--from", "-", stdin="\n".join(map(json.dumps, bodies)))
    assert got.code == 4
    assert "proj_done" in find_kept_file(got.stderr).read_text()


def test_answer_file_that_cannot_be_written_is_not_named(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("videostat.cli.kept.write_private_file", refuse)
    got = videostat("wait", "jogg", "--from", "-", stdin='{"hello": 1}')
    assert (got.code, got.stdout) == (2, "")
    assert "cannot find a job id of jogg" in got.stderr
    assert "answer-" not in got.stderr
    assert list_kept_files() == []


def test_without_a_home_no_text_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("videostat.cli.kept.locate_history", lambda: Path("~/videostat/history.db"))
    assert keep_text("answer", "{}", ".json") is None
    assert not [*tmp_path.iterdir()]
