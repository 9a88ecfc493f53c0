"""``stonnx.json``: what an artifact holds, as frozen dataclasses.

The one-page specification is ``docs/artifact.md``, the JSON schema ``docs/artifact.schema.json``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "TUNE_FOLDER",
    "Device",
    "Fidelity",
    "FidelityClass",
    "FileEntry",
    "Graph",
    "Kind",
    "Layout",
    "Manifest",
    "Origin",
    "Output",
    "OutputKind",
    "PaddingSide",
    "Precision",
    "ScoreFidelity",
    "Scoring",
    "Similarity",
    "Source",
    "Stage",
    "TokenizerSpec",
    "Tower",
    "Variant",
]

MANIFEST_NAME = "stonnx.json"
SCHEMA_VERSION = 3
TUNE_FOLDER = ".stonnx-tune"
"""Where ``stonnx tune`` leaves its choice for a machine: beside the artifact's files, never one of them."""

Kind = Literal["embedding", "reranker", "sparse", "multi_vector"]
"""What a model makes: one vector a text, scores of pairs of texts, weighted words, or one vector a token."""
OutputKind = Literal["sentence_embedding", "token_embeddings", "sparse_embedding", "scores", "logits"]
Layout = Literal["padded", "equal_lengths", "packed"]
"""How the rows of a batch lie: padded under a mask, all of one length, or end to end without padding."""
Origin = Literal["authored", "exported", "given"]
"""Who wrote a graph: stonnx from the weights, an exporter from the original's code, or the model's author."""
PaddingSide = Literal["right", "left"]
Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
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
class Output:
    """A result that every graph of the artifact gives, float32.

    Attributes:
        name: Name of the graph output.
        kind: ``sentence_embedding`` (rows, dimension), ``token_embeddings`` (rows, tokens, dimension),
            ``sparse_embedding`` (rows, dimension), ``scores`` and ``logits`` (rows, dimension: one a label; scores are
            logits after the activation).
        dimension: Length of the last axis.
    """

    name: str
    kind: OutputKind
    dimension: int


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """How text becomes token rows.

    Attributes:
        file: The ``tokenizer.json`` to load; truncation and padding stored in it are ignored.
        max_tokens: Longest row, special tokens included; what sentence-transformers would use.
        pad_id: Token id that fills shorter rows.
        padding_side: Where it fills them.
    """

    file: str
    max_tokens: int
    pad_id: int
    padding_side: PaddingSide = "right"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One module of the chain that the graph carries out, for people and tools to read.

    Attributes:
        kind: ``Transformer``, ``Pooling``, ``Dense``, ``LayerNorm``, ``Normalize`` or ``Classifier``.
        options: The settings that shape the result, such as ``{"pooling_mode": ["mean"]}``.
    """

    kind: str
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tower:
    """One way from a text to a result. The usual model has one; others have one for queries and one for documents.

    Attributes:
        route: Its name, such as ``query``; empty for the only one of a model.
        body: What turns tokens into token vectors; ``options["family"]`` names the architecture.
        head: The modules after it, in order.
        tokenizer: How text becomes token rows.
        prompts: Prompt texts by name.
        default_prompt_name: The prompt used when the caller names none; None for no prompt.
    """

    route: str
    body: Stage
    head: tuple[Stage, ...]
    tokenizer: TokenizerSpec
    prompts: dict[str, str]
    default_prompt_name: str | None


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How a reranker scores a pair of texts.

    Attributes:
        labels: Names of the labels, one a score.
        activation: What turns logits into scores, a class of ``torch.nn``: ``Sigmoid``, ``Identity`` and others.
        pair_template: A text with ``{query}`` and ``{document}`` that is tokenized as one; None where the tokenizer
            joins the two with its own special tokens.
    """

    labels: tuple[str, ...]
    activation: str
    pair_template: str | None


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Measured agreement of an embedding's variant with the original model (float32, torch).

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
class ScoreFidelity:
    """Measured agreement of a reranker's variant with the original model (float32, torch).

    Attributes:
        pairs: Number of pairs compared.
        queries: Number of queries whose rankings were compared.
        mean_abs_diff: Mean absolute difference of two scores on the probability scale, 0 to 1.
        max_abs_diff: The worst score's.
        top10_overlap: Mean share, over the queries, of the ten best documents that both sides agree on; one that the
            original scores as high as its own tenth counts.
    """

    pairs: int
    queries: int
    mean_abs_diff: float
    max_abs_diff: float
    top10_overlap: float


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What one tower of a variant runs.

    Attributes:
        tower: The route of the tower.
        file: POSIX path of the ONNX file.
        origin: Who wrote it.
        inputs: Names of the graph inputs to feed: among ``input_ids``, ``attention_mask``, ``token_type_ids`` and,
            for models that leave the prompt out of pooling, ``prompt_lengths`` (one a row, or one for all) or, in
            older artifacts, ``prompt_length`` (a scalar).
        layout: How the rows of a batch must lie; ``padded`` takes a mask, the others take none.
        fused: Operators that stand for several standard ones, and how often the graph has each; None where nobody
            counted.
    """

    tower: str
    file: str
    origin: Origin
    inputs: tuple[str, ...]
    layout: Layout
    fused: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run the model: its graphs, the engine that runs them, and how faithful it is.

    Attributes:
        name: ``fp32`` (the reference variant), ``portable``, ``int8`` and others.
        engine: Name of the engine, ``onnxruntime`` or ``openvino``.
        graphs: One for each tower, in the order of the towers.
        files: Every file the variant needs, its graphs included.
        device: Where it runs.
        precision: Arithmetic of the matrix products.
        instruction_sets: Names among ``stonnx.machine.INSTRUCTION_SETS``; the CPU must have at least one of them.
            Empty: any CPU.
        options: Settings of the engine, from its own list of allowed ones.
        fidelity_class: What the variant must keep on every machine; ``exact`` is the fp32 tolerance of ``verify``.
        fidelity: None when nothing was measured at convert time; a ``ScoreFidelity`` for rerankers.
    """

    name: str
    engine: str
    graphs: tuple[Graph, ...]
    files: tuple[str, ...]
    device: Device = "cpu"
    precision: Precision = "fp32"
    instruction_sets: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    fidelity_class: FidelityClass = "exact"
    fidelity: Fidelity | ScoreFidelity | None = None

    @property
    def graph(self) -> Graph:
        """The graph of the first tower: the only one of the usual model."""
        return self.graphs[0]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of ``stonnx.json``.

    Attributes:
        stonnx_version: The version that wrote the artifact.
        source: Where the model came from.
        kind: What the model makes.
        outputs: What every graph gives, the main result first.
        towers: The ways from a text to a result; one without a name for the usual model.
        scoring: How pairs are scored; None for what is no reranker.
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
    kind: Kind
    outputs: tuple[Output, ...]
    towers: tuple[Tower, ...]
    scoring: Scoring | None
    similarity: Similarity | None
    truncate_dim: int | None
    variants: tuple[Variant, ...]
    verified: bool
    files: tuple[FileEntry, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def tower(self) -> Tower:
        """The first tower: the only one of the usual model."""
        return self.towers[0]

    @property
    def output(self) -> Output:
        """The main result."""
        return self.outputs[0]

    @property
    def dimension(self) -> int:
        """Components of the main result: of an embedding, or labels of a reranker."""
        return self.outputs[0].dimension

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The modules of the first tower, in order."""
        return (self.tower.body, *self.tower.head)

    @property
    def architecture(self) -> str:
        """The family of the first tower's body, such as ``bert``."""
        return str(self.tower.body.options.get("family", self.tower.body.kind))
