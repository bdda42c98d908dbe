from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from faults import REF, mp4

from videostat.errors import NotSaved, UsageError
from videostat.files import Part, Version, ensure_distinct, exact_place, place_for
from videostat.models import JobRef

VERSION = Version('"one"', 100)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{provider}-{id}.{ext}", "jogg-a1.mp4"),
        ("{id}.{ext}", "a1.mp4"),
        ("Été {id} (final).{ext}", "Été a1 (final).mp4"),
        ("E\u0301te\u0301 {id}.{ext}", "\u00c9t\u00e9 a1.mp4"),
        ("視頻-{id}.{ext}", "視頻-a1.mp4"),
    ],
)
def test_a_template_names_the_file_inside_the_folder(template: str, expected: str) -> None:
    assert place_for(REF, Path("videos"), template).file("mp4") == Path("videos") / expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("../{id}.{ext}", "leave the folder"),
        ("/tmp/{id}.{ext}", "leave the folder"),
        ("..\\{id}.{ext}", "leave the folder"),
        ("{title}-{id}.{ext}", "unknown field, {title}"),
        ("{id.__class__}.{ext}", "unknown field"),
        ("{id[0]}.{ext}", "unknown field"),
        ("{}.{ext}", "unknown field"),
        ("{id!r}.{ext}", "a format"),
        ("{id:>99999999}.{ext}", "a format"),
        ("{id", "cannot be read"),
        ("{id}}.{ext}", "cannot be read"),
        ("clip.{ext}", "has no {id}"),
        ("{id}", "does not end in .{ext}"),
        ("{id}.mp4", "does not end in .{ext}"),
        ("{ext}-{id}.{ext}", "does not end in .{ext}"),
        ("-{id}.{ext}", "not a file name on every disk"),
        (" {id}.{ext}", "not a file name on every disk"),
        ("{id}:stream.{ext}", "not a file name on every disk"),
        ("{id}\n.{ext}", "not a file name on every disk"),
        ("{id}\x1b[2J.{ext}", "not a file name on every disk"),
        ("{id}\u202e.{ext}", "not a file name on every disk"),
        ("{id}\udcff.{ext}", "not a file name on every disk"),
        ("{{{id}}}.{ext}", "not a file name on every disk"),
        ("{id}?.{ext}", "not a file name on every disk"),
        ("aux.{id}.{ext}", "Windows keeps"),
    ],
)
def test_a_bad_template_is_wrong_usage_and_says_why(template: str, why: str) -> None:
    with pytest.raises(UsageError, match="name") as caught:
        place_for(REF, Path("videos"), template)
    assert why in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "Lpt9.x", "aux.", "prn"])
def test_a_device_of_windows_is_refused_as_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="Windows"):
        place_for(JobRef("jogg", name), Path("videos"), "{id}.{ext}")
    assert place_for(JobRef("jogg", name), Path("videos")).file("mp4").name == f"jogg-{name}.mp4"


def test_a_provider_cannot_lead_out_of_the_folder() -> None:
    with pytest.raises(UsageError):
        place_for(JobRef("../../etc", "a1"), Path("videos"))


def test_long_ids_get_names_that_fit_and_differ() -> None:
    names = {place_for(JobRef("jogg", "x" * 255 + last), Path("v")).file("webm").name for last in "ab"}
    assert len(names) == 2
    assert all(len(f"{name.removesuffix('.webm')}.part.json".encode()) <= 255 for name in names)
    accents = place_for(JobRef("jogg", "x" * 200), Path("v"), "é" * 40 + "{id}.{ext}")
    assert len(f"{accents.path.name}.part.json".encode()) <= 255


@pytest.mark.parametrize(
    ("refs", "template"),
    [
        ([JobRef("jogg", "Ab"), JobRef("jogg", "aB")], "{provider}-{id}.{ext}"),
        ([JobRef("jogg", "1"), JobRef("reelbot", "1")], "{id}.{ext}"),
        ([JobRef("jogg-avatar", "1"), JobRef("jogg", "avatar-1")], "{provider}-{id}.{ext}"),
    ],
)
def test_jobs_that_would_share_a_file_are_wrong_usage(refs: list[JobRef], template: str) -> None:
    with pytest.raises(UsageError, match="same file") as caught:
        ensure_distinct(place_for(ref, Path("v"), template) for ref in refs)
    assert all(str(ref) in str(caught.value) for ref in refs)


def test_unicode_forms_of_one_name_are_one_file() -> None:
    with pytest.raises(UsageError, match="same file"):
        ensure_distinct([exact_place(REF, Path("E\u0301")), exact_place(JobRef("jogg", "b"), Path("\u00e9"))])


def test_jobs_with_files_of_their_own_may_be_saved_together() -> None:
    ensure_distinct(place_for(JobRef("jogg", name), Path("v")) for name in ("a", "b", "a"))


