"""What programs read: JSON errors, chosen fields, progress as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from videostat import errors, models

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Result, Videostat

pytestmark = pytest.mark.usefixtures("no_history")


def error(got: Result) -> dict[str, Any]:
    """Return the error object, which must be the last line, below the sentence that says the same."""
    *sentences, last = got.stderr.splitlines()
    found: dict[str, Any] = json.loads(last)["error"]
    assert sentences[0] == f"videostat: {found['message']}"
    assert found["exit_code"] == got.code
    return found


@pytest.mark.parametrize(
    ("argv", "code", "hint"),
    [
        (["wait", "jogg", "--json"], "usage_error", "Give its id too: jogg ID"),
        (["status", "-qj", "nope", "x"], "config_error", None),
        (["wait", "--json", "--timeout", "soon", "jogg", "x"], "usage_error", None),
        (["wait", "--json", "--nonsense"], "usage_error", "See videostat wait --help"),
        (["list", "jogg", "--json", "--limit", "0"], "usage_error", "See videostat list --help"),
        (["download", "jogg", "x", "--json", "--config", "nowhere.toml"], "config_error", None),
        (["config", "check", "nope", "--json"], "config_error", None),
        (["wait", "jogg", "x", "--fields", "nonsense"], "usage_error", None),
    ],
)
def test_what_cannot_be_carried_out_is_an_object_for_programs(
    videostat: Videostat, argv: list[str], code: str, hint: str | None
) -> None:
    found = error(videostat(*argv))
    assert (found["code"], found["retryable"]) == (code, False)
    assert hint in {None, found["hint"]}


@pytest.mark.parametrize("argv", [["wait", "jogg"], ["wait", "jogg:x", "--", "--json"]])
def test_people_get_sentences_alone(videostat: Videostat, argv: list[str]) -> None:
    assert '"error"' not in videostat(*argv).stderr


def test_each_error_has_a_name_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    names = [kind.name for kind in kinds if issubclass(kind, errors.VideostatError)]
    assert len(names) == len({*names})
    assert all(name == name.lower() and name.replace("_", "").isalpha() for name in names)


# --- fields


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("command", ["status", "wait", "download"])
def test_fields_are_chosen_in_their_order(videostat: Videostat, command: str) -> None:
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
def test_fields_are_chosen_wherever_there_is_json(videostat: Videostat, argv: list[str], names: str) -> None:
    whole = videostat(*argv, "--json").objects
    assert whole
    assert videostat(*argv, "--fields", names).objects == [
        {name: each[name] for name in names.split(",")} for each in whole
    ]


@pytest.mark.parametrize("command", ["status", "wait", "download"])
def test_an_unknown_field_names_the_nearest(videostat: Videostat, command: str) -> None:
    got = videostat(command, "jogg", "x", "--fields", "state,video_ulr")
    assert got.code == 2
    assert got.stderr.splitlines()[:2] == ["videostat: unknown field 'video_ulr'", "  Did you mean video_url?"]


# --- progress


def events(got: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in got.stderr.splitlines()]


@pytest.mark.usefixtures("sandbox")
def test_progress_is_told_as_json_lines_and_nothing_else(videostat: Videostat) -> None:
    got = videostat("wait", "doubao", "task_a", "task_fail", "--download", "--progress", "json", "--json")
    assert got.code == 5
    told = events(got)
    assert [each["event"] for each in told[:2]] == ["start", "start"]
    names = [field.name for field in models.FIELDS + models.SAVING_FIELDS]
    assert all(list(each) == ["event", "time", *names] for each in told)
    one = [each["event"] for each in told if each["id"] == "task_a"]
    assert (one[0], one[-2:]) == ("start", ["saved", "end"])
    assert {"change", "heartbeat"} >= {*one[1:-2]}
    ends = [each for each in told if each["event"] == "end"]
    assert {each["id"]: each["state"] for each in ends} == {"task_a": "succeeded", "task_fail": "failed"}
    assert [{name: each[name] for name in names} for each in ends] == got.objects


@pytest.mark.parametrize("speed", [500])
@pytest.mark.usefixtures("sandbox")
def test_a_minute_without_a_change_is_a_heartbeat(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "proj_stuck", "--progress", "json", "--timeout", "150")
    told = [each["event"] for each in events(got) if each["event"] != "change"]
    assert (told[0], {*told[1:-1]}, told[-1]) == ("start", {"heartbeat"}, "end")


@pytest.mark.usefixtures("sandbox")
def test_the_hint_of_a_wait_that_ended_first_is_the_command_that_resumes_it(videostat: Videostat) -> None:
    got = videostat("wait", "jogg:proj_stuck", "doubao:task_stuck", "--progress", "json", "-t", "25")
    hints = {each["hint"] for each in events(got) if each["event"] == "end"}
    assert hints == {"videostat wait jogg:proj_stuck doubao:task_stuck --timeout 25 --progress json"}


@pytest.mark.usefixtures("sandbox")
def test_progress_can_be_chosen_by_a_variable(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_PROGRESS", "json")
    assert events(videostat("wait", "jogg", "proj_done"))[-1]["event"] == "end"
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
def test_a_progress_that_cannot_be_is_wrong_usage(
    videostat: Videostat, command: str, argv: list[str], sentence: str
) -> None:
    got = videostat(command, "jogg", "x", *argv)
    assert got.code == 2
    assert sentence in got.stderr


@pytest.mark.usefixtures("sandbox")
def test_what_a_command_of_the_person_prints_is_no_json_line(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("wait", "jogg", "proj_done", "--progress", "json", "--exec", "echo hello")
    assert got.code == 0
    assert (events(got)[-1]["event"], events(got)[-1]["output"]) == ("end", "hello")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("tty", [(), ("stdout",)])
def test_a_list_that_was_cut_says_so(videostat: Videostat, tty: tuple[str, ...]) -> None:
    total = len(videostat("list", "jogg", "--all").lines)
    assert videostat("list", "jogg", "-n", "2", tty=tty).stderr == f"videostat: 2 of {total}; --all shows the rest\n"
    assert videostat("list", "jogg", "-n", "1", "--state", "failed", tty=tty).stderr in {
        "",
        "videostat: the newest 1; --all shows the rest\n",
    }
    assert videostat("list", "jogg", "-n", "2", "--quiet", tty=tty).stderr == ""
    assert videostat("list", "jogg", "-n", str(total), tty=tty).stderr == ""
