"""A training run's folder: settings, the checkpoint that a kill cannot hurt, and the log as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from searchkit.durable import replace_file, write_text
from searchkit.errors import CheckpointError, UsageError

__all__ = ["RunFolder", "RunLog"]

FORMAT = 1


class RunFolder:
    """Where one run keeps its files.

    Args:
        path: the folder; made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint_path = path / "checkpoint.pt"
        self.settings_path = path / "settings.json"
        self.log_path = path / "log.csv"
        self.model_path = path / "model"

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Write the settings, or compare them with those that the run was begun with.

        Raises:
            UsageError: the folder holds a run with other settings, or something else.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(settings))
        if not self.settings_path.is_file():
            if any(self.path.iterdir()):
                raise UsageError(f"{self.path} is not empty and holds no run", hint="name a new folder")
            write_text(self.settings_path, json.dumps(wanted, indent=1))
            return
        try:
            found = json.loads(self.settings_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.settings_path}: cannot be read: {error}") from error
        if differing := sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)):
            raise UsageError(
                f"{self.path} holds a run with other settings: {', '.join(differing)}",
                hint="give the same settings to go on, or name a new folder",
            )

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, whole or not at all.

        Raises:
            DiskFull: there is no space; the one before stays.
        """
        with replace_file(self.checkpoint_path) as file:
            torch.save({"format": FORMAT, **state}, file)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint, None before the first.

        Raises:
            CheckpointError: it cannot be read.
        """
        if not self.checkpoint_path.is_file():
            return None
        try:
            state = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises several kinds
            raise CheckpointError(f"{self.checkpoint_path}: cannot be read: {error}") from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise CheckpointError(f"{self.checkpoint_path}: not a checkpoint of this version")
        return state


class RunLog:
    """Rows by step; columns may come later, and rows after a step are dropped when a run goes on from it.

    Args:
        path: the CSV file.
        until_step: keep only the rows of steps up to this one.
    """

    def __init__(self, path: Path, until_step: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                read = csv.DictReader(file)
                self.rows = [row for row in read if row["step"] and int(row["step"]) <= until_step]

    @property
    def seconds(self) -> float:
        """Training time before this process."""
        return float(self.rows[-1]["seconds"]) if self.rows else 0.0

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row; `write` makes it durable."""
        self.rows.append({name: f"{value:.6g}" for name, value in row.items()})

    def write(self) -> None:
        """Replace the file.

        Raises:
            DiskFull: there is no space.
        """
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
