"""The ``searchkit`` command: its subcommands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from searchkit._version import __version__
from searchkit.cli import (
    classify,
    copy,
    demo,
    dupes,
    embed,
    explain,
    export,
    ground,
    index,
    mcp,
    models,
    query,
    runs,
    saved,
    serve,
    status,
    tag,
    train,
    verify,
    watch,
)
from searchkit.cli import errors as errors_command
from searchkit.cli import eval as eval_command
from searchkit.cli import import_ as import_command
from searchkit.cli import remove as remove_command
from searchkit.cli.exits import Exit, exit_for, explain_os_error
from searchkit.cli.hints import forget_library
from searchkit.cli.output import error_line, line, note
from searchkit.cli.streams import drop_output, open_missing_streams
from searchkit.errors import DecodeError, SearchkitError

__all__ = ["app", "run"]

app = typer.Typer(
    name="searchkit",
    help="Search folders of photos, sounds, videos and texts with words, a sound, a picture, or a sum.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        line(f"searchkit {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


app.command("index")(index.index)
app.command("query")(query.query)
app.command("saved")(saved.saved)
app.command("explain")(explain.explain)
app.command("embed")(embed.embed)
app.command("status")(status.status)
app.command("errors")(errors_command.errors)
app.command("runs")(runs.runs)
app.command("watch")(watch.watch)
app.command("remove")(remove_command.remove)
app.command("verify")(verify.verify)
app.command("copy")(copy.copy)
app.command("export")(export.export)
app.command("import")(import_command.import_)
app.command("eval")(eval_command.evaluate)
app.command("dupes")(dupes.dupes)
app.command("tag")(tag.tag)
app.command("serve")(serve.serve)
app.command("mcp")(mcp.mcp)
app.command("demo")(demo.demo)
app.command("ground")(ground.ground)
app.command("classify")(classify.classify)
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")


def _hint(error: SearchkitError) -> str:
    if isinstance(error, DecodeError):
        if "permission denied" in error.reason:
            return "check its permissions, and those of its folder"
        return "see whether another program opens the file; if not, it is damaged"
    return ""


def _usage_message(error: Exception) -> str | None:
    """What the argument parser has to say; its exceptions have no public base in every version of Typer."""
    describe = getattr(error, "format_message", None)
    return str(describe()) if callable(describe) else None


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see ``searchkit.cli.exits``."""
    open_missing_streams()
    forget_library()
    try:
        code = app(args=arguments, prog_name="searchkit", standalone_mode=False)
        if code == Exit.INTERRUPTED and not isinstance(code, Exit):  # Typer's own, which says nothing
            raise KeyboardInterrupt
        sys.stdout.flush()
        return int(code) if isinstance(code, int) else Exit.OK
    except SearchkitError as error:
        error_line(error.message, error.hint or _hint(error))
        return exit_for(error)
    except (KeyboardInterrupt, typer.Abort):
        error_line("interrupted", "what was recorded stays; run the command again to go on")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return Exit.OK
    except SystemExit as stop:
        # Click ends with code 1 when the reader is gone, which here would say that nothing was found.
        if isinstance(stop.__context__, BrokenPipeError):
            drop_output()
            return Exit.OK
        raise
    except Exception as error:
        if isinstance(error, OSError) and (explained := explain_os_error(error)) is not None:
            *words, code = explained
            error_line(*words)
            drop_output()
            return code
        if (message := _usage_message(error)) is not None:
            if message.startswith("Usage:"):  # no command was named
                note(message)
                return Exit.USAGE
            command = getattr(getattr(error, "ctx", None), "command_path", "searchkit")
            error_line(message, f"{command} --help")
            return Exit.USAGE
        if os.environ.get("SEARCHKIT_DEBUG"):
            raise
        error_line(
            f"internal error: {type(error).__name__}: {error}",
            "this is a bug in searchkit; SEARCHKIT_DEBUG=1 shows where",
        )
        return Exit.INTERNAL
