"""What each setting is in force, and where it comes from: the answer of `dmsinit render --settings`."""

from collections.abc import Mapping

from dmsinit.settings import FORMER, Loaded


def effective(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, object]:
    """Return the settings with secrets masked; `origin` is the file or the former name that a value comes from."""
    rows = []
    for name, value in loaded.settings.masked().items():
        source = loaded.sources.get(name, "env")
        row = {"name": name, "value": value, "source": source}
        if source == "file":
            row["origin"] = environ.get(f"{name}__FILE", "")
        elif source == "alias":
            row["origin"] = next(
                (old for old, former in FORMER.items() if former.target == name and environ.get(old)), ""
            )
        rows.append(row)
    warnings = [str(warning) for warning in loaded.warnings]
    return {"fqdn": loaded.settings.fqdn, "settings": rows, "warnings": warnings}
