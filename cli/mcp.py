"""``searchkit mcp``: a library for assistants, over standard input and output."""

from __future__ import annotations

from searchkit.cli.options import LibraryOption, ModelDirOption, ModelOption
from searchkit.errors import DependencyMissing

__all__ = ["mcp"]


def mcp(library: LibraryOption = None, model: ModelOption = None, model_dir: ModelDirOption = None) -> None:
    """Let an assistant search a library: a Model Context Protocol server on standard input and output.

    Example: searchkit mcp --library ~/media-library
    """
    try:
        from searchkit.mcp_server import create_mcp_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("searchkit"):
            raise
        raise DependencyMissing(error.name, "mcp") from error
    from searchkit.library import open_library

    with open_library(library, create=False, read_only=True, model=model, model_dir=model_dir) as opened:
        create_mcp_server(opened).run("stdio")
