from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from faults import REF, in_folder

from videostat.errors import NotSaved
from videostat.saving.destination import Destination
from videostat.saving.partfile import Part, remove_orphan
from videostat.saving.version import Version, restore_version

VERSION = Version('"one"', 100)


def remember(where: Path, **changes: object) -> None:
    note = {"provider": "jogg", "id": "a1", "validator": '"one"', "total": 100, **changes}
    (where / "jogg-a1.part").write_bytes(b"12345")
    (where / "jogg-a1.part.json").write_text(json.dumps(note))


def test_a_part_is_gone_on_with_by_a_later_run(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart(VERSION)
        part.append(b"12345")
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (5, VERSION)


def test_the_side_car_says_whose_bytes_they_are_and_no_more(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart(VERSION)
        note = json.loads((tmp_path / "jogg-a1.part.json").read_text())
    assert note == {"provider": "jogg", "id": "a1", "validator": '"one"', "total": 100, "digest": ""}


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "doubao"},
        {"id": "a2"},
        {"validator": 'W/"one"'},
        {"validator": '"one"\r\nX: y'},
        {"validator": None},
        {"total": "100"},
        {"total": 4},
        {"total": None},
    ],
)
def test_a_side_car_that_does_not_fit_starts_over(tmp_path: Path, changes: dict[str, object]) -> None:
    remember(tmp_path)
    with Part(in_folder(tmp_path)) as part:
        assert part.size == 5
    remember(tmp_path, **changes)
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (0, Version())
        assert (tmp_path / "jogg-a1.part").stat().st_size == 0


@pytest.mark.parametrize("text", ["", "[" * 60_000, '{"provider": ', "null", "\udcff"])
def test_a_damaged_side_car_starts_over(tmp_path: Path, text: str) -> None:
    remember(tmp_path)
    (tmp_path / "jogg-a1.part.json").write_bytes(text.encode(errors="surrogateescape"))
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (0, Version())


def test_a_part_that_nobody_could_go_on_with_is_removed(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart()
        part.append(b"12345")
    assert list(tmp_path.iterdir()) == []


def test_only_one_at_a_time_may_save_a_video(tmp_path: Path) -> None:
    remember(tmp_path)
    with Part(in_folder(tmp_path)) as part:
        with pytest.raises(NotSaved, match="another videostat process is saving it"):
            Part(in_folder(tmp_path))
        assert part.size == (tmp_path / "jogg-a1.part").stat().st_size == 5


def test_a_part_finished_by_another_between_open_and_lock_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(tmp_path)
    video, really_open = tmp_path / "jogg-a1.mp4", os.open

    def open_then_lose(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        fd = really_open(path, flags, mode)
        if not video.exists():
            Path(path).rename(video)
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    with Part(in_folder(tmp_path)) as part:
        part.append(b"other")
    assert video.read_bytes() == b"12345"


def test_a_link_laid_after_the_look_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    really_open = os.open

    def lay_and_open(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        make_symlink(Path(path))
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", lay_and_open)
    with pytest.raises(OSError, match="symbolic"):
        Part(in_folder(tmp_path))
    assert (tmp_path / "victim").read_bytes() == b"precious"


def make_symlink(path: Path) -> None:
    path.symlink_to(path.parent / "victim")


def make_dangling_symlink(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize("name", ["jogg-a1.part", "jogg-a1.mp4", "jogg-a1.mov"])
@pytest.mark.parametrize("make", [make_symlink, make_dangling_symlink, Path.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_refused_and_never_followed(tmp_path: Path, name: str, make: object) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    make(tmp_path / name)  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(NotSaved, match="is not a regular file"):  # noqa: PT012  which of the two looks depends on the name
        in_folder(tmp_path).find_saved()
        Part(in_folder(tmp_path))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("make", [make_symlink, make_dangling_symlink, os.mkfifo])
def test_a_side_car_that_is_no_plain_file_is_neither_read_nor_written_through(tmp_path: Path, make: object) -> None:
    remember(tmp_path)
    (tmp_path / "jogg-a1.part.json").rename(tmp_path / "victim")
    before = (tmp_path / "victim").read_bytes()
    make(tmp_path / "jogg-a1.part.json")  # type: ignore[operator]
    with Part(in_folder(tmp_path)) as part:
        assert part.version == Version()
        part.restart(VERSION)
        part.append(b"1")
    assert (tmp_path / "victim").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_a_final_name_means_complete_even_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        done.append("fsync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "fsync file")
        sync(fd)

    def replace(old: Path, new: Path) -> Path:
        done.append(f"rename {old.name} to {new.name}")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with Part(in_folder(tmp_path)) as part:
        part.restart(VERSION)
        part.append(b"12345")
        part.publish("mp4")
    assert done == ["fsync file", "rename jogg-a1.part to jogg-a1.mp4", "fsync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["jogg-a1.mp4"]


def test_old_bytes_are_gone_from_the_disk_before_the_new_side_car_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(tmp_path)
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: seen.append((os.fstat(fd).st_size, (tmp_path / "jogg-a1.part.json").exists()))
    )
    with Part(in_folder(tmp_path)) as part:
        part.restart(Version('"two"', 100))
    assert seen == [(0, False)]


def test_a_part_begun_by_another_after_ours_was_named_is_left_alone(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.append(b"12345")
        part.publish("mp4")
        remember(tmp_path)
    assert (tmp_path / "jogg-a1.part").read_bytes() == b"12345"
    assert (tmp_path / "jogg-a1.part.json").exists()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with Part(Destination.from_template(REF, tmp_path / "new" / "folder")) as part:
        part.append(b"12345")
        assert part.publish("mov").read_bytes() == b"12345"


def test_a_side_car_gives_back_the_digest_of_the_video_and_no_other_text() -> None:
    note = {"validator": '"one"', "total": 100}
    digest = "sha256=" + "ab" * 32
    assert restore_version(note | {"digest": digest}).digest == digest
    assert restore_version(note | {"digest": "rm -rf"}).digest == restore_version(note).digest == ""


def test_the_side_car_of_a_part_is_no_orphan(tmp_path: Path) -> None:
    remember(tmp_path)
    remove_orphan(in_folder(tmp_path))
    assert (tmp_path / "jogg-a1.part.json").exists()
    (tmp_path / "jogg-a1.part").unlink()
    remove_orphan(in_folder(tmp_path))
    assert not (tmp_path / "jogg-a1.part.json").exists()
