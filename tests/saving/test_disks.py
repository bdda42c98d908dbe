"""Disks as they are: some cannot lock, or flush, or rename at once, and any call may fail."""

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
from videostat.models import Saved
from videostat.saving import partfile

if TYPE_CHECKING:
    from collections.abc import Callable

VIDEO = Video(mp4())
CANNOT = [errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EACCES]
LOSES = [errno.EIO, errno.ENOSPC, errno.EDQUOT]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(number: int) -> Callable[..., Any]:
    def failing(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize("number", CANNOT + LOSES)
def test_a_disk_without_locks_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "flock", fail(number))
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("number", CANNOT)
def test_a_disk_that_cannot_flush_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "fsync", fail(number))
    with FaultServer(VIDEO) as server:
        assert save(server.url, in_folder(tmp_path)).bytes == 50_000
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("number", LOSES)
def test_what_a_flush_says_is_lost_has_no_final_name(
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


def test_after_the_rename_it_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_busy_rename_is_tried_again_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
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


def test_a_rename_that_stays_busy_keeps_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(VIDEO) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail(errno.EBUSY))
            with pytest.raises(NotSaved, match="busy"):
                save(server.url, in_folder(tmp_path))
        assert (tmp_path / "jogg-a1.part").read_bytes() == VIDEO.body
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 50_000]


def test_a_rename_whose_answer_is_lost_has_been_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_replace = Path.replace

    def replace(old: Path, new: Path) -> Path:
        really_replace(old, new)
        raise FileNotFoundError(errno.ENOENT, "no such file", str(old))

    monkeypatch.setattr(Path, "replace", replace)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_the_side_car_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(old: Path, new: Path) -> Path:
        raise Killed

    with FaultServer(VIDEO) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            with pytest.raises(Killed):
                save(server.url, in_folder(tmp_path))
        assert names(tmp_path) == ["jogg-a1.part", "jogg-a1.part.json"]
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 50_000]


def test_a_side_car_that_a_kill_left_beside_the_video_is_removed(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.mp4").write_bytes(VIDEO.body)
    (tmp_path / "jogg-a1.part.json").write_text("{}")
    assert save("http://127.0.0.1:9/", in_folder(tmp_path)).skipped
    assert names(tmp_path) == ["jogg-a1.mp4"]


def disk(monkeypatch: pytest.MonkeyPatch, free: int, blocks: int = 1_000_000) -> None:
    answer = os.statvfs_result((4096, 1, blocks, free, free, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda fd: answer)


def test_a_video_that_has_no_room_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, 49_999)
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved) as caught:
        save(server.url, in_folder(tmp_path))
    assert str(caught.value) == f"not saved: the video needs 50.0 kB, but {tmp_path} has only 50.0 kB free"
    assert caught.value.hint == "Free some space, then run the same command."
    assert (len(server.requests), names(tmp_path)) == (1, [])


def test_what_is_there_already_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(VIDEO, cut(30_000)) as server:
        clock = FakeClock()
        with pytest.raises(NotSaved):
            save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + 0.1)
        disk(monkeypatch, 20_000)
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 30_000]


@pytest.mark.parametrize(
    "uncounted", [lambda patch: disk(patch, 0, 0), lambda patch: patch.setattr(os, "fstatvfs", fail(38))]
)
def test_a_disk_that_does_not_count_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uncounted: Callable[[pytest.MonkeyPatch], None]
) -> None:
    uncounted(monkeypatch)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))


# A short sweep: each call of each kind fails once.

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
    """Fail one call of those to a function or method, and count them all; what was to be closed is."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, at: int, number: int) -> None:
        self.calls = 0
        really = getattr(CALLS[name], name)

        # A function, which as a method is bound.
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls != at:
                return really(*arguments, **options)
            if name == "close":
                really(*arguments)
            raise OSError(number, os.strerror(number))

        patch.setattr(CALLS[name], name, call)


@pytest.mark.parametrize("number", [*LOSES, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EBUSY])
@pytest.mark.parametrize("name", CALLS)
def test_any_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
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
            # And the next run finishes.
            assert save(server.url, in_folder(folder)).bytes == 50_000
            assert (folder / "jogg-a1.mp4").read_bytes() == VIDEO.body
        if injected.calls < at:
            break
    assert 1 < at < 98


def test_a_typed_file_in_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "lstat", fail(errno.EIO))
    with pytest.raises(NotSaved, match="Input/output error"):
        save("http://127.0.0.1:9/", at_path(tmp_path / "clip.mp4"))
