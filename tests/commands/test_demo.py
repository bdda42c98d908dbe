"""videostat demo: everything once, against the sandbox, with no key and no network."""

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

# pexpect forks, and the sandbox's threads do not matter to what it then executes.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

SPEED = 300


@pytest.fixture
def home_cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(folder: Path) -> list[Path]:
    """What it left behind, each a whole video."""
    found = sorted((folder / "videostat-demo").iterdir())
    assert all(b"ftyp" in path.read_bytes()[:12] for path in found)
    return found


def test_a_companys_proxy_is_not_asked(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(demo, "SPEED", SPEED)
    assert videostat("demo").code == 0


def test_in_a_pipe_it_saves_the_videos_of_all_services_and_exits_0(
    videostat: Videostat, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SPEED", SPEED)
    got = videostat("demo")
    assert got.code == 0
    assert sorted(row[3] for row in got.rows) == [str(path.relative_to(tmp_path)) for path in saved(tmp_path)]
    assert {row[0] for row in got.rows} == {name for name, *_ in ORDERS}
    assert "videostat wait jogg proj_abc123" in got.stderr
    assert "\x1b" not in got.stdout + got.stderr
    # It is nobody's real job, and leaves nothing at home.
    assert list(home.iterdir()) == []


def test_it_can_be_seen_again(videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "SPEED", SPEED)
    assert videostat("demo").code == videostat("demo").code == 0


def test_on_a_terminal_it_draws_and_exits_0(home_cwd: Path) -> None:
    program = f"from videostat.commands import demo, main; demo.SPEED = {SPEED}; main()"
    child = pexpect.spawn(sys.executable, ["-c", program, "demo"], encoding="utf-8", timeout=30, dimensions=(30, 120))
    child.expect(pexpect.EOF)
    child.close()
    screen = str(child.before)
    assert (child.exitstatus, child.signalstatus) == (0, None)
    assert len(saved(home_cwd)) == len(ORDERS)
    assert "━" in screen or "#" in screen
    assert "JoggAI sends a webhook when a video is ready." in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")


@pytest.mark.parametrize("command", [("demo",), ("sandbox", "--port", "0")])
def test_a_file_that_the_installation_lacks_is_named(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("videostat.sandbox.videos.files", lambda _: tmp_path)
    monkeypatch.setattr("videostat.sandbox.videos._read", videos._read.__wrapped__)
    got = videostat(*command)
    assert (got.code, got.stdout) == (2, "")
    assert "this installation lacks videostat/sandbox/media/testsrc.mp4" in got.stderr


def test_a_template_that_the_installation_lacks_is_named(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path / "nowhere")
    got = videostat("config", "init")
    assert got.code == 2
    assert "this installation lacks config.example.toml" in got.stderr
