"""What this process holds in memory, as Linux counts it; knows nothing of what is measured."""

from __future__ import annotations

from pathlib import Path

__all__ = ["memory_bytes"]


def memory_bytes() -> dict[str, int]:
    """Resident memory: all of it, and the part that is no file's ("anonymous")."""
    fields = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name.rstrip(":")] = int(value) * 1024
    return {"resident": fields["Rss"], "anonymous": fields["Anonymous"]}
