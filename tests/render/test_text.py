from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from fakes import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from terminal import Terminal

from videostat.models import Job, JobRef
from videostat.render.answers import format_json
from videostat.render.text import clean_text, format_ago, format_size

CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
LINE_ENDS = [0x2028, 0x2029]
BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
ZERO_WIDTH = [0x00AD, 0x034F, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0x2061, 0x2064, 0xFEFF]
FILLERS = [0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0]
SURROGATES = [0xD800, 0xDC80, 0xDFFF]
TAGS = [0xE0001, 0xE0041, 0xE007F, 0xE0100, 0xE01EF]
MEANINGLESS = [0xE000, 0xFFF9, 0xFFFE, 0x10FFFF]


@pytest.mark.parametrize(
    "number",
    [*CONTROLS, *LINE_ENDS, *BIDI, *ZERO_WIDTH, *FILLERS, *SURROGATES, *TAGS, *MEANINGLESS],
    ids=lambda number: f"U+{number:04X}",
)
def test_control_and_invisible_characters_are_escaped(number: int) -> None:
    shown = clean_text(f"a{chr(number)}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


@pytest.mark.parametrize(
    "text",
    [
        "Waves at dawn",
        "海浪\u3000日出，请重试",  # noqa: RUF001 - as a Chinese gateway writes
        "Échec\xa0: réessayez",
        "مرحبا",
        "❤️ 🎬",
        "[red]boom[/red] :smile: {braces} %s \\n",
    ],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert clean_text(text) == text


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_cleaned_text_is_one_visible_line_and_cleaning_again_is_no_change(text: str) -> None:
    shown = clean_text(text, longest=None)
    assert all(letter.isprintable() or letter in "\xa0\u3000" for letter in shown)
    assert shown.encode().decode() == shown
    assert clean_text(shown, longest=None) == shown


def test_cleaning_ten_megabytes_takes_little_time() -> None:
    began = time.process_time()
    assert clean_text("\x1b" * 10_000_000).startswith(r"\x1b\x1b")
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(("length", "longest", "kept"), [(500, 500, 500), (501, 500, 497), (11, 10, 7), (9, None, 9)])
def test_long_text_is_cut_and_ends_with_dots(length: int, longest: int | None, kept: int) -> None:
    assert clean_text("x" * length, longest=longest) == "x" * kept + "..." * (kept < length)


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b[2J\x1b[H",
        "\x1b]0;owned\x07",
        "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
        "\x1bP$q\x1b\\",
        "\x9b31m",
        "\x9d0;owned\x9c",
        "\r\n\x08\x0b\x0c",
        "\x1b[6n\x05",
        "\x1b(0lqqk",
        "\x0e\x1bc",
    ],
)
def test_no_escape_sequence_reaches_the_terminal(attack: str) -> None:
    with Terminal(200) as terminal:
        terminal.file.write(f"before{clean_text(attack)}after")
        assert terminal.lines == [f"before{clean_text(attack)}after"]
        assert terminal.cursor == (len(terminal.lines[0]), 0)
        assert terminal.screen.title == ""
        assert terminal.text.isprintable()


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1m ago"),
        (3599, "59m ago"),
        (3600, "1h ago"),
        (86399, "23h ago"),
        (86400, "1d ago"),
        (35 * 86400, "35d ago"),
        (1047 * 86400, "2y ago"),
    ],
)
def test_age_is_written_in_the_largest_whole_unit(seconds: float, written: str) -> None:
    assert format_ago(EPOCH, EPOCH + timedelta(seconds=seconds)) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (33_900, "33.9 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_200_000, "4.2 MB"),
        (1.1e9, "1.1 GB"),
        (131e9, "131 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_size_is_rounded_and_has_a_decimal_unit(count: float, written: str) -> None:
    assert format_size(count) == written


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("##vso[task.complete result=Succeeded]", "# #vso[task.complete result=Succeeded]"),
        ("done ##[error]x", "done # #[error]x"),
        ("##teamcity[buildStop]", "# #teamcity[buildStop]"),
        ("::add-mask::x", ": :add-mask::x"),
        (" ::error::x", " : :error::x"),
        ("a::b ## c", "a::b ## c"),
    ],
)
def test_commands_for_ci_agents_are_broken_up(foreign: str, shown: str) -> None:
    assert clean_text(foreign) == shown


def test_commands_for_ci_agents_in_json_are_broken_up_but_decode_the_same() -> None:
    job = Job(ref=JobRef("jogg", "a"), title="##vso[task.complete] ### ##[x]")
    line = format_json(job)
    assert "##" not in line
    assert json.loads(line)["title"] == job.title