@pytest.mark.parametrize("extension", ["mp4", "webm", "mov"])
def test_a_typed_name_is_kept_whatever_the_content(extension: str) -> None:
    assert exact_place(REF, Path("clip.mp4")).file(extension) == Path("clip.mp4")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_folder_is_no_file_to_save_to(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        exact_place(REF, Path(name))
    with pytest.raises(UsageError, match="is a folder"):
        exact_place(REF, tmp_path)


@pytest.mark.parametrize("extension", ["mp4", "webm", "mov"])
def test_a_video_under_any_of_its_names_counts_as_saved(tmp_path: Path, extension: str) -> None:
    where = place_for(REF, tmp_path)
    assert where.saved() is None
    where.file(extension).write_bytes(mp4(500))
    saved = where.saved()
    assert saved
    assert (saved.file, saved.bytes, saved.skipped) == (where.file(extension), 500, True)
    assert where.saved(overwrite=True) is None


@pytest.mark.parametrize("content", [b"hi\n", mp4(500)[:-1], b"<!doctype html>"])
def test_what_has_the_name_and_is_no_whole_video_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    where = place_for(REF, tmp_path)
    where.file("webm").write_bytes(content)
    with pytest.raises(NotSaved, match=r"jogg-a1\.webm is there already, and is not a whole video") as caught:
        where.saved()
    assert caught.value.hint == "--overwrite replaces it, or choose another name."
    assert where.saved(overwrite=True) is None


@pytest.mark.parametrize("content", [b"hi\n", mp4(500)])
def test_a_typed_name_that_is_taken_is_nobodys_video(tmp_path: Path, content: bytes) -> None:
    where = exact_place(REF, tmp_path / "clip.mp4")
    where.path.write_bytes(content)
    with pytest.raises(NotSaved, match=r"clip\.mp4 is there already\Z") as caught:
        where.saved()
    assert caught.value.hint == "--overwrite replaces it, or choose another name."
    assert where.saved(overwrite=True) is None


def test_an_empty_file_is_not_a_saved_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    assert exact_place(REF, tmp_path / "clip.mp4").saved() is None


def remember(where: Path, **changes: object) -> None:
    note = {"provider": "jogg", "id": "a1", "etag": '"one"', "total": 100, **changes}
    (where / "jogg-a1.part").write_bytes(b"12345")
    (where / "jogg-a1.part.json").write_text(json.dumps(note))


def test_a_part_is_gone_on_with_by_a_later_run(tmp_path: Path) -> None:
    with Part(place_for(REF, tmp_path)) as part:
        part.restart(VERSION)
        part.append(b"12345")
    with Part(place_for(REF, tmp_path)) as part:
        assert (part.size, part.version) == (5, VERSION)


def test_the_side_car_says_whose_bytes_they_are_and_no_more(tmp_path: Path) -> None:
    with Part(place_for(REF, tmp_path)) as part:
        part.restart(VERSION)
        note = json.loads((tmp_path / "jogg-a1.part.json").read_text())
    assert note == {"provider": "jogg", "id": "a1", "etag": '"one"', "total": 100}


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "doubao"},
        {"id": "a2"},
        {"etag": 'W/"one"'},
        {"etag": '"one"\r\nX: y'},
        {"etag": None},
        {"total": "100"},
        {"total": 4},
        {"total": None},
    ],
)
def test_a_side_car_that_does_not_fit_starts_over(tmp_path: Path, changes: dict[str, object]) -> None:
    remember(tmp_path)
    with Part(place_for(REF, tmp_path)) as part:
        assert part.size == 5
    remember(tmp_path, **changes)
    with Part(place_for(REF, tmp_path)) as part:
        assert (part.size, part.version) == (0, None)
        assert (tmp_path / "jogg-a1.part").stat().st_size == 0


@pytest.mark.parametrize("text", ["", "[" * 60_000, '{"provider": ', "null", "\udcff"])
def test_a_damaged_side_car_starts_over(tmp_path: Path, text: str) -> None:
    remember(tmp_path)
    (tmp_path / "jogg-a1.part.json").write_bytes(text.encode(errors="surrogateescape"))
    with Part(place_for(REF, tmp_path)) as part:
        assert (part.size, part.version) == (0, None)


def test_a_part_that_nobody_could_go_on_with_is_removed(tmp_path: Path) -> None:
    with Part(place_for(REF, tmp_path)) as part:
        part.restart(None)
        part.append(b"12345")
    assert list(tmp_path.iterdir()) == []


def test_only_one_at_a_time_may_save_a_video(tmp_path: Path) -> None:
    remember(tmp_path)
    with Part(place_for(REF, tmp_path)) as part:
        with pytest.raises(NotSaved, match="another videostat is saving it"):
            Part(place_for(REF, tmp_path))
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
    with Part(place_for(REF, tmp_path)) as part:
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
        Part(place_for(REF, tmp_path))
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
    with pytest.raises(NotSaved, match="in the way"):  # noqa: PT012  which of the two looks depends on the name
        place_for(REF, tmp_path).saved()
        Part(place_for(REF, tmp_path))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("make", [make_symlink, make_dangling_symlink, os.mkfifo])
def test_a_side_car_that_is_no_plain_file_is_neither_read_nor_written_through(tmp_path: Path, make: object) -> None:
    remember(tmp_path)
    (tmp_path / "jogg-a1.part.json").rename(tmp_path / "victim")
    before = (tmp_path / "victim").read_bytes()
    make(tmp_path / "jogg-a1.part.json")  # type: ignore[operator]
    with Part(place_for(REF, tmp_path)) as part:
        assert part.version is None
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
    with Part(place_for(REF, tmp_path)) as part:
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
    with Part(place_for(REF, tmp_path)) as part:
        part.restart(Version('"two"', 100))
    assert seen == [(0, False)]


def test_a_part_begun_by_another_after_ours_was_named_is_left_alone(tmp_path: Path) -> None:
    with Part(place_for(REF, tmp_path)) as part:
        part.append(b"12345")
        part.publish("mp4")
        remember(tmp_path)
    assert (tmp_path / "jogg-a1.part").read_bytes() == b"12345"
    assert (tmp_path / "jogg-a1.part.json").exists()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with Part(place_for(REF, tmp_path / "new" / "folder")) as part:
        part.append(b"12345")
        assert part.publish("mov").read_bytes() == b"12345"
