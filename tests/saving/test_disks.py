"""Save on imperfect disks: without locks, without flushes, with busy renames, and with any call that fails."""

from __future__ import annotations

import errno
import fcntl
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeClock
from faults import (
    FaultServer,
    Video,
    at_path,
    cut,
    in_folder,
    mp4,
    save,
    says,
)

from videostat.errors import NotSaved
from videostat.models import DOWNLOAD_AGAIN, Saved
from videostat.saving import partfile
from videostat.saving.destination import translate_disk_errors
from videostat.saving.partfile import Part

if TYPE_CHECKING:
    from collections.abc import Callable

VIDEO = Video(mp4())
UNSUPPORTED = [errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EACCES]
DATA_LOSS = [errno.EIO, errno.ENOSPC, errno.EDQUOT]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(number: int) -> Callable[..., Any]:
    def failing(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize("number", UNSUPPORTED + DATA_LOSS)
def test_video_is_saved_if_locking_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "flock", fail(number))
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_video_is_saved_on_a_disk_that_does_not_support_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", fail(number))
    with FaultServer(VIDEO) as server:
        assert save(server.url, in_folder(tmp_path)).bytes == 50_000
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("number", DATA_LOSS)
def test_failed_fsync_leaves_no_file_with_the_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with FaultServer(VIDEO) as server:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail(number))
            with pytest.raises(NotSaved, match=os.strerror(number)) as caught:
                save(server.url, in_folder(tmp_path))
        assert names(tmp_path) == ["jogg-a1.unproven-1.part"]
        assert "kept as" in str(caught.value)
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, None]
    assert (tmp_path / "jogg-a1.mp4").read_bytes() == VIDEO.body


def test_errors_after_the_final_rename_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_close, closed = os.close, Counter[str]()

    def close(fd: int) -> None:
        really_close(fd)
        if (tmp_path / "jogg-a1.mp4").exists():
            closed["after"] += 1
            raise OSError(errno.EIO, "late")

    with FaultServer(VIDEO) as server:
        monkeypatch.setattr(partfile, "_sync_folder", fail(errno.EIO))
        monkeypatch.setattr(os, "close", close)
        assert save(server.url, in_folder(tmp_path)).bytes == 50_000
    assert closed["after"]


@pytest.mark.parametrize("times", [1, 9, 10])
def test_busy_rename_is_retried_for_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    clock, really_replace, left = FakeClock(), Path.replace, [times]

    def replace(old: Path, new: Path) -> Path:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EBUSY, "busy")
        return really_replace(old, new)

    monkeypatch.setattr(Path, "replace", replace)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path), clock=clock)
    assert clock.pauses == [0.1] * times


def test_rename_that_stays_busy_keeps_the_part_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(VIDEO) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail(errno.EBUSY))
            with pytest.raises(NotSaved, match="busy"):
                save(server.url, in_folder(tmp_path))
        assert (tmp_path / "jogg-a1.part").read_bytes() == VIDEO.body
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 50_000]


def test_rename_that_succeeds_but_reports_an_error_counts_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_replace = Path.replace

    def replace(old: Path, new: Path) -> Path:
        really_replace(old, new)
        raise FileNotFoundError(errno.ENOENT, "no such file", str(old))

    monkeypatch.setattr(Path, "replace", replace)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_kill_before_the_final_rename_keeps_part_and_side_car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(old: Path, new: Path) -> Path:
        raise Killed

    with FaultServer(VIDEO) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", kill)
            with pytest.raises(Killed):
                save(server.url, in_folder(tmp_path))
        assert names(tmp_path) == ["jogg-a1.part", "jogg-a1.part.json"]
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 50_000]


