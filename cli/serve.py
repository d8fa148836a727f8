"""``searchkit serve``: a library for browsers and programs."""

from __future__ import annotations

import os
import webbrowser
from dataclasses import replace
from typing import Annotated

import typer

from searchkit.cli.options import LibraryOption, ModelDirOption, ModelOption
from searchkit.cli.output import line, note
from searchkit.errors import DependencyMissing

__all__ = ["serve"]


def serve(
    library: LibraryOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="SEARCHKIT_TOKEN",
            help="Ask for this token; without it, one is made when others can reach the server.",
            show_default=False,
        ),
    ] = None,
    new_token: Annotated[bool, typer.Option("--new-token", help="Make another token.")] = False,
    browse: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse tags and index runs.")] = False,
    cors: Annotated[
        list[str] | None, typer.Option("--cors", help="A web origin whose pages may ask.", show_default=False)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name that this server goes by.", show_default=False),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy", help="Address of a reverse proxy whose X-Forwarded headers count.", show_default=False
        ),
    ] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            "--rate-limit",
            help="Requests a second for one client, 0 for any number (default: 50 where others can ask).",
            show_default=False,
        ),
    ] = None,
    max_upload_mb: Annotated[int, typer.Option("--max-upload-mb", min=1, help="Limit for a request.")] = 64,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every request.")] = False,
) -> None:
    """Serve a library: a page for browsers, an API for programs.

    Example: searchkit serve --library ~/media-library --open
    """
    try:
        from searchkit import web
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("searchkit"):
            raise
        raise DependencyMissing(error.name, "web") from error
    from searchkit.library import open_library

    settings = web.ServeSettings(
        host=host,
        port=port,
        allowed_hosts=tuple(allow_host or ()),
        proxies=tuple(proxy or ()),
        cors_origins=tuple(cors or ()),
        read_only=read_only,
        max_upload_bytes=max_upload_mb << 20,
    )
    with open_library(library, create=False, read_only=read_only, model=model, model_dir=model_dir) as opened:
        made, token_hash = None, None
        if token is not None:
            token_hash = web.hash_token(token)
        elif not settings.is_private or new_token:
            token_hash = None if new_token else web.read_token_hash(opened.folder)
            if token_hash is None:
                made = web.make_token()
                token_hash = web.hash_token(made)
                web.save_token_hash(opened.folder, token_hash)
        rate_per_s = rate_limit if rate_limit is not None else None if settings.is_private else 50.0
        settings = replace(settings, token_hash=token_hash, rate_per_s=rate_per_s or None)

        def on_ready(url: str) -> None:
            line(url)
            if made is not None:
                note(f"token: {made}")
                note("it is shown only now; --new-token makes another")
            elif token_hash is not None and token is None:
                note("the token was shown when it was made; --new-token makes another")
            note("press Ctrl-C to stop")
            if browse and not os.environ.get("SEARCHKIT_NO_BROWSER"):
                webbrowser.open(url + (f"#token={made}" if made else ""))

        web.serve(opened, settings, on_ready=on_ready, log_level="info" if verbose else "warning")
