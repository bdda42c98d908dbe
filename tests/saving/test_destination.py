from __future__ import annotations

from pathlib import Path

import pytest
from faults import REF, in_folder, mp4

from videostat.errors import NotSaved, UsageError
from videostat.models import JobRef, Saved
from videostat.saving.destination import REPLACE, Destination, ensure_distinct, format_size, join_saved


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
    assert Destination.from_template(REF, Path("videos"), template).name_file("mp4") == Path("videos") / expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("../{id}.{ext}", "contains a folder"),
        ("/tmp/{id}.{ext}", "contains a folder"),
        ("..\\{id}.{ext}", "contains a folder"),
        ("{title}-{id}.{ext}", "unknown field {title}"),
        ("{id.__class__}.{ext}", "unknown field"),
        ("{id[0]}.{ext}", "unknown field"),
        ("{}.{ext}", "unknown field"),
        ("{id!r}.{ext}", "a format"),
        ("{id:>99999999}.{ext}", "a format"),
        ("{id", "is not valid"),
        ("{id}}.{ext}", "is not valid"),
        ("clip.{ext}", "has no {id}"),
        ("{id}", "does not end in .{ext}"),
        ("{id}.mp4", "does not end in .{ext}"),
        ("{ext}-{id}.{ext}", "does not end in .{ext}"),
        ("-{id}.{ext}", "not a valid file name on all systems"),
        (" {id}.{ext}", "not a valid file name on all systems"),
        ("{id}:stream.{ext}", "not a valid file name on all systems"),
        ("{id}\n.{ext}", "not a valid file name on all systems"),
        ("{id}\x1b[2J.{ext}", "not a valid file name on all systems"),
        ("{id}\u202e.{ext}", "not a valid file name on all systems"),
        ("{id}\udcff.{ext}", "not a valid file name on all systems"),
        ("{{{id}}}.{ext}", "not a valid file name on all systems"),
        ("{id}?.{ext}", "not a valid file name on all systems"),
        ("aux.{id}.{ext}", "reserved name on Windows"),
    ],
)
def test_invalid_template_raises_usage_error_with_the_reason(template: str, why: str) -> None:
    with pytest.raises(UsageError, match="name") as caught:
        Destination.from_template(REF, Path("videos"), template)
    assert why in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "Lpt9.x", "aux.", "prn"])
def test_windows_device_name_is_refused_as_a_file_name(name: str) -> None:
    with pytest.raises(UsageError, match="Windows"):
        Destination.from_template(JobRef("jogg", name), Path("videos"), "{id}.{ext}")
    assert Destination.from_template(JobRef("jogg", name), Path("videos")).name_file("mp4").name == f"jogg-{name}.mp4"


def test_provider_with_a_path_cannot_leave_the_folder() -> None:
    with pytest.raises(UsageError):
        Destination.from_template(JobRef("../../etc", "a1"), Path("videos"))


def test_long_ids_give_distinct_names_of_at_most_255_bytes() -> None:
    names = {
        Destination.from_template(JobRef("jogg", "x" * 255 + last), Path("v")).name_file("webm").name for last in "ab"
    }
    assert len(names) == 2
    assert all(len(f"{name.removesuffix('.webm')}.part.json".encode()) <= 255 for name in names)
    accents = Destination.from_template(JobRef("jogg", "x" * 200), Path("v"), "é" * 40 + "{id}.{ext}")
    assert len(f"{accents.path.name}.part.json".encode()) <= 255


@pytest.mark.parametrize(
    ("refs", "template"),
    [
        ([JobRef("jogg", "Ab"), JobRef("jogg", "aB")], "{provider}-{id}.{ext}"),
        ([JobRef("jogg", "1"), JobRef("reelbot", "1")], "{id}.{ext}"),
        ([JobRef("jogg-avatar", "1"), JobRef("jogg", "avatar-1")], "{provider}-{id}.{ext}"),
    ],
)
def test_jobs_with_the_same_file_name_raise_usage_error(refs: list[JobRef], template: str) -> None:
    with pytest.raises(UsageError, match="same file") as caught:
        ensure_distinct(Destination.from_template(ref, Path("v"), template) for ref in refs)
    assert all(str(ref) in str(caught.value) for ref in refs)


