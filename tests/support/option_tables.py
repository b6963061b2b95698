"""The tables of docs/training.md, made from the declarations of the options. `python tests/support/option_tables.py` writes them into the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cropcam.model.options import KINDS, SECTIONS, declared, default_of, flag
from cropcam.model.training.presets import measured_loss, resolved

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
COLUMNS: dict[str, dict[str, Any]] = {
    "presence ≥ 1 %": {"labels": "presence", "presence_min_share": 0.05},
    "presence of any pixel": {"labels": "presence", "presence_min_share": 0.0},
    "majority": {"labels": "majority"},
    "shares": {"labels": "shares"},
    "shares of bags": {"labels": "shares", "bag_size": 8},
    "points": {"labels": "points"},
    "pixels": {"labels": "pixels"},
    "`unet`, pixels": {"labels": "pixels", "model": "unet"},
    "`baseline`, presence": {"labels": "presence", "model": "baseline"},
}
ROWS = ("loss", "lr", "weight_decay", "schedule", "warmup_epochs", "class_weights", "pseudo_label_weight")


def options_table() -> str:
    """Every setting: name, meaning, default, kinds of label."""
    lines = ["| option or setting | meaning | default | kinds of label |", "|---|---|---|---|"]
    for section, kind in SECTIONS.items():
        lines.append(f"| **{section}** | | | |")
        for name in kind.__dataclass_fields__:
            option = declared()[name]
            shown = f"`{flag(name)}`" if option.flag else f"`{name}`"
            choices = f": {', '.join(option.choices)}" if option.choices else ""
            default = option.default or default_of(name)
            kinds = ", ".join(option.kinds) if option.kinds and option.kinds != KINDS else "all"
            lines.append(f"| {shown} | {option.help}{choices} | {default if default not in ('', ()) else ''} | {kinds} |")
    return "\n".join(lines)


def defaults_table() -> str:
    """The measured defaults by network and kind of label."""
    settings = {title: resolved(passed) for title, passed in COLUMNS.items()}
    lines = ["| `fcn` if not named | " + " | ".join(settings) + " |", "|---|" + "---|" * len(settings)]
    for name in ROWS:
        values = [measured_loss(each) if name == "loss" else getattr(each, name) for each in settings.values()]
        lines.append(f"| {name} | " + " | ".join(value if isinstance(value, str) else f"{value:g}" for value in values) + " |")
    return "\n".join(lines)


def with_tables(page: str) -> str:
    """The page with both tables as the declarations give them."""
    for name, table in (("options", options_table()), ("defaults", defaults_table())):
        begin, end = f"<!-- {name}: made by tests/support/option_tables.py -->", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}\n{table}\n{end}{tail}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
