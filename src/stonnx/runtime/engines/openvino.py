"""OpenVINO on the CPU: the portable graph, in float32, bfloat16 or with int8 weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.errors import ArtifactError, RunError, UnsupportedModelError
from stonnx.runtime.buckets import bucket_batch
from stonnx.runtime.engines._openvino_package import compile_settings, import_openvino
from stonnx.runtime.engines.base import FORKED, Batch
from stonnx.runtime.forks import keep_for_good, tell_after_fork

__all__ = ["OpenVinoEngine", "open_variant"]

_OUTPUT = "sentence_embedding"
_LINKS = (
    "OpenVINO finds no weights through links: copy the artifact out of the cache, or take a variant of onnxruntime."
)
_PROMPT = "prompt_length"
_PRECISION = "INFERENCE_PRECISION_HINT"

# pybind11 turns the exceptions of OpenVINO into these.
_FOREIGN_ERRORS = (RuntimeError, ValueError)


class OpenVinoEngine:
    """One compiled graph. Safe to call from several threads.

    Kernels are prepared at the first run of each shape, so batches are cut and padded to few shapes
    (``stonnx.runtime.buckets``), and what was prepared is kept while the engine lives.

    Args:
        compiled: An ``openvino.CompiledModel`` with the output ``sentence_embedding``.
        openvino: The package.
        max_tokens: Widest batch that the model takes.
        pad_id: Token that fills short rows.
    """

    name = "openvino"

    def __init__(self, compiled: Any, openvino: ModuleType, *, max_tokens: int, pad_id: int) -> None:
        self.version: str = openvino.__version__.partition("-")[0]
        self._make_tensor = openvino.Tensor
        self._inputs = frozenset(name for port in compiled.inputs for name in port.names)
        self._max_tokens = max_tokens
        self._pad_id = pad_id
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._compiled: Any = compiled
        self.lost_in_fork = False
        tell_after_fork(self)

    def run(self, batch: Batch) -> NDArray[np.float32]:
        """Sentence embeddings of a batch, float32, shape (rows, dimension).

        Raises:
            RunError: OpenVINO failed, or the engine is closed.
        """
        widen = "attention_mask" in self._inputs
        vectors = []
        with self._request(batch) as request:
            for part, padded in bucket_batch(batch, limit=self._max_tokens, pad_id=self._pad_id, widen=widen):
                for name, values in self._feeds(padded):
                    # A copy: memory that belongs to NumPy would be released by OpenVINO's threads.
                    request.set_tensor(name, self._make_tensor(values, shared_memory=False))
                # Runs on the threads of OpenVINO's streams: a synchronous run would add threads per calling thread.
                request.start_async()
                request.wait()
                rows = part.stop - part.start
                vectors.append(np.array(request.get_tensor(_OUTPUT).data[:rows], dtype=np.float32))
        return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)

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
    def _request(self, batch: Batch) -> Iterator[Any]:
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
            rows, tokens = batch.input_ids.shape
            raise RunError(
                f"OpenVINO {self.version} failed on a batch of {rows} x {tokens} tokens: {_reason(exc)}",
                hint="If memory is short, lower batch_tokens; otherwise run `stonnx verify` on the artifact.",
                cli_hint="If memory is short, encode with a lower --batch-tokens; otherwise run `stonnx verify`.",
            ) from exc
        with self._lock:
            if self._compiled is not None:
                self._idle.append(request)

    def _feeds(self, batch: Batch) -> Iterator[tuple[str, NDArray[np.int64]]]:
        ids = batch.input_ids
        mask = np.ones_like(ids) if batch.attention_mask is None else batch.attention_mask
        values = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            _PROMPT: np.array(batch.prompt_length, dtype=np.int64),
        }
        return ((name, value) for name, value in values.items() if name in self._inputs)


def open_variant(variant: Variant, artifact: Artifact, *, threads: int) -> OpenVinoEngine:
    """The engine on a variant's graph.

    Raises:
        MissingExtraError: openvino is not installed.
        ArtifactError: The graph is damaged, or the variant's options or inputs are not right.
        UnsupportedModelError: This CPU cannot carry out the arithmetic that the variant asks for.
    """
    settings = compile_settings(variant, threads=threads)
    openvino = import_openvino()
    graph = artifact.file(variant.graph.file)
    core = openvino.Core()
    try:
        model = _sentence_model(openvino, core.read_model(graph), variant)
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
    return OpenVinoEngine(compiled, openvino, max_tokens=spec.max_tokens, pad_id=spec.pad_id)


def _sentence_model(openvino: ModuleType, model: Any, variant: Variant) -> Any:
    """The model with nothing but the sentence embedding as output, and every input that the variant names.

    Raises:
        ArtifactError: The graph lacks one of the inputs.
    """
    parameters = list(model.get_parameters())
    names = {name for port in model.inputs for name in port.names}
    if _PROMPT in variant.graph.inputs and _PROMPT not in names:
        parameters += _prompt_parameters(openvino, model)
        names.add(_PROMPT)
    missing = sorted(set(variant.graph.inputs) ^ names)
    if missing:
        raise ArtifactError(
            f"The manifest and {variant.graph.file} do not agree about the inputs {', '.join(missing)}.",
            hint="Convert the model again.",
        )
    return openvino.Model([model.output(_OUTPUT).get_node()], parameters, model.get_friendly_name())


def _prompt_parameters(openvino: ModuleType, model: Any) -> list[Any]:
    """Inputs with a default are read as constants: this turns ``prompt_length`` into an input again."""
    constants = [node for node in model.get_ordered_ops() if node.get_friendly_name() == _PROMPT]
    if not constants:
        raise ValueError(f"it has no input {_PROMPT}")
    parameter = openvino.op.Parameter(openvino.Type.i64, openvino.PartialShape([]))
    parameter.set_friendly_name(_PROMPT)
    parameter.output(0).get_tensor().set_names({_PROMPT})
    constants[0].output(0).get_tensor().set_names(set())
    for reader in constants[0].output(0).get_target_inputs():
        reader.replace_source_output(parameter.output(0))
    return [parameter]


def _reason(error: Exception) -> str:
    """The line that says what is wrong; those before it name places in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Exception from src/" not in line]
    return next(iter(telling or lines), type(error).__name__)
