"""videostat download, and wait --download: save videos from the command line."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest
from loopback import reply

from videostat import models
from videostat.history import locate_history
from videostat.saving.destination import REPLACE

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Instead, Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_history")

SAVING_FIELDS = [field.name for field in models.SAVING_FIELDS]


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("jobs", "code", "saved"),
    [
        (
            "jogg:proj_done doubao:task_done_content reelbot:reel_done",
            0,
            ["doubao-task_done_content.mp4", "jogg-proj_done.mp4", "reelbot-reel_done.mp4"],
        ),
        ("jogg:proj_done_webm", 0, ["jogg-proj_done_webm.webm"]),
        ("doubao:task_fail_done jogg:proj_done", 5, ["jogg-proj_done.mp4"]),
        ("jogg:proj_stuck jogg:proj_done", 8, ["jogg-proj_done.mp4"]),
        ("jogg:nope jogg:proj_done", 7, ["jogg-proj_done.mp4"]),
        ("jogg:proj_done_novideo", 9, []),
        ("doubao:task_done_expired", 9, []),
    ],
)
def test_finished_videos_are_saved_when_another_job_fails(
    videostat: Videostat, tmp_path: Path, jobs: str, code: int, saved: list[str]
) -> None:
    got = videostat("download", "--json", *jobs.split())
    assert got.code == code
    assert list_files(tmp_path) == saved
    assert {answer["id"] for answer in got.objects} == {job.partition(":")[2] for job in jobs.split()}
    for answer in got.objects:
        assert list(answer)[-4:] == SAVING_FIELDS
        assert (answer["file"] in saved) == (answer["exit_code"] == 0)


@pytest.mark.parametrize("account", ["jogg", "reelbot"])
def test_download_without_a_key_exits_3_for_every_job(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    monkeypatch.delenv(f"VIDEOSTAT_{account.upper()}_API_KEY")
    got = videostat("download", "--json", account, "a", "b")
    assert (got.code, [(answer["id"], answer["exit_code"]) for answer in got.objects]) == (3, [("a", 3), ("b", 3)])
    assert list_files(tmp_path) == []


def test_wait_with_download_saves_every_video(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("wait", "--download", "jogg:proj_done", "doubao:task_done")
    assert got.code == 0
    assert sorted(row[3] for row in got.rows) == list_files(tmp_path) == ["doubao-task_done.mp4", "jogg-proj_done.mp4"]


def test_wait_saves_a_video_while_another_job_runs(videostat: Videostat, instead: Instead, tmp_path: Path) -> None:
    def answer(_: Request) -> bytes:
        is_saved = (tmp_path / "jogg-proj_done.mp4").exists()
        return reply({"code": "success", "data": {"task_id": "t", "status": "FAILURE" if is_saved else "IN_PROGRESS"}})

    instead("doubao", answer)
    got = videostat("wait", "--download", "--timeout", "2m", "doubao:t", "jogg:proj_done")
    assert (got.code, [row[1] for row in got.rows]) == (5, ["proj_done", "t"])


@pytest.mark.parametrize(
    "option", [["--output-dir", "."], ["-o", "jogg-proj_done.mp4"], ["--name", "{provider}-{id}.{ext}"]]
)
def test_wait_saves_when_a_folder_or_name_is_given(videostat: Videostat, tmp_path: Path, option: list[str]) -> None:
    assert videostat("wait", "jogg", "proj_done", *option).code == 0
    assert list_files(tmp_path) == ["jogg-proj_done.mp4"]


def test_wait_saves_nothing_without_an_option(videostat: Videostat, tmp_path: Path) -> None:
    assert list(videostat("wait", "--json", "jogg", "proj_done").objects[0]) == [field.name for field in models.FIELDS]
    assert list_files(tmp_path) == []


def test_quiet_prints_the_paths(videostat: Videostat) -> None:
    got = videostat("download", "-q", "jogg:proj_done", "jogg:proj_stuck", "--output-dir", "a/b")
    assert got.lines == ["a/b/jogg-proj_done.mp4"]
    assert got.stderr.startswith("videostat: 1 of 2 not finished yet")


def test_saved_video_causes_no_request(videostat: Videostat, sandbox: Sandbox, tmp_path: Path) -> None:
    videostat("download", "jogg", "proj_done_1")
    before = (tmp_path / "jogg-proj_done_1.mp4").stat()
    sandbox.requests.clear()
    got = videostat("download", "--json", "jogg", "proj_done_1", "proj_done_2")
    assert [(answer["id"], answer["skipped"], answer["exit_code"]) for answer in got.objects] == [
        ("proj_done_1", True, 0),
        ("proj_done_2", False, 0),
    ]
    assert not [request for request in sandbox.requests if "proj_done_1" in request.path]
    after = (tmp_path / "jogg-proj_done_1.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_second_download_prints_the_same_values_as_the_first(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY", raising=False)
    first, second = (videostat("download", "jogg", "proj_done", "--json").objects[0] for _ in range(2))
    # The history does not keep signed addresses.
    signed = {"video_url", "thumbnail_url"}
    differs = {name for name in first if first[name] != second[name]}
    assert differs <= {*signed, "skipped"}
    assert None not in {first[name] for name in ("status", "duration", "resolution", "created_at", "kept_until")}


def test_overwrite_downloads_again(videostat: Videostat, tmp_path: Path) -> None:
    videostat("download", "jogg", "proj_done")
    got = videostat("download", "--overwrite", "--json", "jogg", "proj_done")
    assert (got.code, got.objects[0]["skipped"]) == (0, False)
    (tmp_path / "jogg-proj_done.mp4").write_text("mine")
    assert videostat("download", "--overwrite", "jogg", "proj_done").code == 0
    assert (tmp_path / "jogg-proj_done.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("download", "jogg-proj_done.mp4"),
        ("wait --download", "jogg-proj_done.mov"),
    ],
)
def test_existing_file_that_is_not_the_video_blocks_the_download(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, command: str, name: str
) -> None:
    (tmp_path / name).write_text("hi\n")
    got = videostat(*command.split(), "--json", "jogg", "proj_done")
    assert (got.code, got.objects[0]["file"], got.objects[0]["exit_code"]) == (9, None, 9)
    assert f"{name} already exists" in got.stderr
    assert REPLACE in got.stderr
    assert not [request for request in sandbox.requests if request.path.endswith(".mp4")]
    assert list_files(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "hi\n"


@pytest.mark.parametrize("command", ["download", "wait"])
def test_output_file_that_exists_is_refused_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, command: str
) -> None:
    (tmp_path / "clip.mp4").write_text("hi\n")
    got = videostat(command, "-o", "clip.mp4", "jogg", "proj_done")
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr == (f"videostat: clip.mp4 already exists\n  {REPLACE}\n")
    assert not sandbox.requests
    assert (tmp_path / "clip.mp4").read_text() == "hi\n"


def test_output_file_is_replaced_only_with_overwrite(videostat: Videostat, tmp_path: Path) -> None:
    argv = ("download", "-o", "clip.mp4", "jogg", "proj_done")
    assert [videostat(*argv).code, videostat(*argv).code, videostat(*argv, "--overwrite").code] == [0, 2, 0]
    assert list_files(tmp_path) == ["clip.mp4"]


def test_output_file_with_the_video_of_the_same_job_is_skipped(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    argv = ("download", "--json", "-o", "clip.mp4", "jogg")
    assert [videostat(*argv, "proj_done").objects[0]["skipped"] for _ in range(2)] == [False, True]
    assert videostat(*argv, "proj_done_2").code == 2
    (tmp_path / "clip.mp4").write_text("mine now")
    assert videostat(*argv, "proj_done").code == 2


def test_empty_file_is_replaced(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "jogg-proj_done.mp4").touch()
    assert videostat("download", "jogg", "proj_done").code == 0
    assert (tmp_path / "jogg-proj_done.mp4").stat().st_size > 1000


def test_folder_with_the_name_of_a_video_fails_only_its_job(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "jogg-proj_done_1.mp4").mkdir()
    for command in (("download",), ("wait", "--download")):
        got = videostat(*command, "--json", "jogg", "proj_done_1", "proj_done_2")
        assert got.code == 9
        assert {answer["id"]: answer["exit_code"] for answer in got.objects} == {"proj_done_1": 9, "proj_done_2": 0}
        assert "is not a regular file" in got.stderr


@pytest.mark.parametrize("folder", ["file", "file/below", "dangling", "dangling/below"])
def test_unusable_output_dir_is_refused_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    got = videostat("wait", "--output-dir", folder, "jogg", "proj_done")
    assert (got.code, got.stdout) == (2, "")
    assert "is not a folder that you may write to\n  Choose another with --output-dir." in got.stderr
    assert not sandbox.requests


def test_read_only_folder_is_accepted_when_it_holds_every_video(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert videostat("download", "--output-dir", "kept", "jogg", "proj_done").code == 0
    # The tests may run as root, who may write everywhere.
    monkeypatch.setattr("os.access", lambda path, mode, **_: not mode & os.W_OK)
    assert videostat("download", "--output-dir", "kept", "jogg", "proj_done").code == 0
    assert videostat("download", "--output-dir", "kept", "jogg", "proj_done", "proj_done_2").code == 2
    assert videostat("download", "--output-dir", "kept", "jogg", "proj_done", "--overwrite").code == 2


def test_output_dir_with_a_name_too_long_exits_9(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("download", "--json", "--output-dir", "x" * 300, "jogg", "proj_done")
    assert (got.code, got.objects[0]["exit_code"]) == (9, 9)
    assert "File name too long" in got.stderr


def test_output_dir_replaced_by_a_file_during_the_wait_exits_9(
    videostat: Videostat, instead: Instead, tmp_path: Path
) -> None:
    def answer(_: Request) -> bytes:
        if (tmp_path / "out").is_dir():
            (tmp_path / "out").rmdir()
            (tmp_path / "out").touch()
        video = "https://cdn.example/v.mp4"
        return reply({"code": "success", "data": {"task_id": "t", "status": "SUCCESS", "fail_reason": video}})

    instead("doubao", answer)
    (tmp_path / "out").mkdir()
    got = videostat("wait", "--json", "--output-dir", "out", "doubao:t")
    assert (got.code, got.objects[0]["state"], got.objects[0]["exit_code"]) == (9, "succeeded", 9)
    assert "videostat: doubao t: not saved: out/doubao-t.mp4: Not a directory" in got.stderr.splitlines()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["-o", "clip.mp4", "jogg", "a", "b"], "-o names one file, but there are 2 jobs"),
        (["-o", ".", "jogg", "a"], "is a folder"),
        (["-o", "videos/", "jogg", "a"], "is a folder"),
        (["-o", "-", "jogg", "a"], "not written to stdout"),
        (["--exec", "", "jogg", "a"], "--exec has no command"),
        (["-o", "clip.mp4", "--name", "{id}.{ext}", "jogg", "a"], "-o and --name contradict each other"),
        (["--name", "x.{ext}", "jogg", "a"], "has no {id}"),
        (["--name", "../{id}.{ext}", "jogg", "a"], "contains a folder"),
        (["--name", "{id}.mp4", "jogg", "a"], "does not end in .{ext}"),
        (["--name", "{title}-{id}.{ext}", "jogg", "a"], "unknown field {title}"),
        (["--name", "{id}.{ext}", "jogg:a", "doubao:a"], "would be saved to the same file"),
        (["jogg", "a", "A"], "would be saved to the same file"),
        (["--parallel", "0", "jogg", "a"], "--parallel"),
        (["--parallel", "x", "jogg", "a"], "--parallel"),
        (["--timeout", "5", "jogg", "a"], "--timeout"),
    ],
)
def test_wrong_download_options_are_refused_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, argv: list[str], sentence: str
) -> None:
    got = videostat("download", *argv)
    assert (got.code, got.stdout) == (2, "")
    assert sentence in got.stderr
    assert len(got.stderr.splitlines()) <= 2
    assert not sandbox.requests
    assert list_files(tmp_path) == []


def test_output_option_names_the_file(videostat: Videostat, tmp_path: Path) -> None:
    assert videostat("download", "-o", "clip.mp4", "jogg", "proj_done", "proj_done").code == 0
    assert list_files(tmp_path) == ["clip.mp4"]


def test_output_file_goes_into_the_given_not_the_configured_folder(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[defaults]\noutput_dir = "configured"\n')
    for argv in (["-o", "a.mp4", "--output-dir", "typed"], ["-o", "b.mp4"]):
        assert videostat("download", "--config", "config.toml", *argv, "jogg", "proj_done").code == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mp4")} == {"typed/a.mp4", "b.mp4"}


def test_configured_folder_and_name_are_the_defaults(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[defaults]\noutput_dir = "videos"\nname = "{id}.{ext}"\n')
    videostat("download", "--config", "config.toml", "jogg", "proj_done")
    assert (tmp_path / "videos/proj_done.mp4").is_file()
    videostat("download", "--config", "config.toml", "--output-dir", "others", "jogg", "proj_done")
    assert (tmp_path / "others/proj_done.mp4").is_file()


def test_unfinished_job_gives_the_command_that_waits_and_saves(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("download", "--output-dir", "out", "jogg", "proj_stuck", "proj_done")
    assert got.code == 8
    message, command = got.stderr.splitlines()[-2:]
    assert "1 of 2 not finished yet" in message
    assert shlex.split(command) == "videostat wait --download jogg proj_stuck --output-dir out".split()  # noqa: SIM905 - a command


@pytest.mark.parametrize("behaviour", [{"cut_after": 1000}])
def test_cut_transfer_resumes_where_it_stopped(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("download", "--json", "jogg", "proj_done")
    assert (got.code, got.objects[0]["resumed"]) == (0, 1000)
    assert list_files(tmp_path) == ["jogg-proj_done.mp4"]


@pytest.mark.parametrize(("speed", "behaviour"), [(200, {"bytes_per_second": 100})])
def test_video_not_saved_by_the_deadline_exits_9(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("wait", "--download", "--json", "--timeout", "20", "jogg", "proj_done")
    assert (got.code, got.objects[0]["state"], got.objects[0]["exit_code"]) == (9, "succeeded", 9)
    assert got.stderr.endswith(
        "videostat: jogg proj_done: not saved: the timeout was reached first\n"
        "  Do not generate it again: run the same command again.\n"
    )
    assert not (tmp_path / "jogg-proj_done.mp4").exists()


# --- with the history


@pytest.fixture
def history(no_history: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the history on again."""
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")


