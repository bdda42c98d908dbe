"""All services that videostat knows, by the name that the user types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.providers import doubao, jogg, reelbot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.providers.base import Provider

_ALL = (
    jogg.PROJECT,
    jogg.AVATAR,
    jogg.PRODUCT,
    doubao.PROVIDER,
    reelbot.PROVIDER,
)
PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _ALL}
