"""videostat demo: wait for and save videos of the sandbox, with no key and no network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pexpect  # type: ignore[import-untyped]
import pytest

from videostat.commands import demo
from videostat.sandbox import ORDERS, videos

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Videostat

# pexpect forks a process with threads; it is safe, as the child executes a program at once.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

SPEED = 300


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_saved_videos(folder: Path) -> list[Path]:
    """Return the files that the demo saved, and check that each begins like a video."""
    found = sorted((folder / "videostat-demo").iterdir())
    assert all(b"ftyp" in path.read_bytes()[:12] for path in found)
    return found


def test_demo_ignores_a_configured_proxy(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(demo, "SPEED", SPEED)
    assert videostat("demo").code == 0


def test_demo_in_a_pipe_saves_the_videos_of_all_services(
    videostat: Videostat, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SPEED", SPEED)
    got = videostat("demo")
    assert got.code == 0
    assert sorted(row[3] for row in got.rows) == [
        str(path.relative_to(tmp_path)) for path in list_saved_videos(tmp_path)
    ]
    assert {row[0] for row in got.rows} == {name for name, *_ in ORDERS}
    assert "videostat wait jogg proj_abc123" in got.stderr
    assert "\x1b" not in got.stdout + got.stderr
    # The jobs are not real: no history is written.
    assert list(home.iterdir()) == []


def test_demo_can_be_run_twice(videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "SPEED", SPEED)
    assert videostat("demo").code == videostat("demo").code == 0


def test_demo_on_a_terminal_draws_progress_and_exits_0(working_folder: Path) -> None:
    program = f"from videostat.commands import demo, main; demo.SPEED = {SPEED}; main()"
    child = pexpect.spawn(sys.executable, ["-c", program, "demo"], encoding="utf-8", timeout=30, dimensions=(30, 120))
    child.expect(pexpect.EOF)
    child.close()
    screen = str(child.before)
    assert (child.exitstatus, child.signalstatus) == (0, None)
    assert len(list_saved_videos(working_folder)) == len(ORDERS)
    assert "━" in screen or "#" in screen
    assert "JoggAI sends a webhook when a video is ready." in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")


@pytest.mark.parametrize("command", [("demo",), ("sandbox", "--port", "0")])
def test_missing_media_file_is_named(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("videostat.sandbox.videos.files", lambda _: tmp_path)
    monkeypatch.setattr("videostat.sandbox.videos._read", videos._read.__wrapped__)
    got = videostat(*command)
    assert (got.code, got.stdout) == (2, "")
    assert "this installation lacks videostat/sandbox/media/testsrc.mp4" in got.stderr


def test_missing_config_template_is_named(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path / "nowhere")
    got = videostat("config", "init")
    assert got.code == 2
    assert "this installation lacks config.example.toml" in got.stderr


def test_demo_in_a_folder_that_cannot_be_written_submits_nothing(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videostat-demo").touch()
    got = videostat("demo")
    assert (got.code, got.stdout) == (2, "")
    sentence, hint = got.stderr.splitlines()
    assert sentence.startswith(f"videostat: cannot save in {tmp_path}/videostat-demo: ")
    assert hint == "  Run the demo in a folder that you may write to."
