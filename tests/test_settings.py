"""What can be set: the page on indexing lists every setting with the default that holds."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from searchkit.config import Settings
from searchkit.media import DecodeSettings

PAGE = Path(__file__).parents[1] / "docs" / "indexing.md"
NOT_FOR_PEOPLE = {"decode", "plugs"}  # the table itself, and what the model decides
UNITS = {"million": 10**6, "GiB": 1 << 30, "MiB": 1 << 20}


def listed() -> dict[str, str]:
    """Setting and default, from the page's tables."""
    found: dict[str, str] = {}
    for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.M):
        names = re.findall(r"\w+", row[0])
        defaults = row[1].split(", ") if len(names) > 1 else [row[1]]
        found.update(zip(names, [*defaults, ""], strict=False))
    return found


def test_every_setting_is_on_the_page_with_its_default() -> None:
    known: dict[str, Any] = {
        setting.name: getattr(settings, setting.name)
        for settings in (Settings(), DecodeSettings())
        for setting in fields(settings)
        if setting.name not in NOT_FOR_PEOPLE
    }
    told = listed()
    assert known.keys() - told.keys() == set()
    figures = {name: value for name, value in known.items() if type(value) in (int, float)}
    for name in figures.keys() - {"jobs", "audio_rate_hz"}:
        figure, _, unit = told[name].partition(" ")
        assert float(figure) * UNITS.get(unit, 1) == figures[name], name
