"""The process that decodes on behalf of ``isolate``: reads requests, answers with facts and samples."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from searchkit.errors import DecodeError
from searchkit.media.decoded import Decoded, MediaType
from searchkit.media.open import media_samples, open_media
from searchkit.media.settings import DecodeSettings
from searchkit.media.sniff import has_pictures
from searchkit.media.wire import pack_sample, read_message, write_message
from searchkit.types import Modality

__all__ = ["main"]

# The caller ends a decoder that hangs; this one ends itself when the caller is gone.
_GRACE_S = 10


def main() -> None:
    """Serve requests from standard input until it closes."""
    requests, answers = _take_over_streams()
    # A terminal's Ctrl-C goes to the whole group, but only the caller decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request, _ = read_message(requests)
            if "max_memory_bytes" in request:
                _limit_memory(request["max_memory_bytes"])
                write_message(answers, {"ready": True})
            else:
                _answer(request, answers)


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes to ourselves, so that nothing a library prints gets between the answers."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    return requests, answers


def _limit_memory(limit_bytes: int | None) -> None:
    if limit_bytes is not None and sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def _answer(request: dict[str, Any], answers: BinaryIO) -> None:
    try:
        for message, body in _messages(request):
            # Waiting for the caller to take a sample is no time spent on the file.
            _set_alarm(0)
            write_message(answers, message, body)
            _set_alarm(request["timeout_s"])
    except DecodeError as error:
        write_message(answers, {"error": error.reason, "hint": error.hint})
    except (BrokenPipeError, EOFError):
        raise
    except MemoryError:
        write_message(answers, {"error": "there is not enough memory to decode it", "hint": ""})
    except Exception as error:
        write_message(answers, {"error": f"the decoder failed ({type(error).__name__}: {error})", "hint": ""})
    finally:
        _set_alarm(0)


def _messages(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], memoryview | None]]:
    _set_alarm(request["timeout_s"])
    path, known = request["path"], request["media_type"]
    if request["verb"] == "probe":
        yield {"has_pictures": has_pictures(path)}, None
    else:
        settings = DecodeSettings(**request["settings"])
        if request["verb"] == "samples":
            for sample in media_samples(path, settings, MediaType.from_dict(known)):
                yield pack_sample(sample)
        else:
            decoded = open_media(path, settings, media_type=MediaType.from_dict(known) if known else None)
            whole = _is_short(decoded, settings)
            facts = {"media_type": asdict(decoded.media_type), "facts": decoded.facts.to_dict()}
            yield facts | {"whole": whole}, None
            if whole:
                for sample in decoded.samples:
                    yield pack_sample(sample)
    yield {"end": True}, None


def _is_short(decoded: Decoded, settings: DecodeSettings) -> bool:
    """Whether the samples are so few that they may come along, which saves asking for them."""
    match decoded.media_type.modality:
        case Modality.IMAGE:
            return settings.image_max_frames == 1 or decoded.facts.frames is None
        case Modality.AUDIO:
            return 0 < (decoded.facts.duration_s or 0) <= settings.audio_window_s
        case Modality.TEXT:
            return True
        case Modality.VIDEO:
            return False
        case _:
            return (decoded.facts.duration_s or 0) <= settings.audio_window_s


def _set_alarm(timeout_s: float) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(int(timeout_s) + _GRACE_S if timeout_s else 0)


if __name__ == "__main__":
    main()
