"""Ids and signatures of deliveries: documented ones of several services, and anything else that can be sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videostat.hooks.delivery import MOST_STRINGS, Delivery, find_ids, find_senders, sign
from videostat.models import JobRef
from videostat.providers import PROVIDERS

FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "deliveries").glob("*.json"))
}
HEADER = "x-webhook-signature"
SECRET = "whsec_abc123xyz"
OTHERS = {"proj_other1", "video_other1", "completed", "success"}

every_fixture = pytest.mark.parametrize("fixture", FIXTURES.values(), ids=FIXTURES)


def make_delivery(content: object = None, *, query: str = "", headers: dict[str, str] | None = None) -> Delivery:
    return Delivery(headers or {}, json.dumps(content).encode(), query)


# --- the ids in a delivery


@every_fixture
def test_ids_of_each_documented_delivery_are_found(fixture: dict[str, Any]) -> None:
    assert find_ids(make_delivery(fixture["body"]), {*fixture["ids"], *OTHERS} - {"completed"}) == fixture["ids"]
    assert find_ids(make_delivery(fixture["body"]), OTHERS - {"completed"}) == []


@every_fixture
def test_announced_job_is_read_by_the_providers_that_document_it(fixture: dict[str, Any]) -> None:
    read = {name: provider.webhook.read(fixture["body"]) for name, provider in PROVIDERS.items() if provider.webhook}
    assert {name: found for name, found in read.items() if found} == fixture["announces"]


@every_fixture
def test_each_documented_delivery_names_its_source_and_the_day(fixture: dict[str, Any]) -> None:
    assert fixture["source"].startswith("https://")
    assert date.fromisoformat(fixture["seen"])


def test_id_in_the_query_is_found() -> None:
    assert find_ids(make_delivery(query="job=proj_abc123&x=1&y"), {"proj_abc123"}) == ["proj_abc123"]
    assert find_ids(make_delivery(query="job=proj%5Fabc123"), {"proj_abc123"}) == ["proj_abc123"]


def test_id_is_found_only_if_it_is_the_whole_string() -> None:
    content = {"url": "https://cdn.example/proj_abc123.mp4", "proj_abc123": 1, "a": ["proj_abc1234", " proj_abc123"]}
    assert find_ids(make_delivery(content), {"proj_abc123"}) == []


def test_id_shorter_than_8_characters_is_not_found() -> None:
    assert find_ids(make_delivery(["1234567", "12345678"]), {"1234567", "12345678"}) == ["12345678"]


def test_each_id_is_found_once() -> None:
    assert find_ids(make_delivery(["proj_abc123"] * 9), {"proj_abc123"}) == ["proj_abc123"]


def test_only_the_first_strings_of_a_huge_delivery_are_read() -> None:
    strings = [f"job-{number:07}" for number in range(MOST_STRINGS * 2)]
    assert find_ids(make_delivery([*strings]), set(strings)) == strings[:MOST_STRINGS]
    assert (
        find_ids(make_delivery(query="&".join(f"a={each}" for each in strings)), set(strings)) == strings[:MOST_STRINGS]
    )
    # Outer strings come before inner ones.
    assert find_ids(make_delivery([[*strings], "proj_abc123"]), {"proj_abc123"}) == ["proj_abc123"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 65536, b"9" * 5000, b"\xff\xfe\x00", b"null", b'"\\ud800"', b"NaN", b"\x00" * 100, b"[1e999]"],
)
def test_unusual_body_contains_no_ids(body: bytes) -> None:
    assert find_ids(Delivery({}, body), {"proj_abc123"}) == []


@given(st.binary(max_size=200), st.text(max_size=50))
def test_any_body_and_any_query_are_read_without_an_error(body: bytes, query: str) -> None:
    found = Delivery({HEADER: query}, body, query)
    assert find_ids(found, {"proj_abc123"}) in ([], ["proj_abc123"])
    assert find_senders(found, {"jogg": (HEADER, SECRET)}) == set()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
)


@given(json_values, st.sampled_from(["generated_video_success", "generated_avatar_video_failed", "", 1, None]))
def test_providers_read_a_valid_id_or_nothing_from_any_json(data: object, event: object) -> None:
    for content in (data, {"event": event, "data": data}, {"event": data, "data": {"video_id": data}}):
        for provider in PROVIDERS.values():
            found = provider.webhook and provider.webhook.read(content)
            assert not found or JobRef.is_id(found)


# --- the possible senders of a delivery


def test_signature_is_hmac_sha256_in_hexadecimal() -> None:
    payload = b'{"event": "generated_avatar_video_success"}'
    assert sign(SECRET, payload) == hmac.new(SECRET.encode("utf-8"), payload, hashlib.sha256).hexdigest()


def test_account_with_a_secret_accepts_only_its_signature() -> None:
    locks = {"jogg": (HEADER, SECRET)}
    body = b'{"data": {"project_id": "proj_abc123"}}'
    right = sign(SECRET, body)
    assert find_senders(Delivery({HEADER: right}, body), locks) == {"jogg"}
    wrong = {
        "none": {},
        "empty": {HEADER: ""},
        "another secret's": {HEADER: sign("other", body)},
        "upper case": {HEADER: right.upper()},
        "with a prefix": {HEADER: f"sha256={right}"},
        "cut": {HEADER: right[:-1]},
        "in another header": {"x-signature": right},
        "not ASCII": {HEADER: "\xe4\u4e2d\ud800"},
    }
    for what, headers in wrong.items():
        assert find_senders(Delivery(headers, body), locks) == set(), what
    assert find_senders(Delivery({HEADER: right}, body + b" "), locks) == set()


def test_account_without_a_secret_accepts_any_sender() -> None:
    locks = {"jogg": (HEADER, SECRET), "doubao": ("", None), "second": (HEADER, "other")}
    assert find_senders(Delivery({}, b"{}"), locks) == {"doubao"}
    assert find_senders(Delivery({HEADER: sign("other", b"{}")}, b"{}"), locks) == {"doubao", "second"}
    assert find_senders(Delivery({}, b"{}"), {}) == set()
