"""The address to listen on, and its public URL."""

from __future__ import annotations

import re

import pytest

from videostat.errors import UsageError
from videostat.hooks.address import Address, join_url, make_path, parse_address

SECRET = "/k3JxT0p9QwEr7yUi"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"8080{SECRET}", Address("127.0.0.1", 8080, SECRET)),
        ("8080/hooks", Address("127.0.0.1", 8080, "/hooks")),
        (f"0.0.0.0:80{SECRET}", Address("0.0.0.0", 80, SECRET)),
        ("localhost:0/a/b", Address("localhost", 0, "/a/b")),
        ("127.0.0.2:65535/", Address("127.0.0.2", 65535, "/")),
        ("[::1]:1/x", Address("::1", 1, "/x")),
        (f"[::]:1{SECRET}", Address("::", 1, SECRET)),
        (f"videos.example.com:8080{SECRET}", Address("videos.example.com", 8080, SECRET)),
    ],
)
def test_valid_address_is_parsed(text: str, address: Address) -> None:
    assert parse_address(text) == address


def test_missing_path_is_generated() -> None:
    addresses = [parse_address(text) for text in ("8080", "8080", "0.0.0.0:8080")]
    assert len({each.path for each in addresses}) == 3
    assert all(re.fullmatch(r"/[\w-]{22}", each.path) and each.is_path_made for each in addresses)
    assert not parse_address("8080/x").is_path_made


@pytest.mark.parametrize(
    "text",
    [
        *("", "http", "/x", ":8080", "h:", "65536", "-1", "80800", "8080x", "8080 ", "8\u0660"),
        *("8080/a b", "8080/?q", "8080/%41", "8080/\n", "8080/\u00e4"),
        *("http://127.0.0.1:8080/x", "::1:8080", "[::1]", "a/b:1", "u@h:1", "1:2:3"),
    ],
)
def test_invalid_address_gives_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not \[HOST:\]PORT\[/PATH\]$") as caught:
        parse_address(text)
    assert caught.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.2", "videos.example.com", "8.8.8.8"])
@pytest.mark.parametrize("path", ["/", "/hooks", "/" + "x" * 15])
def test_address_beyond_loopback_needs_a_path_of_16_characters(host: str, path: str) -> None:
    with pytest.raises(UsageError, match="its path needs at least 16 characters") as caught:
        parse_address(f"{host}:8080{path}")
    assert re.search(r"--listen \S+:8080/[\w-]{22}$", str(caught.value.hint))
    assert parse_address(f"{host}:8080/{'x' * 16}")


def test_repr_does_not_contain_the_path() -> None:
    assert SECRET not in repr(parse_address(f"8080{SECRET}"))


def test_origin_of_an_address_has_host_and_port() -> None:
    assert parse_address("8080/x").origin == "http://127.0.0.1:8080"
    assert parse_address("[::1]:8080/x").origin == "http://[::1]:8080"


def test_public_url_contains_the_path_once() -> None:
    path = make_path()
    for base in ("https://a.example", "https://a.example/", f"https://a.example{path}", f"https://a.example{path}/"):
        assert join_url(base, path) == f"https://a.example{path}"
    assert join_url("https://a.example/base/", path) == f"https://a.example/base{path}"
    assert join_url(f"https://a.example/base{path}", path) == f"https://a.example/base{path}"