def test_side_car_left_beside_a_saved_video_is_removed(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.mp4").write_bytes(VIDEO.body)
    (tmp_path / "jogg-a1.part.json").write_text("{}")
    assert save("http://127.0.0.1:9/", in_folder(tmp_path)).skipped
    assert names(tmp_path) == ["jogg-a1.mp4"]


def set_free_space(monkeypatch: pytest.MonkeyPatch, free: int, blocks: int = 1_000_000) -> None:
    answer = os.statvfs_result((4096, 1, blocks, free, free, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda fd: answer)


def test_nothing_is_written_if_the_video_does_not_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_free_space(monkeypatch, 49_999)
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved) as caught:
        save(server.url, in_folder(tmp_path))
    assert str(caught.value) == f"not saved: the video needs 50.0 kB, but {tmp_path} has only 50.0 kB free"
    assert caught.value.hint == "Free some space, then run the same command."
    assert (len(server.requests), names(tmp_path)) == (1, [])


def test_only_the_missing_bytes_need_free_disk_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(VIDEO, cut(30_000)) as server:
        clock = FakeClock()
        with pytest.raises(NotSaved):
            save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + 0.1)
        set_free_space(monkeypatch, 20_000)
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 30_000]


@pytest.mark.parametrize(
    "hide_free_space",
    [lambda patch: set_free_space(patch, 0, 0), lambda patch: patch.setattr(os, "fstatvfs", fail(38))],
)
def test_download_starts_if_the_free_space_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hide_free_space: Callable[[pytest.MonkeyPatch], None]
) -> None:
    hide_free_space(monkeypatch)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))


# Each call of each kind fails once.

CALLS = {
    "open": os,
    "write": os,
    "fsync": os,
    "ftruncate": os,
    "fstat": os,
    "fstatvfs": os,
    "pread": os,
    "close": os,
    "flock": fcntl,
    "lstat": Path,
    "replace": Path,
    "unlink": Path,
    "mkdir": Path,
}


class Injected:
    """Make the `at`-th call of a function or method fail, and count all calls. `close` closes the file first."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, at: int, number: int) -> None:
        self.calls = 0
        really = getattr(CALLS[name], name)

        # A plain function, so that it is bound where it replaces a method.
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls != at:
                return really(*arguments, **options)
            if name == "close":
                really(*arguments)
            raise OSError(number, os.strerror(number))

        patch.setattr(CALLS[name], name, call)


@pytest.mark.parametrize("number", [*DATA_LOSS, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EBUSY])
@pytest.mark.parametrize("name", CALLS)
def test_next_run_completes_after_any_failed_disk_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    for at in range(1, 99):
        folder = tmp_path / str(at)
        with FaultServer(VIDEO, cut(30_000), says(etag='"two"')) as server:
            with monkeypatch.context() as patch:
                injected = Injected(patch, name, at, number)
                try:
                    outcome: Saved | NotSaved = save(server.url, in_folder(folder))
                except NotSaved as error:
                    outcome = error
            is_there = (folder / "jogg-a1.mp4").exists()
            assert is_there == isinstance(outcome, Saved), (at, outcome, names(folder))
            if isinstance(outcome, NotSaved):
                assert str(outcome).startswith("not saved")
            # The next run saves the video.
            assert save(server.url, in_folder(folder)).bytes == 50_000
            assert (folder / "jogg-a1.mp4").read_bytes() == VIDEO.body
        if injected.calls < at:
            break
    assert 1 < at < 98


def test_read_error_at_a_given_path_raises_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "lstat", fail(errno.EIO))
    with pytest.raises(NotSaved, match="Input/output error"):
        save("http://127.0.0.1:9/", at_path(tmp_path / "clip.mp4"))


def test_free_space_is_compared_with_the_bytes_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.append(bytes(3000))
        set_free_space(monkeypatch, 4000)
        part.ensure_room(7000)
        with pytest.raises(NotSaved, match=r"needs 9\.0 kB, but .* has only 7\.0 kB free"):
            part.ensure_room(9000)


def test_disk_error_without_a_reason_is_still_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotSaved, match=r"jogg-a1: it broke$") as caught, translate_disk_errors(in_folder(tmp_path)):
        raise OSError("it broke")
    assert caught.value.hint == DOWNLOAD_AGAIN


def test_hint_names_the_option_that_chooses_another_folder(tmp_path: Path) -> None:
    for destination, option in ((in_folder(tmp_path), "--output-dir"), (at_path(tmp_path / "clip.mp4"), "-o")):
        with pytest.raises(NotSaved, match="Not a directory") as caught, translate_disk_errors(destination):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
        assert f"choose another with {option};" in str(caught.value.hint)
