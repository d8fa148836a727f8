"""``python -m searchkit`` and the ``searchkit`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ``--version`` alone is answered without loading it."""
    if sys.argv[1:] == ["--version"]:
        from searchkit._version import __version__

        sys.stdout.write(f"searchkit {__version__}\n")
        return
    try:
        from searchkit.cli.main import run
    except KeyboardInterrupt:
        sys.stderr.write("searchkit: interrupted\n")
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()
