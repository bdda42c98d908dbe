"""videostat providers: list the services and accounts, and where their keys come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox


@pytest.mark.parametrize("is_tty", [True, False])
def test_providers_lists_every_service_with_interval_and_timeout(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, *, is_tty: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    got = videostat("providers", tty=("stdout",) if is_tty else ())
    assert got.code == 0
    assert [line.split()[0] for line in got.lines[1 if is_tty else 0 :]] == list(PROVIDERS)
    assert "10-15s" in got.stdout
    assert "30m" in got.stdout


def test_providers_lists_custom_accounts_and_key_sources(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[providers.eu]\ntype = "doubao"\nbase_url = "https://eu.example.com"\napi_key = "secret-of-eu"\n'
    )
    monkeypatch.delenv("VIDEOSTAT_REELBOT_API_KEY")
    got = videostat("providers", "--config", config)
    keys = {row[0]: row[2] for row in got.rows}
    assert keys == {
        **dict.fromkeys(PROVIDERS, "not set"),
        **dict.fromkeys(("jogg", "jogg-avatar", "jogg-product"), "environment variable VIDEOSTAT_JOGG_API_KEY"),
        "doubao": "environment variable VIDEOSTAT_DOUBAO_API_KEY",
        "eu": "config.toml",
    }
    assert "secret-of-eu" not in got.stdout
    assert not sandbox.requests
