"""videostat providers: the services, and which of them are set up."""

from videostat.cli.options import Config
from videostat.errors import ExitCode

HEADERS = ("NAME", "SERVICE", "KEY", "EVERY", "WAITS", "LIST")


def providers(*, config: Config = None) -> ExitCode:
    """Show the services and accounts: key found or not, how often they are asked, what they can do.

    For example:
      videostat providers

    Exit code: 0, or 2 where it cannot be done.
    """
    from videostat.clock import format_duration
    from videostat.config import load
    from videostat.render.tables import show_table

    settings = load(config)
    keys = {value.account: value.source for value in settings.values() if value.key == "api_key"}
    rows = []
    for name in settings.names():
        provider = settings.provider(name)
        low, high = provider.polling.every
        rows.append(
            (
                name,
                provider.title,
                keys[settings.key_group(name)],
                f"{low:g}-{high:g}s",
                format_duration(provider.polling.timeout),
                "yes" if provider.listing else "no",
            )
        )
    show_table(HEADERS, rows)
    return ExitCode.OK
