"""``stonnx.json``: what an artifact holds, as frozen dataclasses.

The one-page specification is ``docs/artifact.md``, the JSON schema ``docs/artifact.schema.json``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "INSTRUCTION_SETS",
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "TUNE_FOLDER",
    "Fidelity",
    "FidelityClass",
    "FileEntry",
    "Manifest",
    "Precision",
    "Similarity",
    "Source",
    "Stage",
    "TokenizerSpec",
    "Variant",
]

MANIFEST_NAME = "stonnx.json"
SCHEMA_VERSION = 2
TUNE_FOLDER = ".stonnx-tune"
"""Where ``stonnx tune`` leaves its choice for a machine: beside the artifact's files, never one of them."""

INSTRUCTION_SETS = (
    "avx2",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "avx512_bf16",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
)
"""What a variant may ask of a CPU, x86 then Arm, as the Linux kernel spells them."""

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
Precision = Literal["fp32", "bf16", "int8"]
FidelityClass = Literal["exact", "lossless", "high", "balanced"]
"""How close a variant stays to the original model, the closest first; see ``stonnx.artifact.fidelity_class``."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of the artifact: POSIX path relative to the folder, size, SHA-256 (hex)."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the model came from: the name as given, and the hub revision (None for a folder)."""

    name: str
    revision: str | None


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """How text becomes token rows.

    Attributes:
        file: The ``tokenizer.json`` to load; truncation and padding stored in it are ignored.
        max_tokens: Longest row, special tokens included; what sentence-transformers would use.
        pad_id: Token id that fills the end of shorter rows.
    """

    file: str
    max_tokens: int
    pad_id: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One module of the chain that the graph carries out, for people and tools to read.

    Attributes:
        kind: ``Transformer``, ``Pooling``, ``Dense``, ``LayerNorm`` or ``Normalize``.
        options: The settings that shape the result, such as ``{"pooling_mode": ["mean"]}``.
    """

    kind: str
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Measured agreement of a variant with the original model (float32, torch).

    Attributes:
        texts: Number of texts compared.
        cosine_mean: Mean cosine between the two vectors of a text.
        cosine_min: The worst text's cosine.
        max_abs_diff: Largest absolute difference between two components, on vectors of unit length.
        top10_overlap: Mean share of the ten nearest neighbours that both sides agree on; one that the original finds
            as near as its own tenth counts (``stonnx.verify.metrics.neighbour_shares``).
    """

    texts: int
    cosine_mean: float
    cosine_min: float
    max_abs_diff: float
    top10_overlap: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run the model: a graph, the engine that runs it, and how faithful it is.

    Attributes:
        name: ``fp32`` (the reference variant), ``portable``, ``int8`` and others.
        engine: Name of the engine, ``onnxruntime`` or ``openvino``.
        graph: POSIX path of the ONNX file.
        files: Every file the variant needs, ``graph`` included.
        inputs: Names of the graph inputs to feed: among ``input_ids``, ``attention_mask``,
            ``token_type_ids`` and, for models that leave the prompt out of pooling, ``prompt_length``.
        equal_lengths: The graph takes no mask: all rows of a batch must have the same token count.
        precision: Arithmetic of the matrix products.
        instruction_sets: Names among ``INSTRUCTION_SETS``; the CPU must have at least one of them. Empty: any CPU.
        options: Settings of the engine, from its own list of allowed ones.
        fidelity_class: What the variant must keep on every machine; ``exact`` is the fp32 tolerance of ``verify``.
        fidelity: None when nothing was measured at convert time.
    """

    name: str
    engine: str
    graph: str
    files: tuple[str, ...]
    inputs: tuple[str, ...]
    equal_lengths: bool
    precision: Precision = "fp32"
    instruction_sets: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    fidelity_class: FidelityClass = "exact"
    fidelity: Fidelity | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of ``stonnx.json``.

    Attributes:
        stonnx_version: The version that wrote the artifact.
        source: Where the model came from.
        architecture: The authored family, ``bert``.
        dimension: Length of the embedding.
        tokenizer: How text becomes token rows.
        stages: The module chain, in order.
        prompts: Prompt texts by name.
        default_prompt_name: The prompt used when the caller names none; None for no prompt.
        similarity: The similarity function the model was made for; None where the source names none.
        truncate_dim: Components kept by default; None for all.
        variants: Ways to run the model; the first is the reference variant ``fp32``.
        verified: Whether the variants were measured against the original model and kept their classes: all that could
            run where it was converted, the reference variant among them.
        files: Every file of the artifact except the manifest itself.
        schema_version: Version of this layout; an older file is read as what it means in this one.
    """

    stonnx_version: str
    source: Source
    architecture: str
    dimension: int
    tokenizer: TokenizerSpec
    stages: tuple[Stage, ...]
    prompts: dict[str, str]
    default_prompt_name: str | None
    similarity: Similarity | None
    truncate_dim: int | None
    variants: tuple[Variant, ...]
    verified: bool
    files: tuple[FileEntry, ...]
    schema_version: int = SCHEMA_VERSION
