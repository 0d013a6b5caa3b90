"""Sessions of ONNX Runtime for models of others, which may be damaged or of any form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def open_session(
    path: Path, num_threads: int, tensors: Mapping[str, NDArray[np.float32]] | None = None, *, can_spin: bool = True
) -> Any:
    """Load a graph, to be run by the processor.

    Args:
        path: A file of ONNX.
        num_threads: Threads that run one call.
        tensors: Initializers that the graph has outside its file, by name.
        can_spin: Whether these threads keep their processors busy while they wait, which is faster for them alone.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        Exception: Any, for a file that is not such a graph; nothing is printed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, too
    options.intra_op_num_threads = num_threads
    if not can_spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if tensors:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
        options.add_external_initializers([*tensors], values)
    return onnxruntime.InferenceSession(
        path.read_bytes(),  # so that a graph cannot name other files of this machine as its tensors
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # which prints its errors to stdout, and tries the same again
    )