@pytest.mark.usefixtures("history")
def test_history_has_the_absolute_path_of_each_file(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videostat("download", "--output-dir", "out", "jogg", "proj_done_1")
    videostat("wait", "-o", "clip.mp4", "jogg", "proj_done_2")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = {answer["id"]: answer["file"] for answer in videostat("history", "--json").objects}
    assert found == {
        "proj_done_1": str(tmp_path / "out/jogg-proj_done_1.mp4"),
        "proj_done_2": str(tmp_path / "clip.mp4"),
    }


@pytest.mark.usefixtures("history")
def test_missing_videos_are_saved_from_the_history(videostat: Videostat, tmp_path: Path) -> None:
    videostat("status", "jogg:proj_done_1", "jogg:proj_stuck", "doubao:task_done_2", "doubao:task_fail_done")
    videostat("download", "jogg", "proj_done_1")
    got = videostat("download", "--missing", "-q")
    assert (got.code, got.lines) == (0, ["doubao-task_done_2.mp4"])
    (tmp_path / "jogg-proj_done_1.mp4").unlink()
    assert videostat("download", "--missing", "-q").lines == ["jogg-proj_done_1.mp4"]
    assert (
        videostat("download", "--missing").stderr
        == "Nothing to save: the history has no job whose file is missing. All jobs: videostat history --all\n"
    )


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("speed", [500])
def test_unfinished_any_saves_the_first_video_of_an_earlier_wait(videostat: Videostat, tmp_path: Path) -> None:
    videostat("wait", "jogg:proj_stuck", "doubao:task_a", "-t", "5")
    got = videostat("wait", "--unfinished", "--download", "--any", "-q", "--timeout", "5m")
    assert (got.code, got.lines) == (0, ["doubao-task_a.mp4"])
    assert list_files(tmp_path) == ["doubao-task_a.mp4"]


@pytest.mark.usefixtures("history")
def test_damaged_history_warns_once_and_videos_are_saved(videostat: Videostat, tmp_path: Path) -> None:
    locate_history().parent.mkdir(parents=True)
    locate_history().write_text("this is no database, and long enough to be told from an empty one" * 20)
    got = videostat("download", "jogg", "proj_done_1", "proj_done_2")
    assert got.code == 0
    assert len(list_files(tmp_path)) == 2
    assert got.stderr.count("; videostat will try again") == 1
    assert got.stderr.count("the history could not be written: these jobs are not recorded: jogg proj_done_1, ") == 1


def test_date_in_a_name_is_the_day_on_which_the_job_ended(videostat: Videostat, tmp_path: Path) -> None:
    (ended,) = {each["completed_at"][:10] for each in videostat("status", "jogg", "proj_done", "--json").objects}
    for is_there in (False, True):
        got = videostat("download", "jogg", "proj_done", "--name", "{date} {provider} {id}.{ext}", "--json")
        assert got.objects[0]["skipped"] is is_there
        assert [path.name for path in tmp_path.iterdir()] == [f"{ended} jogg proj_done.mp4"]


def test_date_in_a_name_is_the_creation_day_without_an_end_time(videostat: Videostat, tmp_path: Path) -> None:
    (begun,) = {each["created_at"][:10] for each in videostat("status", "jogg-avatar", "avatar_done", "--json").objects}
    videostat("wait", "jogg-avatar", "avatar_done", "--download", "--name", "{id}-{date}.{ext}")
    assert [path.name for path in tmp_path.iterdir()] == [f"avatar_done-{begun}.mp4"]


@pytest.fixture
def eu_jogg(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a second account of JoggAI, with the same ids."""
    config = tmp_path.with_name("config.toml")
    config.write_text('[providers.eu-jogg]\ntype = "jogg"\n')
    monkeypatch.setenv("VIDEOSTAT_CONFIG", str(config))
    for name in ("BASE_URL", "API_KEY"):
        monkeypatch.setenv(f"VIDEOSTAT_EU_JOGG_{name}", sandbox.environment[f"VIDEOSTAT_JOGG_{name}"])


@pytest.mark.usefixtures("history", "eu_jogg")
@pytest.mark.parametrize("command", ["download", "wait --download"])
@pytest.mark.parametrize("name", ["{id}.{ext}", "{date} {id}.{ext}"])
def test_file_with_the_video_of_another_job_is_refused(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, command: str, name: str
) -> None:
    first = videostat("download", "jogg", "proj_done", "--name", name, "-q")
    assert first.code == 0
    before = (tmp_path / first.lines[0]).stat()
    sandbox.requests.clear()
    got = videostat(*command.split(), "eu-jogg:proj_done", "jogg:proj_done_8", "--output-dir", ".", "--name", name)
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr == (
        f"videostat: eu-jogg proj_done would be saved to {first.lines[0]}, but that is the video of jogg proj_done\n"
        f"  {REPLACE}\n"
    )
    assert not sandbox.requests
    after = (tmp_path / first.lines[0]).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert videostat("download", "jogg", "proj_done", "--name", name, "--json").objects[0]["skipped"] is True


@pytest.mark.usefixtures("history", "eu_jogg")
@pytest.mark.parametrize("place", [["-o", "7.mp4"], ["--name", "{id}.{ext}"], ["--name", "{id}-{provider}.{ext}"]])
def test_overwritten_file_belongs_to_the_new_job_and_not_the_old(videostat: Videostat, place: list[str]) -> None:
    # With {id}-{provider}, both jobs have the same file name: `proj_done-eu` + `-jogg`, `proj_done` + `-eu-jogg`.
    old, new = ["jogg", "proj_done-eu" if "provider" in place[1] else "proj_done"], ["eu-jogg", "proj_done"]
    assert videostat("download", *old, *place).code == 0
    assert videostat("download", *new, *place).code == 2
    assert videostat("download", *new, *place, "--overwrite").code == 0
    assert videostat("download", *new, *place, "--json").objects[0]["skipped"] is True
    got = videostat("download", *old, *place)
    assert (got.code, f"is the video of {' '.join(new)}" in got.stderr) == (2, True)
    assert [[each["provider"], each["id"]] for each in videostat("history", "--missing", "--json").objects] == [old]


def test_name_without_provider_is_not_skipped_without_a_history(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path
) -> None:
    argv = ("download", "--json", "--name", "{id}.{ext}", "jogg")
    assert videostat(*argv, "proj_done_1").code == 0
    before = (tmp_path / "proj_done_1.mp4").stat()
    got = videostat(*argv, "proj_done_1", "proj_done_2")
    assert (got.code, [answer["exit_code"] for answer in got.objects]) == (9, [9, 0])
    assert "proj_done_1.mp4 already exists" in got.stderr
    assert (tmp_path / "proj_done_1.mp4").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.usefixtures("history")
def test_name_without_provider_is_skipped_with_a_history(videostat: Videostat) -> None:
    argv = ("download", "--json", "--name", "{id}.{ext}", "jogg", "proj_done_webm")
    assert [videostat(*argv).objects[0]["skipped"] for _ in range(2)] == [False, True]


def test_summary_counts_videos_that_were_saved_before(videostat: Videostat) -> None:
    videostat("download", "jogg", "proj_done_1")
    assert "1 saved, 1 already saved, in" in videostat("download", "jogg", "proj_done_1", "proj_done_2").stderr
