"""OpenVINO on the CPU: the portable graph, in float32, bfloat16 or with int8 weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.errors import ArtifactError, RunError, UnsupportedModelError
from stonnx.runtime.buckets import Buckets
from stonnx.runtime.engines._openvino_package import compile_settings, import_openvino
from stonnx.runtime.engines.base import FORKED, run_failure
from stonnx.runtime.feeds import ONE_PROMPT_LENGTH, PROMPT_LENGTHS, Feeds
from stonnx.runtime.forks import keep_for_good, tell_after_fork

__all__ = ["OpenVinoEngine", "open_variant"]

_LINKS = (
    "OpenVINO finds no weights through links: copy the artifact out of the cache, or take a variant of onnxruntime."
)
_OPTIONAL_INPUTS = {ONE_PROMPT_LENGTH: [], PROMPT_LENGTHS: [-1]}  # with a default in the graph, and their shapes
_PRECISION = "INFERENCE_PRECISION_HINT"

# pybind11 turns the exceptions of OpenVINO into these.
_FOREIGN_ERRORS = (RuntimeError, ValueError)


class OpenVinoEngine:
    """One compiled graph. Safe to call from several threads.

    Kernels are prepared at the first run of each shape, so batches are cut and padded to few shapes
    (``stonnx.runtime.buckets``), and what was prepared is kept while the engine lives.

    Args:
        compiled: An ``openvino.CompiledModel``.
        openvino: The package.
        buckets: How feeds become few shapes.
    """

    name = "openvino"
    shares_threads = False

    def __init__(self, compiled: Any, openvino: ModuleType, *, buckets: Buckets) -> None:
        self.version: str = openvino.__version__.partition("-")[0]
        self._make_tensor = openvino.Tensor
        self._buckets = buckets
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._compiled: Any = compiled
        self.lost_in_fork = False
        tell_after_fork(self)

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Run the graph, once per bucket; see ``Engine.run``.

        Raises:
            RunError: OpenVINO failed, or the engine is closed.
        """
        parts: list[list[NDArray[np.float32]]] = []
        with self._request(feeds) as request:
            for part, padded in self._buckets.parts(feeds):
                for name, values in padded.items():
                    # A copy: memory that belongs to NumPy would be released by OpenVINO's threads.
                    request.set_tensor(name, self._make_tensor(values, shared_memory=False))
                # Runs on the threads of OpenVINO's streams: a synchronous run would add threads per calling thread.
                request.start_async()
                request.wait()
                rows = part.stop - part.start
                tensors = (request.get_tensor(name).data[:rows] for name in outputs)
                parts.append([np.array(values, dtype=np.float32) for values in tensors])
        return tuple(parts[0]) if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))

    def close(self) -> None:
        """Release the graph once runs in other threads are done with it; further runs are an error."""
        with self._lock:
            self._compiled = None
            self._idle.clear()

    def after_fork(self) -> None:
        """In a forked child: OpenVINO's threads are gone, so the graph is lost."""
        self._lock = threading.Lock()  # another thread may have held it
        if self._compiled is not None:
            for value in (self._compiled, *self._idle):
                keep_for_good(value)
            self._compiled = None
            self._idle = []
            self.lost_in_fork = True

    @contextmanager
    def _request(self, feeds: Feeds) -> Iterator[Any]:
        """An inference request for the calling thread alone; one that failed is not used again."""
        with self._lock:
            compiled = self._compiled
            if compiled is None:
                raise RunError(FORKED if self.lost_in_fork else "The engine is closed.")
            request = self._idle.pop() if self._idle else None
        try:
            if request is None:
                request = compiled.create_infer_request()
            yield request
        except _FOREIGN_ERRORS as exc:
            raise run_failure(f"OpenVINO {self.version}", feeds, _reason(exc)) from exc
        with self._lock:
            if self._compiled is not None:
                self._idle.append(request)


def open_variant(
    variant: Variant,
    artifact: Artifact,
    *,
    threads: int,
    shared: bool = False,  # noqa: ARG001 - its streams are fixed when it compiles
) -> OpenVinoEngine:
    """The engine on a variant's graph; its runs never share their threads.

    Raises:
        MissingExtraError: openvino is not installed.
        ArtifactError: The graph is damaged, or the variant's options or inputs are not right.
        UnsupportedModelError: This CPU cannot carry out the arithmetic that the variant asks for.
    """
    settings = compile_settings(variant, threads=threads)
    openvino = import_openvino()
    graph = artifact.file(variant.graph.file)
    outputs = [output.name for output in artifact.manifest.outputs]
    core = openvino.Core()
    try:
        model = _model(openvino, core.read_model(graph), variant, outputs)
        compiled = core.compile_model(model, "CPU", settings)
    except _FOREIGN_ERRORS as exc:
        raise ArtifactError(
            f"OpenVINO {openvino.__version__} cannot load {graph}: {_reason(exc)}",
            hint=_LINKS
            if any(artifact.file(name).is_symlink() for name in variant.files)
            else "Convert the model again, or upgrade openvino.",
        ) from exc
    # Where the CPU lacks an arithmetic, OpenVINO quietly takes another one.
    precision = compiled.get_property(_PRECISION).to_string()
    if precision != settings[_PRECISION]:
        raise UnsupportedModelError(
            f"The variant {variant.name!r} computes in {settings[_PRECISION]}; OpenVINO on this CPU in {precision}.",
            hint="Leave the choice to variant='auto', or take a variant of precision fp32.",
            cli_hint="Leave the choice to --variant auto, or take a variant of precision fp32.",
        )
    spec = artifact.manifest.tower.tokenizer
    buckets = Buckets(limit=spec.max_tokens, pad_id=spec.pad_id, padding_side=spec.padding_side)
    return OpenVinoEngine(compiled, openvino, buckets=buckets)


def _model(openvino: ModuleType, model: Any, variant: Variant, outputs: Sequence[str]) -> Any:
    """The model with nothing but some outputs, and every input that the variant names.

    Raises:
        ArtifactError: The graph lacks one of the inputs.
    """
    parameters = list(model.get_parameters())
    names = {name for port in model.inputs for name in port.names}
    for name, shape in _OPTIONAL_INPUTS.items():
        if name in variant.graph.inputs and name not in names:
            parameters.append(_parameter(openvino, model, name, shape))
            names.add(name)
    missing = sorted(set(variant.graph.inputs) ^ names)
    if missing:
        raise ArtifactError(
            f"The manifest and {variant.graph.file} do not agree about the inputs {', '.join(missing)}.",
            hint="Convert the model again.",
        )
    results = [model.output(name).get_node() for name in outputs]
    return openvino.Model(results, parameters, model.get_friendly_name())


def _parameter(openvino: ModuleType, model: Any, name: str, shape: Sequence[int]) -> Any:
    """An input that has a default is read as a constant: this turns it into an input again.

    Raises:
        ValueError: The graph has none of that name.
    """
    constants = [node for node in model.get_ordered_ops() if node.get_friendly_name() == name]
    if not constants:
        raise ValueError(f"it has no input {name}")
    parameter = openvino.op.Parameter(openvino.Type.i64, openvino.PartialShape(list(shape)))
    parameter.set_friendly_name(name)
    parameter.output(0).get_tensor().set_names({name})
    constants[0].output(0).get_tensor().set_names(set())
    for reader in constants[0].output(0).get_target_inputs():
        reader.replace_source_output(parameter.output(0))
    return parameter


def _reason(error: Exception) -> str:
    """The line that says what is wrong; those before it name places in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Exception from src/" not in line]
    return next(iter(telling or lines), type(error).__name__)
