"""Jobs given by arguments, files, pipes and the history; and the messages for invalid input."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from fakes import EPOCH

from videostat.cli.jobs import keep_newer
from videostat.models import Job, JobRef

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_history")

A, B, C = ("jogg", "proj_done_a"), ("jogg", "proj_done_b"), ("doubao", "task_done_c")
JSON_LINE = json.dumps({"provider": "jogg", "id": "proj_done_a", "state": "running", "more": [1, 2]})


def list_jobs(got: list[list[str]]) -> list[tuple[str, ...]]:
    return [tuple(row[:2]) for row in got]


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["jogg", "proj_done_a"], [A]),
        (["jogg", "proj_done_a", "proj_done_b"], [A, B]),
        (["jogg:proj_done_a", "doubao:task_done_c", "jogg:proj_done_b"], [A, C, B]),
        (["doubao:task_done_c", "jogg", "proj_done_a", "proj_done_b"], [C, A, B]),
        (["doubao:task_done_c", "jogg", "proj_done_a"], [C, A]),
    ],
)
def test_jobs_are_given_as_provider_and_ids_or_provider_colon_id(
    videostat: Videostat, words: list[str], jobs: list[tuple[str, str]]
) -> None:
    assert list_jobs(videostat("status", *words).rows) == jobs


@pytest.mark.parametrize("how", ["file", "stdin"])
@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("jogg proj_done_a\ndoubao:task_done_c\n", [A, C]),
        ("jogg proj_done_a", [A]),
        ("\n# a comment\n  \n   jogg    proj_done_a  \n#\n", [A]),
        ("jogg proj_done_a\r\njogg:proj_done_b\r\n", [A, B]),
        ("\ufeffjogg proj_done_a\n", [A]),
        ("\ufeff# exported\n\ufeffjogg:proj_done_a\n", [A]),
        (f"{JSON_LINE}\n{JSON_LINE}\njogg proj_done_b\n", [A, B]),
        ("jogg\tproj_done_a\tsucceeded\thttps://example.com/a b.mp4\n", [A]),
        ("jogg\tproj_done_a\tqueued\t\n", [A]),
        ("jogg\tproj_done_a\n", [A]),
    ],
)
def test_jobs_are_read_line_by_line_from_a_file_or_stdin(
    videostat: Videostat, tmp_path: Path, how: str, text: str, jobs: list[tuple[str, str]]
) -> None:
    (tmp_path / "jobs.txt").write_bytes(text.encode())
    got = videostat("status", "--from", "jobs.txt") if how == "file" else videostat("status", "--from", "-", stdin=text)
    assert list_jobs(got.rows) == jobs


TABLE = 'Title,Provider,ID\n"Hello, world",jogg,proj_done_a\nBye,doubao,task_done_c\n'


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        (b"\xff\xfe" + "jogg proj_done_a\r\n".encode("utf-16-le"), [A]),
        (b"\xfe\xff" + "jogg proj_done_a\n".encode("utf-16-be"), [A]),
        ("jogg proj_done_a\n".encode("utf-16-le"), [A]),
        ("jogg proj_done_a\n".encode("utf-16-be"), [A]),
        (b"jogg proj_done_a\rjogg proj_done_b\r", [A, B]),
        (b'[{"provider": "jogg", "id": "proj_done_a"},\n {"provider": "doubao", "id": "task_done_c"}]\n', [A, C]),
        (b'[\n  "jogg:proj_done_a",\n  "jogg proj_done_b"\n]', [A, B]),
        (b'{\n  "provider": "jogg",\n  "id": "proj_done_a"\n}\n{"provider": "jogg", "id": "proj_done_b"},\n', [A, B]),
        (b'{"provider": "jogg", "id": "proj_done_a", "title": "a # b"} # mine\n', [A]),
        (b'{"provider": "jogg", "id": 5}\n', [("jogg", "5")]),
        (b'"jogg" "proj_done_a"\n\'jogg:proj_done_b\'\n', [A, B]),
        ("\u201cjogg\u201d \u201cproj_done_a\u201d\n".encode(), [A]),
        (b"jogg proj_done_a # the intro\njogg:proj_done_b\t# the end\n", [A, B]),
        (b'jogg,proj_done_a\n"doubao", "task_done_c"\n', [A, C]),
        (b"provider;id;title\njogg;proj_done_a;x\n", [A]),
        (TABLE.encode(), [A, C]),
        (b"jogg proj_done_a,\njogg:proj_done_b,\n", [A, B]),
    ],
)
def test_job_files_in_common_encodings_and_formats_are_read(
    videostat: Videostat, tmp_path: Path, text: bytes, jobs: list[tuple[str, str]]
) -> None:
    (tmp_path / "jobs").write_bytes(text)
    assert list_jobs(videostat("status", "--from", "jobs").rows) == jobs
    assert list_jobs(videostat("status", "--from", "-", stdin=text).rows) == jobs


@pytest.mark.parametrize(
    "text",
    [
        "proj_done_a\nproj_done_b\n",
        "id\nproj_done_a\nproj_done_b\n",
        "Project ID,Title\nproj_done_a,One\nproj_done_b,Two\n",
        "proj_done_a,One\nproj_done_b,Two\n",
        '["proj_done_a", "proj_done_b"]',
        '[{"id": "proj_done_a"}, {"project_id": "proj_done_b"}]',
        "jogg proj_done_a\nproj_done_b # bare\n",
    ],
)
def test_provider_before_a_file_applies_to_its_bare_ids(videostat: Videostat, text: str) -> None:
    assert list_jobs(videostat("status", "jogg", "--from", "-", stdin=text).rows) == [A, B]


@pytest.mark.parametrize("line", ["{}", "{} x", "x:{}", "AWS_KEY={}", "{},x", '["{}"]', '{{"id": "{}"}}'])
def test_line_without_a_provider_is_not_echoed(videostat: Videostat, sandbox: Sandbox, line: str) -> None:
    got = videostat("wait", "--from", "-", stdin=line.format("hunter2-secret") + "\n")
    assert (got.code, got.stdout) == (2, "")
    assert "hunter2" not in got.stderr
    got = videostat("wait", "jogg", "--from", "-", stdin="hunter2 of bank/paypal\n")
    assert (got.code, got.stdout) == (2, "")
    assert "hunter2" not in got.stderr
    assert not sandbox.requests


def test_long_invalid_id_is_shortened_in_the_message(videostat: Videostat) -> None:
    got = videostat("status", "jogg", "é" + "x" * 5000)
    assert len(got.stderr.splitlines()[0]) < 200


@pytest.mark.parametrize(
    "argv", [["--", "jogg", "-done"], ["jogg:-done"], ["jogg", "--", "-done"], ["--from", "jobs.txt"]]
)
def test_an_id_may_begin_with_a_hyphen(videostat: Videostat, sandbox: Sandbox, tmp_path: Path, argv: list[str]) -> None:
    (tmp_path / "jobs.txt").write_text("jogg -done\n")
    assert list_jobs(videostat("status", *argv).rows) == [("jogg", "-done")]
    assert sandbox.requests[0].path.endswith("/-done")


def test_id_may_contain_colons(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("status", "jogg:a:b", "doubao", "run:2:x", "y")
    assert list_jobs(got.rows) == [("jogg", "a:b"), ("doubao", "run:2:x"), ("doubao", "y")]
    assert {request.path.rpartition("/")[2] for request in sandbox.requests} == {"a:b", "run:2:x", "y"}


def test_query_of_a_url_is_not_echoed(videostat: Videostat) -> None:
    got = videostat("status", "https://cdn.jogg.ai/videos/p.mp4?Signature=hunter2")
    assert got.code == 2
    assert "hunter2" not in got.stderr


def test_slash_between_service_and_id_suggests_the_command(videostat: Videostat) -> None:
    got = videostat("status", "jogg/demo-1")
    assert (got.code, got.stderr.splitlines()[-1]) == (2, "  Did you mean: videostat status jogg demo-1")


def test_command_without_jobs_offers_history_jobs_with_their_number(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("status", "jogg", "proj_stuck_1", "proj_stuck_2", "proj_done_a")
    for command, offered in (
        ("wait", "2 jobs that have not ended: videostat wait --unfinished"),
        ("status", "2 jobs that have not ended: videostat status --unfinished"),
        ("download", "1 job that succeeded and has no file here: videostat download --missing"),
    ):
        got = videostat(command)
        assert got.code == 2
        assert offered in got.stderr


def test_history_jobs_can_be_filtered(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("status", "jogg:proj_stuck", "doubao:task_stuck", "jogg:proj_queued", "jogg:proj_done_a")

    def list_unfinished(*argv: str) -> list[tuple[str, ...]]:
        return sorted(list_jobs(videostat("status", "--unfinished", *argv).rows))

    everything = list_unfinished()
    assert len(everything) == 3
    assert list_unfinished("--provider", "doubao") == [("doubao", "task_stuck")]
    assert list_unfinished("--since", "1h") == everything
    states = {state: list_unfinished("--state", state) for state in ("queued", "running", "failed")}
    assert states["failed"] == []
    assert {*states["queued"], *states["running"]} == {*everything}
    got = videostat("wait", "--unfinished", "--state", "failed")
    assert (got.code, got.stderr) == (
        0,
        "Nothing to do: the history has no matching unfinished job. All jobs: videostat history --all\n",
    )
    assert "Did you mean jogg?" in videostat("wait", "--unfinished", "--provider", "jog").stderr
    assert list_jobs(videostat("download", "--missing", "--provider", "doubao").rows) == []
    assert list_jobs(videostat("download", "--missing", "--provider", "jogg").rows) == [A]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_output_of_one_command_is_input_of_the_next(videostat: Videostat, form: tuple[str, ...]) -> None:
    first = videostat("status", "jogg:proj_done_a", "doubao:task_done_c", "jogg:nope", *form)
    assert list_jobs(videostat("status", "--from", "-", stdin=first.stdout).rows) == [A, C, ("jogg", "nope")]


def test_jobs_from_arguments_and_stdin_are_combined(videostat: Videostat) -> None:
    got = videostat("status", "doubao:task_done_c", "jogg:proj_done_a", "--from", "-", stdin="jogg proj_done_a\n")
    assert list_jobs(got.rows) == [C, A]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("jogg", "expected PROVIDER ID"),
        ("jogg a b", "expected PROVIDER ID"),
        ("jogg ../../etc/passwd", "'../../etc/passwd' is not a job id"),
        ("jogg:", "'' is not a job id"),
        ("jog a", "Did you mean jogg?"),
        ("{", "this is not valid JSON"),
        ("[" * 5000, "expected PROVIDER ID"),
        ('{"provider": "jogg"}', "expected a JSON object"),
        ('{"provider": 5, "id": "a"}', "expected a JSON object"),
        ('{"provider": ["jogg"], "id": "a"}', "expected a JSON object"),
        ('{"provider": "jogg", "id": true}', "expected a JSON object"),
        ('{"provider": "jogg", "id": 5.5}', "expected a JSON object"),
        ("[5]", "expected PROVIDER ID"),
        ("[[]]", "expected a JSON object"),
        ('{"provider": "jogg", "id": ".."}', "'..' is not a job id"),
        ('{"provider": "\\ud800", "id": "a"}', "the provider is not a known service or account"),
        ('{"a":' * 50_000, "this is not valid JSON"),
        ("\x1b[31mjogg a", "the first word is not a known service or account"),
    ],
)
def test_invalid_line_is_reported_by_number_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, line: str, why: str
) -> None:
    text = f"jogg proj_done_a\n\n{line}\njogg proj_done_b\n"
    (tmp_path / "jobs.txt").write_text(text)
    for source, where in (("jobs.txt", "jobs.txt"), ("-", "stdin")):
        got = videostat("wait", "--from", source, stdin=text)
        assert (got.code, got.stdout) == (2, "")
        assert got.stderr.startswith(f"videostat: line 3 of {where}: ")
        assert why in got.stderr
        assert "\x1b" not in got.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["jog", "x"], "Did you mean jogg?"),
        (["Jogg", "x"], "Did you mean jogg?"),
        (["youtube", "x"], "Known are jogg, "),
        ([":x"], "unknown service or account ''"),
        (["jogg"], "no job id after jogg"),
        (["proj_1"], "unknown service or account 'proj_1'"),
        (["jogg:a", "proj_1"], " jogg ID. Known: "),
        (
            ["jogg", "doubao:x"],
            "For the job of doubao: write doubao:x before jogg. For the id of jogg: write jogg:doubao:x",
        ),
        (["jogg", "a", "jogg:b"], "write jogg:b before jogg. For the id of jogg: write jogg:jogg:b"),
        (["demo-1", "jogg"], "the service comes first, then its job ids\n  Did you mean: videostat "),
        (["demo-1", "demo-2", "jogg"], " jogg demo-1 demo-2\n"),
        (["demo-1:jogg"], " jogg demo-1\n"),
        (["https://app.jogg.ai/projects/proj_abc123"], " jogg proj_abc123\n"),
        (["jogg", "https://app.jogg.ai/projects/proj_abc123?tab=1#x"], " jogg proj_abc123\n"),
        (["https://api.jogg.ai/v2/avatar_video/vid_1/"], " jogg-avatar vid_1\n"),
        (["app.jogg.ai/projects/proj_abc123"], " jogg proj_abc123\n"),
        (["https://cdn.jogg.ai/videos/proj_abc123.mp4?sig=0"], " jogg proj_abc123\n"),
        (["https://reelbot.space/#/projects?projectId=42"], " reelbot 42\n"),
        (["https://example.com/x"], " PROVIDER x\n"),
        (["jogg", "https://"], " jogg proj_abc123\n"),
        (["--since", "7d", "jogg", "a"], "--since works only with --"),
        (["--state", "running"], "--state works only with --"),
        (["--provider", "jogg"], "--provider works only with --"),
        ([], "no jobs given"),
        (
            ["jogg", "a", "doubao", "b"],
            "doubao is a service or account, not a job id\n  For several in one command: jogg:ID doubao:ID",
        ),
        (["jogg", ""], "'' is not a job id"),
        (["jogg", ".."], "'..' is not a job id"),
        (["jogg", "a/b"], "'a/b' is not a job id"),
        (["jogg", "a b"], "'a b' is not a job id"),
        (["jogg", "é"], r"'\xe9' is not a job id"),
        (["jogg", "a" * 513], "is not a job id"),
        (["--from", "nowhere.txt"], "cannot read nowhere.txt: No such file"),
        (["--from", "."], "cannot read .: Is a directory"),
        (["--from", "binary.dat"], "binary.dat is not valid UTF-8"),
        (["--from", "empty.txt"], "empty.txt has no jobs"),
        (["--from", "-"], "stdin has no jobs"),
    ],
)
def test_invalid_jobs_are_reported_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, argv: list[str], sentence: str
) -> None:
    (tmp_path / "binary.dat").write_bytes(b"jogg a\n\xff\xfe\x00\n")
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    for command in ("status", "wait", "download"):
        got = videostat(command, *argv)
        assert (got.code, got.stdout) == (2, "")
        assert sentence in got.stderr
        assert got.stderr.startswith("videostat: ")
        assert len(got.stderr.splitlines()) <= 2
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("command", "option"), [("status", "--unfinished"), ("wait", "--unfinished"), ("download", "--missing")]
)
def test_hint_for_a_filter_names_the_option_of_this_command(videostat: Videostat, command: str, option: str) -> None:
    got = videostat(command, "--since", "7d", "jogg", "a")
    assert (got.code, got.stderr) == (
        2,
        f"videostat: --since works only with {option}\n  Add {option}, or leave --since out.\n",
    )


def test_missing_gateway_base_url_says_where_to_set_it(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOSTAT_DOUBAO_BASE_URL")
    got = videostat("status", "doubao", "x")
    assert got.code == 2
    assert "[providers.doubao]" in got.stderr
    assert "VIDEOSTAT_DOUBAO_BASE_URL" in got.stderr


def test_custom_account_is_accepted_as_a_provider(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.eu]\ntype = "doubao"\nbase_url = "{sandbox.get_base_url("doubao")}"\n')
    monkeypatch.setenv("VIDEOSTAT_EU_API_KEY", sandbox.get_key("doubao"))
    got = videostat("status", "doubao:task_done", "eu", "task_done", "--config", config)
    assert list_jobs(got.rows) == [("doubao", "task_done"), ("eu", "task_done")]
    assert got.code == 0


def test_empty_history_exits_0_without_any_request(videostat: Videostat, sandbox: Sandbox) -> None:
    for argv, sentence in (
        (
            ("wait", "--unfinished"),
            "Nothing to do: the history has no unfinished job. All jobs: videostat history --all\n",
        ),
        (
            ("status", "--unfinished"),
            "Nothing to do: the history has no unfinished job. All jobs: videostat history --all\n",
        ),
        (
            ("download", "--missing"),
            "Nothing to save: the history has no job whose file is missing. All jobs: videostat history --all\n",
        ),
    ):
        got = videostat(*argv)
        assert (got.code, got.stdout, got.stderr) == (0, "", sentence)
        assert videostat(*argv, "--quiet").stderr == ""
    assert not sandbox.requests


def test_history_jobs_of_a_removed_account_are_skipped(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.eu]\ntype = "doubao"\nbase_url = "{sandbox.get_base_url("doubao")}"\n')
    monkeypatch.setenv("VIDEOSTAT_EU_API_KEY", sandbox.get_key("doubao"))
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("status", "eu:task_stuck", "jogg:proj_stuck", "--config", config)
    got = videostat("status", "--unfinished")
    assert list_jobs(got.rows) == [("jogg", "proj_stuck")]
    assert got.stderr.startswith("videostat: skipped 1 job of eu: unknown service or account 'eu'")


def test_history_jobs_of_an_account_without_base_url_are_skipped(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("status", "doubao:task_stuck", "doubao:task_queued", "jogg:proj_stuck")
    monkeypatch.delenv("VIDEOSTAT_DOUBAO_BASE_URL")
    got = videostat("status", "--unfinished", "--no-history")
    assert list_jobs(got.rows) == [("jogg", "proj_stuck")]
    skipped, hint = got.stderr.splitlines()
    assert skipped == "videostat: skipped 2 jobs of doubao: doubao needs a base URL"
    assert "VIDEOSTAT_DOUBAO_BASE_URL" in hint


def test_closed_stdin_exits_2_with_one_sentence(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    got = videostat("status", "--from", "-", stdin=None)
    assert (got.code, got.stderr) == (
        2,
        "videostat: stdin is closed: there are no jobs to read\n  Name the jobs, or a file: --from jobs.txt\n",
    )


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        ((), "id\nproj_done_a\n", "line 2 of stdin: the provider is missing"),
        (("jogg",), "proj/../x\n", "line 1 of stdin: this is not a job id"),
        ((), "jogg," + "x" * 200_000, "line 1 of stdin: expected PROVIDER ID"),
        ((), "jogg proj_done_a\n" * 100, "stdin is too large to be a list of jobs"),
    ],
)
def test_a_list_of_jobs_that_cannot_be_read_is_refused(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str, said: str
) -> None:
    if "too large" in said:
        monkeypatch.setattr("videostat.cli.jobfile.LARGEST", 1000)
    got = videostat("status", *words, "--from", "-", stdin=text)
    assert got.code == 2
    assert got.stderr.startswith(f"videostat: {said}")


def test_a_service_list_is_read_until_a_hundred_jobs_in_a_row_are_older() -> None:
    listed = ((Job(ref=JobRef("jogg", f"{n}"), created_at=EPOCH - timedelta(seconds=n)), n) for n in count())
    assert len([*keep_newer(listed, EPOCH - timedelta(seconds=2))]) == 3
    assert next(listed)[1] == 103


def test_saving_unfinished_jobs_names_the_command_for_finished_ones(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("status", "jogg", "proj_done_a")
    got = videostat("wait", "--unfinished", "--download")
    assert "skipped 1 job: succeeded, but not saved here" in got.stderr
    assert "  videostat download --missing\n" in got.stderr
