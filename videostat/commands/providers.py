"""The command `videostat providers`: list services and accounts."""

from videostat.cli.options import Config, Fields, Json
from videostat.errors import ExitCode

FIELDS = ("name", "type", "service", "key", "interval", "timeout", "lists")
HEADERS = ("NAME", "SERVICE", "KEY", "EVERY", "WAITS", "LIST")


def providers(*, json: Json = False, fields: Fields = None, config: Config = None) -> ExitCode:
    """Show the services and accounts: the source of the key, the pause between looks, the timeout.

    For example:
      videostat providers

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.cli.options import choose_fields
    from videostat.clock import format_duration
    from videostat.config import load
    from videostat.render.answers import format_json_values
    from videostat.render.tables import print_lines, print_table

    names = choose_fields(fields, FIELDS)
    settings = load(config)
    sources = {value.account: value for value in settings.list_values() if value.key == "api_key"}
    records, rows = [], []
    for name in settings.list_names():
        provider, key = settings.get_provider(name), sources[settings.get_key_group(name)]
        interval, timeout, lists = provider.polling.every, provider.polling.timeout, provider.listing is not None
        found = key.source if key.value else None
        values = (name, provider.name, provider.title, found, interval, timeout, lists)
        records.append(dict(zip(FIELDS, values, strict=True)))
        every, waits = "{:g}-{:g}s".format(*interval), format_duration(timeout)
        rows.append((name, provider.title, key.source, every, waits, "yes" if lists else "no"))
    if json or names is not None:
        print_lines(format_json_values(record, names) for record in records)
    else:
        print_table(HEADERS, rows)
    return ExitCode.OK
