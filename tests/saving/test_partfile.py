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


def write_part_and_side_car(where: Path, **changes: object) -> None:
    note = {"provider": "jogg", "id": "a1", "validator": '"one"', "total": 100, **changes}
    (where / "jogg-a1.part").write_bytes(b"12345")
    (where / "jogg-a1.part.json").write_text(json.dumps(note))


def test_later_run_resumes_the_part_file(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart(VERSION)
        part.append(b"12345")
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (5, VERSION)


def test_side_car_holds_only_the_job_and_the_version(tmp_path: Path) -> None:
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
def test_side_car_that_does_not_match_restarts_the_part(tmp_path: Path, changes: dict[str, object]) -> None:
    write_part_and_side_car(tmp_path)
    with Part(in_folder(tmp_path)) as part:
        assert part.size == 5
    write_part_and_side_car(tmp_path, **changes)
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (0, Version())
        assert (tmp_path / "jogg-a1.part").stat().st_size == 0


@pytest.mark.parametrize("text", ["", "[" * 60_000, '{"provider": ', "null", "\udcff"])
def test_damaged_side_car_restarts_the_part(tmp_path: Path, text: str) -> None:
    write_part_and_side_car(tmp_path)
    (tmp_path / "jogg-a1.part.json").write_bytes(text.encode(errors="surrogateescape"))
    with Part(in_folder(tmp_path)) as part:
        assert (part.size, part.version) == (0, Version())


def test_part_that_cannot_be_resumed_is_removed(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart()
        part.append(b"12345")
    assert list(tmp_path.iterdir()) == []


def test_part_file_can_be_opened_only_once_at_a_time(tmp_path: Path) -> None:
    write_part_and_side_car(tmp_path)
    with Part(in_folder(tmp_path)) as part:
        with pytest.raises(NotSaved, match="another videostat process is saving it"):
            Part(in_folder(tmp_path))
        assert part.size == (tmp_path / "jogg-a1.part").stat().st_size == 5


def test_part_renamed_by_another_process_before_the_lock_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_part_and_side_car(tmp_path)
    video, really_open = tmp_path / "jogg-a1.mp4", os.open

    def open_then_rename(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        fd = really_open(path, flags, mode)
        if not video.exists():
            Path(path).rename(video)
        return fd

    monkeypatch.setattr(os, "open", open_then_rename)
    with Part(in_folder(tmp_path)) as part:
        part.append(b"other")
    assert video.read_bytes() == b"12345"


def test_symlink_created_just_before_open_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    really_open = os.open

    def link_and_open(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        make_symlink(Path(path))
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", link_and_open)
    with pytest.raises(OSError, match="symbolic"):
        Part(in_folder(tmp_path))
    assert (tmp_path / "victim").read_bytes() == b"precious"


def make_symlink(path: Path) -> None:
    path.symlink_to(path.parent / "victim")


def make_dangling_symlink(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize("name", ["jogg-a1.part", "jogg-a1.mp4", "jogg-a1.mov"])
@pytest.mark.parametrize("make", [make_symlink, make_dangling_symlink, Path.mkdir, os.mkfifo])
def test_only_regular_files_are_accepted_and_links_are_not_followed(tmp_path: Path, name: str, make: object) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    make(tmp_path / name)  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(NotSaved, match="is not a regular file"):  # noqa: PT012  which of the two looks depends on the name
        in_folder(tmp_path).find_saved()
        Part(in_folder(tmp_path))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("make", [make_symlink, make_dangling_symlink, os.mkfifo])
def test_side_car_that_is_not_a_regular_file_is_not_read_or_written(tmp_path: Path, make: object) -> None:
    write_part_and_side_car(tmp_path)
    (tmp_path / "jogg-a1.part.json").rename(tmp_path / "victim")
    before = (tmp_path / "victim").read_bytes()
    make(tmp_path / "jogg-a1.part.json")  # type: ignore[operator]
    with Part(in_folder(tmp_path)) as part:
        assert part.version == Version()
        part.restart(VERSION)
        part.append(b"1")
    assert (tmp_path / "victim").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_part_is_flushed_before_its_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_truncation_is_flushed_before_the_new_side_car_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_part_and_side_car(tmp_path)
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: seen.append((os.fstat(fd).st_size, (tmp_path / "jogg-a1.part.json").exists()))
    )
    with Part(in_folder(tmp_path)) as part:
        part.restart(Version('"two"', 100))
    assert seen == [(0, False)]


def test_new_part_of_another_process_is_kept_after_publishing(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.append(b"12345")
        part.publish("mp4")
        write_part_and_side_car(tmp_path)
    assert (tmp_path / "jogg-a1.part").read_bytes() == b"12345"
    assert (tmp_path / "jogg-a1.part.json").exists()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with Part(Destination.from_template(REF, tmp_path / "new" / "folder")) as part:
        part.append(b"12345")
        assert part.publish("mov").read_bytes() == b"12345"


def test_only_a_valid_digest_is_restored_from_the_side_car() -> None:
    note = {"validator": '"one"', "total": 100}
    digest = "sha256=" + "ab" * 32
    assert restore_version(note | {"digest": digest}).digest == digest
    assert restore_version(note | {"digest": "rm -rf"}).digest == restore_version(note).digest == ""


def test_the_side_car_of_a_part_is_no_orphan(tmp_path: Path) -> None:
    write_part_and_side_car(tmp_path)
    remove_orphan(in_folder(tmp_path))
    assert (tmp_path / "jogg-a1.part.json").exists()
    (tmp_path / "jogg-a1.part").unlink()
    remove_orphan(in_folder(tmp_path))
    assert not (tmp_path / "jogg-a1.part.json").exists()


def test_new_part_after_set_aside_has_no_version(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart(Version('"one"', 9))
        part.append(b"12345")
        part.set_aside()
        assert (part.size, part.version) == (0, Version())


def test_bytes_that_cannot_be_set_aside_stay_in_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Part, "_rename", refuse)
    with Part(in_folder(tmp_path)) as part:
        part.append(b"12345")
        with pytest.raises(OSError, match="gone"):
            part.set_aside()
    assert (tmp_path / "jogg-a1.part").read_bytes() == b"12345"
