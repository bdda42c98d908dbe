"""Output for programs: JSON errors, chosen fields, progress as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from videostat import errors, models

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Result, Videostat

pytestmark = pytest.mark.usefixtures("no_history")


def read_error(got: Result) -> dict[str, Any]:
    """Return the error object of the last line; the line above must have the same message."""
    *sentences, last = got.stderr.splitlines()
    found: dict[str, Any] = json.loads(last)["error"]
    assert sentences[0] == f"videostat: {found['message']}"
    assert found["exit_code"] == got.code
    return found


@pytest.mark.parametrize(
    ("argv", "code", "hint"),
    [
        (["wait", "jogg", "--json"], "usage_error", "Add the job's id: videostat wait jogg ID"),
        (["status", "-qj", "nope", "x"], "config_error", None),
        (["wait", "--json", "--timeout", "soon", "jogg", "x"], "usage_error", None),
        (["wait", "--json", "--nonsense"], "usage_error", "See videostat wait --help"),
        (["list", "jogg", "--json", "--limit", "0"], "usage_error", "See videostat list --help"),
        (["download", "jogg", "x", "--json", "--config", "nowhere.toml"], "config_error", None),
        (["config", "check", "nope", "--json"], "config_error", None),
        (["wait", "jogg", "x", "--fields", "nonsense"], "usage_error", None),
    ],
)
def test_wrong_input_gives_an_error_object_with_json(
    videostat: Videostat, argv: list[str], code: str, hint: str | None
) -> None:
    found = read_error(videostat(*argv))
    assert (found["code"], found["retryable"]) == (code, False)
    assert hint in {None, found["hint"]}


@pytest.mark.parametrize("argv", [["wait", "jogg"], ["wait", "jogg:x", "--", "--json"]])
def test_no_error_object_is_printed_without_json(videostat: Videostat, argv: list[str]) -> None:
    assert '"error"' not in videostat(*argv).stderr


def test_error_names_are_unique_and_lowercase() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    names = [kind.name for kind in kinds if issubclass(kind, errors.VideostatError)]
    assert len(names) == len({*names})
    assert all(name == name.lower() and name.replace("_", "").isalpha() for name in names)


# --- fields


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("command", ["status", "wait", "download"])
def test_fields_are_printed_in_the_given_order(videostat: Videostat, command: str) -> None:
    got = videostat(command, "jogg", "proj_done", "--fields", "state,id")
    assert got.lines == ['{"state": "succeeded", "id": "proj_done"}']


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["list", "jogg", "-n", "1"], "id,title"),
        (["providers"], "name,lists"),
        (["config", "show"], "setting,from"),
        (["config", "check", "jogg"], "works,account"),
    ],
)
def test_fields_option_works_in_other_commands_with_json(videostat: Videostat, argv: list[str], names: str) -> None:
    whole = videostat(*argv, "--json").objects
    assert whole
    assert videostat(*argv, "--fields", names).objects == [
        {name: each[name] for name in names.split(",")} for each in whole
    ]


@pytest.mark.parametrize("command", ["status", "wait", "download"])
def test_unknown_field_gives_the_nearest_name(videostat: Videostat, command: str) -> None:
    got = videostat(command, "jogg", "x", "--fields", "state,video_ulr")
    assert got.code == 2
    assert got.stderr.splitlines()[:2] == ["videostat: unknown field 'video_ulr'", "  Did you mean video_url?"]


# --- progress


def read_events(got: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in got.stderr.splitlines()]


@pytest.mark.usefixtures("sandbox")
def test_json_progress_prints_only_json_lines(videostat: Videostat) -> None:
    got = videostat("wait", "doubao", "task_a", "task_fail", "--download", "--progress", "json", "--json")
    assert got.code == 5
    printed = read_events(got)
    assert [each["event"] for each in printed[:2]] == ["start", "start"]
    names = [field.name for field in models.FIELDS + models.SAVING_FIELDS]
    assert all(list(each) == ["event", "time", *names] for each in printed)
    one = [each["event"] for each in printed if each["id"] == "task_a"]
    assert (one[0], one[-2:]) == ("start", ["saved", "end"])
    assert {"change", "heartbeat"} >= {*one[1:-2]}
    ends = [each for each in printed if each["event"] == "end"]
    assert {each["id"]: each["state"] for each in ends} == {"task_a": "succeeded", "task_fail": "failed"}
    assert [{name: each[name] for name in names} for each in ends] == got.objects


@pytest.mark.parametrize("speed", [500])
@pytest.mark.usefixtures("sandbox")
def test_json_progress_prints_heartbeats_without_a_change(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "proj_stuck", "--progress", "json", "--timeout", "150")
    printed = [each["event"] for each in read_events(got) if each["event"] != "change"]
    assert (printed[0], {*printed[1:-1]}, printed[-1]) == ("start", {"heartbeat"}, "end")


@pytest.mark.usefixtures("sandbox")
def test_end_event_after_a_timeout_has_the_resume_command(videostat: Videostat) -> None:
    got = videostat("wait", "jogg:proj_stuck", "doubao:task_stuck", "--progress", "json", "-t", "25")
    hints = {each["hint"] for each in read_events(got) if each["event"] == "end"}
    assert hints == {"videostat wait jogg:proj_stuck doubao:task_stuck --timeout 25 --progress json"}


@pytest.mark.usefixtures("sandbox")
def test_progress_is_set_by_a_variable_and_the_option_wins(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSTAT_PROGRESS", "json")
    assert read_events(videostat("wait", "jogg", "proj_done"))[-1]["event"] == "end"
    assert videostat("wait", "jogg", "proj_done", "--progress", "log").stderr.startswith("waiting for 1 job")
    assert videostat("list", "jogg", "-n", "1").stderr.startswith("videostat: 1 of ")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--progress", "nonsense"], "'nonsense' is not one of 'auto', 'bars', 'log', 'json'"),
        (["--progress", "json", "--quiet"], "--progress json and --quiet contradict each other"),
        (["--progress", "json", "--debug"], "--progress json and --debug contradict each other"),
    ],
)
@pytest.mark.parametrize("command", ["wait", "download"])
def test_invalid_progress_option_exits_2(videostat: Videostat, command: str, argv: list[str], sentence: str) -> None:
    got = videostat(command, "jogg", "x", *argv)
    assert got.code == 2
    assert sentence in got.stderr


@pytest.mark.usefixtures("sandbox")
def test_exec_output_is_inside_the_json_event(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("wait", "jogg", "proj_done", "--progress", "json", "--exec", "echo hello")
    assert got.code == 0
    assert (read_events(got)[-1]["event"], read_events(got)[-1]["output"]) == ("end", "hello")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("tty", [(), ("stdout",)])
def test_shortened_list_says_that_there_is_more(videostat: Videostat, tty: tuple[str, ...]) -> None:
    total = len(videostat("list", "jogg", "--all").lines)
    assert videostat("list", "jogg", "-n", "2", tty=tty).stderr == f"videostat: 2 of {total}; --all shows the rest\n"
    failed = len(videostat("list", "jogg", "--all", "--state", "failed").lines)
    for limit, said in ((failed - 1, f"videostat: the newest {failed - 1}; --all shows the rest\n"), (failed, "")):
        assert videostat("list", "jogg", "-n", str(limit), "--state", "failed", tty=tty).stderr == said
    assert videostat("list", "jogg", "-n", "2", "--quiet", tty=tty).stderr == ""
    assert videostat("list", "jogg", "-n", str(total), tty=tty).stderr == ""
