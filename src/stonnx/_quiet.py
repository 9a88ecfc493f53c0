"""Optional dependencies are imported without what they would send, or write into the home folder, unasked.

- ONNX Runtime from 1.32 on writes a device id and a database of events (paths, CPU, names of models, timings) below the
  user's cache, and looks up the host to send them to. It reads ``ORT_DISABLE_TELEMETRY`` once, at its import.
- huggingface_hub, transformers and sentence-transformers tell the hub which libraries and versions ask, also
  for models that are downloaded on request. They read ``HF_HUB_DISABLE_TELEMETRY`` once, at their import.
- OpenVINO reports its import to an analytics server: ``openvino.tools.ovc`` forks a process for it and leaves an id in
  the home folder. That happens through the package ``openvino_telemetry``, for which it has a stub of its own where
  that is missing; so it is made to be missing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

__all__ = ["quiet_import", "turn_off_telemetry"]

_VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_OPENVINO_TELEMETRY = "openvino_telemetry"

_lock = threading.RLock()  # an import may lead to another one


def turn_off_telemetry() -> None:
    """Set ``ORT_DISABLE_TELEMETRY`` and ``HF_HUB_DISABLE_TELEMETRY`` of this process to 1.

    A variable that is set already keeps its value, whatever that is. Child processes inherit them.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def quiet_import(module: str) -> Iterator[None]:
    """Import ``module`` (a dotted name) inside this context: it, and what it imports, sends nothing.

    The environment variables of ``turn_off_telemetry`` stay set afterwards.
    """
    turn_off_telemetry()
    if module.partition(".")[0] != "openvino":
        yield
        return
    with _lock:
        hidden = _OPENVINO_TELEMETRY not in sys.modules
        if hidden:
            sys.modules[_OPENVINO_TELEMETRY] = None  # type: ignore[assignment] # an import of it fails from here on
        try:
            yield
        finally:
            if hidden:
                sys.modules.pop(_OPENVINO_TELEMETRY, None)