def test_unicode_and_case_forms_of_a_name_count_as_one_file() -> None:
    with pytest.raises(UsageError, match="same file"):
        ensure_distinct(
            [Destination.from_path(REF, Path("E\u0301")), Destination.from_path(JobRef("jogg", "b"), Path("\u00e9"))]
        )


def test_different_files_and_a_repeated_job_are_accepted() -> None:
    ensure_distinct(Destination.from_template(JobRef("jogg", name), Path("v")) for name in ("a", "b", "a"))


@pytest.mark.parametrize("extension", ["mp4", "webm", "mov"])
def test_given_file_name_is_kept_for_any_extension(extension: str) -> None:
    assert Destination.from_path(REF, Path("clip.mp4")).name_file(extension) == Path("clip.mp4")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_folder_as_output_file_raises_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Destination.from_path(REF, Path(name))
    with pytest.raises(UsageError, match="is a folder"):
        Destination.from_path(REF, tmp_path)


@pytest.mark.parametrize("extension", ["mp4", "webm", "mov"])
def test_existing_video_with_any_extension_counts_as_saved(tmp_path: Path, extension: str) -> None:
    where = in_folder(tmp_path)
    assert where.find_saved() is None
    where.name_file(extension).write_bytes(mp4(500))
    saved = where.find_saved()
    assert saved
    assert (saved.file, saved.bytes, saved.skipped) == (where.name_file(extension), 500, True)
    assert where.find_saved(overwrite=True) is None


@pytest.mark.parametrize("content", [b"hi\n", mp4(500)[:-1], b"<!doctype html>"])
def test_existing_file_that_is_not_a_whole_video_raises_not_saved(tmp_path: Path, content: bytes) -> None:
    where = in_folder(tmp_path)
    where.name_file("webm").write_bytes(content)
    with pytest.raises(NotSaved, match=r"jogg-a1\.webm already exists and is not a whole video") as caught:
        where.find_saved()
    assert caught.value.hint == REPLACE
    assert where.find_saved(overwrite=True) is None


@pytest.mark.parametrize("content", [b"hi\n", mp4(500)])
def test_existing_file_at_a_given_path_raises_not_saved(tmp_path: Path, content: bytes) -> None:
    where = Destination.from_path(REF, tmp_path / "clip.mp4")
    where.path.write_bytes(content)
    with pytest.raises(NotSaved, match=r"clip\.mp4 already exists\Z") as caught:
        where.find_saved()
    assert caught.value.hint == REPLACE
    assert where.find_saved(overwrite=True) is None


def test_an_empty_file_is_not_a_saved_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    assert Destination.from_path(REF, tmp_path / "clip.mp4").find_saved() is None


def test_reserve_makes_an_empty_part_only_where_there_is_no_video(tmp_path: Path) -> None:
    free, taken = (Destination.from_template(JobRef("jogg", name), tmp_path) for name in ("a1", "b2"))
    taken.name_file("webm").write_bytes(mp4())
    for place in (free, taken):
        place.reserve()
    assert free.part.read_bytes() == b""
    assert not taken.part.exists()


def test_joined_result_has_the_first_file_and_the_others_after_it() -> None:
    videos = [Saved(file=Path(f"{number}.mp4"), bytes=number) for number in (1, 2, 3)]
    joined = join_saved(videos)
    assert (joined.file, joined.more, joined.bytes) == (Path("1.mp4"), (Path("2.mp4"), Path("3.mp4")), 6)


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (1000, "1.0 kB"), (26_700, "26.7 kB"), (5 * 10**12, "5000.0 GB")]
)
def test_size_is_formatted_with_a_decimal_unit(size: int, text: str) -> None:
    assert format_size(size) == text


def test_all_saved_videos_of_a_job_are_found(tmp_path: Path) -> None:
    place = Destination.from_template(JobRef("jogg", "a1"), tmp_path)
    files = [each.name_file("mp4") for each in (place, place.with_number(2), place.with_number(3))]
    for file in files:
        file.write_bytes(mp4())
    saved = place.find_all_saved()
    assert saved
    assert [saved.file, *saved.more] == files
