"""One ONNX model, loaded when it is first run; knows nothing of what goes in or comes out."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from searchkit.encoders.mini.files import ModelFiles
from searchkit.errors import ModelCorrupt

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Tower"]


class Tower:
    """A model file with one input; safe to run from several threads."""

    def __init__(self, files: ModelFiles, name: str, threads: int | None) -> None:
        self._files, self._name, self._threads = files, name, threads
        self._session: onnxruntime.InferenceSession | None = None
        self._lock = threading.Lock()

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._session is not None

    def run(self, inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for one input array.

        Raises:
            ModelNotFound: the file is missing.
            ModelCorrupt: the file is not what the manifest says, or does not load.
        """
        session = self._open()
        outputs: list[npt.NDArray[Any]] = session.run(None, {session.get_inputs()[0].name: inputs})
        return outputs

    def close(self) -> None:
        """Free the model; the next run loads it again."""
        with self._lock:
            self._session = None

    def _open(self) -> onnxruntime.InferenceSession:
        with self._lock:
            if self._session is None:
                self._session = self._load()
            return self._session

    def _load(self) -> onnxruntime.InferenceSession:
        # Official builds of ONNX Runtime keep a device id in the user's cache and report to their maker.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        # Imported here: it costs 0.1 s, and `import searchkit` must not pay for it.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # onnxruntime itself does not look at the variable by which clusters give a process its cores.
        given = os.environ.get("OMP_NUM_THREADS", "")
        if self._threads is not None or given.isdigit():
            options.intra_op_num_threads = int(given) if self._threads is None else self._threads
        # Threads that spin between two small models take the cores that decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        content = self._files.content(self._name)
        wrong: list[ModelCorrupt] = []

        def check() -> None:
            try:
                self._files.check(self._name, content)
            except ModelCorrupt as error:
                wrong.append(error)

        # Hashing takes as long as loading, and runs beside it.
        beside = threading.Thread(target=check)
        beside.start()
        failure: Exception | None = None
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no common base
            failure = error
        beside.join()
        if wrong:
            raise wrong[0] from failure
        if failure is not None:
            raise self._files.unusable(self._name, failure) from failure
        return session
