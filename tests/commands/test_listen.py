"""videostat listen: receive webhooks; look at, save and pass on each announced job, until a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from videostat.history import locate_history
from videostat.hooks.delivery import sign
from videostat.sandbox.webhooks import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox

PATH = "/hooks/k3JxT0p9QwEr7yUiOpAsDf"

# The program runs in real time; the sandbox is faster.
SPEED = 60


@pytest.fixture
def speed() -> float:
    return SPEED


@pytest.fixture
def behaviour(port: int) -> Mapping[str, Any]:
    return {"webhook": f"http://127.0.0.1:{port}{PATH}"}


class Listener:
    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.process, self.folder, self.url = process, folder, f"http://127.0.0.1:{port}"

    def post(self, content: object, *, secret: str | None = SECRET) -> int:
        body = json.dumps(content).encode()
        headers = {"X-Webhook-Signature": sign(secret, body)} if secret else {}
        return requests.post(self.url + PATH, body, headers=headers, timeout=10).status_code

    def saved(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.mp4")}

    def end(self, signum: int = signal.SIGTERM) -> tuple[str, str]:
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == -signum
        return out, err


@pytest.fixture
def listen(tmp_path: Path, port: int) -> Callable[..., Any]:
    @contextmanager
    def listen(
        *argv: str, providers: tuple[str, ...] = ("jogg", "jogg-avatar"), saves: bool = True, setup: str = ""
    ) -> Iterator[Listener]:
        program = f"{setup}; from videostat.commands import main; main()"
        start = ["-c", program] if setup else ["-m", "videostat"]
        command = [sys.executable, *start, "listen", *providers, "--listen", f"{port}{PATH}"]
        command += [*(["--output-dir", str(tmp_path)] if saves else []), *argv]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), cwd=tmp_path
        )
        try:
            ends = time.monotonic() + 20
            while time.monotonic() < ends:
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield Listener(process, port, tmp_path)
        finally:
            process.kill()
            process.communicate()

    return listen


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    assert condition()


def make_event(job_id: str, kind: str = "video", end: str = "success") -> dict[str, object]:
    return {"event": f"generated_{kind}_{end}", "data": {"project_id" if kind == "video" else "video_id": job_id}}


def find_looks(sandbox: Sandbox) -> list[str]:
    return [each.path for each in sandbox.requests if re.search(r"/v2/(project|avatar_video)/", each.path)]


def test_announced_jobs_are_looked_at_saved_and_passed_to_exec(
    listen: Callable[..., Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    with listen("--json", "--exec", f"{sys.executable} -c \"open('{{id}}.txt', 'w')\"") as listener:
        assert listener.post(make_event("proj_done_one")) == 204
        assert listener.post(make_event("avatar_done_two", "avatar_video")) == 204
        # A job is printed after its command, which a signal would end.
        answers = {each["id"]: each for each in (json.loads(listener.process.stdout.readline()) for _ in range(2))}
        _, err = listener.end()
    assert (tmp_path / "proj_done_one.txt").exists()
    assert (tmp_path / "avatar_done_two.txt").exists()
    assert {name: each["exit_code"] for name, each in answers.items()} == {"proj_done_one": 0, "avatar_done_two": 0}
    assert listener.saved() == {"jogg-proj_done_one.mp4", "jogg-avatar-avatar_done_two.mp4"}
    assert len(find_looks(sandbox)) == 2
    lines = [line for line in err.splitlines() if "proj_done_one" in line]
    assert lines
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d jogg proj_done_one: ", line) for line in lines)


@pytest.mark.usefixtures("sandbox")
def test_quiet_prints_only_saved_files_and_errors(listen: Callable[..., Any], tmp_path: Path) -> None:
    with listen("--quiet", providers=("jogg",)) as listener:
        for job_id in ("proj_done_one", "proj_fail_done"):
            assert listener.post(make_event(job_id)) == 204
        wait_until(lambda: listener.saved() == {"jogg-proj_done_one.mp4"})
        assert listener.process.stderr.readline().startswith("videostat: jogg proj_fail_done failed: ")
        out, _ = listener.end()
    assert out == f"{tmp_path / 'jogg-proj_done_one.mp4'}\n"


@pytest.mark.slow
@pytest.mark.parametrize("saves", [True, False])
def test_repeated_delivery_after_a_restart_runs_exec_once(
    listen: Callable[..., Any], sandbox: Sandbox, tmp_path: Path, *, saves: bool
) -> None:
    # The command removes the file; the file must not be downloaded again.
    code = "import pathlib, sys; open('log', 'a').write('{id} ')" + "; pathlib.Path(sys.argv[1]).unlink()" * saves
    command = f'{sys.executable} -c "{code}"' + " {file}" * saves
    # After a restart, no floor of an earlier look delays a second look.
    for _ in range(2):
        with listen("--exec", command, saves=saves) as listener:
            assert listener.post(make_event("proj_done_one")) == 204
            wait_until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text() and not listener.saved())
            time.sleep(0.3)
            listener.end()
    assert (tmp_path / "log").read_text() == "proj_done_one "
    assert len(find_looks(sandbox)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.usefixtures("sandbox")
def test_restart_loses_no_exec_command(listen: Callable[..., Any], tmp_path: Path, *, saves: bool, signum: int) -> None:
    code = "import time; time.sleep(0.4); open('log', 'a').write('{id} ')"
    command, log = f'{sys.executable} -c "{code}"', tmp_path / "log"
    ids = {f"proj_done_{number}" for number in range(3)}
    with listen("--exec", command, saves=saves) as listener:
        for job_id in ids:
            assert listener.post(make_event(job_id)) == 204
        # One command has ended, one is running, and one is in the queue.
        wait_until(lambda: log.exists() and log.read_text())
        time.sleep(0.1)
        listener.process.send_signal(signum)
        listener.process.communicate(timeout=10)
    with listen("--exec", command, saves=saves):
        wait_until(lambda: ids <= {*log.read_text().split()})


@pytest.mark.slow
def test_jobs_answered_with_204_are_in_the_history(listen: Callable[..., Any], sandbox: Sandbox) -> None:
    quickly = (
        "from videostat.cli import listening; listening.RECORDED_WITHIN = 0.6; from videostat.history import History; "
        "History.__init__.__kwdefaults__['lock_timeout'] = 0.1"
    )
    with listen(saves=False, setup=quickly) as listener:
        assert listener.post(make_event("proj_run_first")) == 204
        wait_until(lambda: find_looks(sandbox))
        with closing(sqlite3.connect(locate_history(), isolation_level=None, timeout=5)) as other:
            # Another program holds the lock for longer than recording and a delivery may take.
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(requests.ConnectionError):
                listener.post(make_event("proj_run_0001"))
            other.execute("ROLLBACK")
            assert listener.post(make_event("proj_run_0002")) == 204
            listener.process.kill()
            listener.process.wait()
            known = {row[0] for row in other.execute("SELECT id FROM job")}
    assert {"proj_run_first", "proj_run_0002"} <= known


@pytest.mark.slow
def test_unknown_id_costs_one_look_and_other_events_cost_none(listen: Callable[..., Any], sandbox: Sandbox) -> None:
    with listen() as listener:
        others: list[object] = [make_event("photo_123456", "image"), {"event": "x"}, [], make_event("a b"), None]
        for content in others:
            assert listener.post(content) == 204
        assert listener.post(make_event("nobody-knows-it")) == 204
        wait_until(lambda: find_looks(sandbox))
        assert listener.post(make_event("proj_done_one"), secret=None) == 401
        assert listener.post(make_event("proj_done_one"), secret="whsec_wrong") == 401
        time.sleep(0.5)
        out, err = listener.end(signal.SIGINT)
    assert [path.rpartition("/")[2] for path in find_looks(sandbox)] == ["nobody-knows-it"]
    assert err.count("refused a delivery with a wrong signature") == 1
    assert SECRET not in out + err


@pytest.mark.usefixtures("sandbox")
def test_health_address_answers_200(listen: Callable[..., Any]) -> None:
    with listen() as listener:
        assert requests.get(f"{listener.url}/healthz", timeout=5).status_code == 200
        assert requests.get(f"{listener.url}/", timeout=5).status_code == 404
        listener.end()


@pytest.mark.slow
def test_announced_videos_are_saved_after_a_kill_and_a_restart(listen: Callable[..., Any], sandbox: Sandbox) -> None:
    ids = [f"proj_done_{number:03}" for number in range(60)]
    taken: list[str] = []
    with listen() as listener:
        for job_id in ids:
            if len(taken) == 25:
                listener.process.kill()
            try:
                if listener.post(make_event(job_id)) == 204:
                    taken.append(job_id)
            except requests.ConnectionError:
                break
    assert 25 <= len(taken) <= 26
    with listen() as listener:
        wait_until(lambda: len(listener.saved()) >= len(taken))
        assert listener.saved() >= {f"jogg-{job_id}.mp4" for job_id in taken}
        assert not [*listener.folder.glob("*.part")]
        listener.end()


@pytest.mark.slow
def test_webhooks_of_the_sandbox_are_received(listen: Callable[..., Any], sandbox: Sandbox) -> None:
    headers = {"x-api-key": sandbox.get_key("jogg")}
    with listen() as listener:
        url = f"{sandbox.get_base_url('jogg')}/v2/avatar"
        answers = [requests.post(url, json={"prompt": "x"}, headers=headers, timeout=5).json() for _ in range(5)]
        names = {f"jogg-{answer['data']['project_id']}.mp4" for answer in answers}
        wait_until(lambda: listener.saved() == names)
        listener.end()
    assert [each.status for each in sandbox.posted] == [204] * 5
    assert len(find_looks(sandbox)) == 5


@pytest.mark.slow
def test_job_with_a_lost_webhook_is_found_in_the_list(listen: Callable[..., Any], sandbox: Sandbox) -> None:
    headers = {"x-api-key": sandbox.get_key("jogg")}
    url = f"{sandbox.get_base_url('jogg')}/v2/avatar"
    body = {"prompt": "x", "sandbox": "lost"}
    with listen(setup="from videostat.cli import listening; listening.LIST_EVERY = 1") as listener:
        answer = requests.post(url, json=body, headers=headers, timeout=5).json()
        wait_until(lambda: listener.saved() == {f"jogg-{answer['data']['project_id']}.mp4"})
        listener.end()
    assert list(sandbox.posted) == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["reelbot"], "reelbot has no documented webhooks"),
        (["jog"], "Did you mean jogg?"),
        (["doubao", "--listen", "0/short"], "needs at least 22 characters"),
        (["jogg", "--listen", "x"], "is not [HOST:]PORT[/PATH]"),
        (["jogg", "--listen", "0", "--name", "{provider}.{ext}"], "would be saved to the same file"),
        (["jogg", "--listen", "no-such-host.invalid:0/abcdefghijklmnopqrstuv"], "cannot listen on no-such-host"),
    ],
)
def test_wrong_listen_arguments_are_refused_before_any_request(
    videostat: Videostat, sandbox: Sandbox, argv: list[str], message: str
) -> None:
    got = videostat("listen", *argv)
    assert (got.code, got.stdout, list(sandbox.requests)) == (2, "", [])
    assert message in got.stderr


def test_listen_without_a_key_exits_3_before_it_listens(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    got = videostat("listen", "jogg", "--listen", "0")
    assert got.code == 3
    assert "no key is configured" in got.stderr
    assert "Listening" not in got.stderr


def test_listen_requires_a_webhook_secret_or_a_long_path(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET")
    got = videostat("listen", "jogg", "--listen", "0/hooks")
    assert got.code == 2
    assert "jogg has no webhook_secret, so it needs at least 22 characters" in got.stderr
