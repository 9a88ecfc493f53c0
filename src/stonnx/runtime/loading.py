"""From an artifact folder to a running engine and its tokenizer, nothing unchecked.

For example::

    variant = choose_variant(artifact, "auto")
    why_not_here(variant)                    # None: it can run on this machine
    engine, tokenizer = open_checked(artifact, variant, threads=2)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from stonnx._extras import UPGRADE
from stonnx.artifact import Artifact, keeps
from stonnx.artifact.manifest import Variant
from stonnx.artifact.onnx_check import check_graphs
from stonnx.artifact.tables import read_table_sizes
from stonnx.errors import ArtifactError, StonnxError, UnsupportedModelError, UsageError
from stonnx.machine import cpu_features
from stonnx.runtime.engines import ENGINES, engine_installed, open_engine
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.shortages import check_threads_start, naming_shortages
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["choose_variant", "open_checked", "why_not_here"]

# Where int8 matrix products were measured to be much faster than float32 (docs/decisions/0007-int8.md), or have
# instructions of their own.
_FAST_INT8 = frozenset({"avx2", "avx512_vnni", "avx_vnni", "amx_int8"})


def choose_variant(artifact: Artifact, name: str) -> Variant:
    """The variant of that name; for ``"auto"`` one by static rules, never below the class *high*.

    Of the variants that can run here and promise at least *high* (``exact``, or measured), ``"auto"`` takes the first
    int8 one on CPUs with AVX2, VNNI or AMX, else the first. Where none can run, it gives the reference variant:
    opening it says what is missing.

    Raises:
        UsageError: There is no such variant (the message names those that there are), or ``"auto"`` found none
            that is close enough.
    """
    if name != "auto":
        return artifact.variant(name)
    variants = artifact.manifest.variants
    runnable = [variant for variant in variants if why_not_here(variant) is None]
    faithful = [variant for variant in runnable if _at_least_high(variant)]
    if not runnable:
        return variants[0]
    if not faithful:
        names = ", ".join(variant.name for variant in runnable)
        raise UsageError(
            f"No variant of {artifact.path} that can run here is known to be of the fidelity class high or better.",
            hint=f"Name one of those that can: {names}.",
        )
    if _FAST_INT8 & cpu_features():
        return next((variant for variant in faithful if variant.precision == "int8"), faithful[0])
    return faithful[0]


def why_not_here(variant: Variant) -> str | None:
    """Why a variant cannot run on this machine, as a clause such as ``"openvino is not installed"``; None: it can."""
    if (unknown := _not_in_this_version(variant)) is not None:
        return unknown
    if not engine_installed(variant.engine):
        return f"{variant.engine} is not installed" if variant.engine in ENGINES else f"no engine {variant.engine!r}"
    if not _cpu_suffices(variant):
        return f"it needs a CPU with {_either(variant.instruction_sets)}; {_this_cpu()}"
    return None


def _not_in_this_version(variant: Variant) -> str | None:
    """What a variant asks for that no engine of ours does, as a clause; None for nothing."""
    if variant.device != "cpu":
        return f"this stonnx runs nothing on the device {variant.device!r}"
    if any(graph.layout == "packed" for graph in variant.graphs):
        return "this stonnx runs no packed rows"
    return None


def _at_least_high(variant: Variant) -> bool:
    # What nobody has measured is only promised: that is enough for the reference arithmetic, not for int8.
    measured = variant.fidelity is not None or variant.fidelity_class == "exact"
    return measured and keeps(variant.fidelity_class, "high")


def _cpu_suffices(variant: Variant) -> bool:
    return not variant.instruction_sets or not cpu_features().isdisjoint(variant.instruction_sets)


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _this_cpu() -> str:
    features = ", ".join(sorted(cpu_features()))
    return f"this one has {features}" if features else "the system does not tell what this one has"


def open_checked(
    artifact: Artifact, variant: Variant, *, threads: int, shared: bool = False
) -> tuple[Engine, TextTokenizer]:
    """Open the engine and the tokenizer while the hashes of their files are computed.

    Args:
        artifact: Where the files lie.
        variant: One of its variants.
        threads: Threads that one run may use.
        shared: Let runs that come together share these threads, where the engine can.

    Raises:
        ArtifactError: A file was changed or is damaged.
        MissingExtraError: The engine is not installed.
        UnsupportedModelError: The engine is unknown, or the CPU lacks the instructions that the variant needs.
        RunError: The system gives too little memory, or too few threads.
    """
    with naming_shortages():
        check_threads_start(threads)
        return _open_checked(artifact, variant, threads=threads, shared=shared)


def _open_checked(artifact: Artifact, variant: Variant, *, threads: int, shared: bool) -> tuple[Engine, TextTokenizer]:
    if (unknown := _not_in_this_version(variant)) is not None:
        raise UnsupportedModelError(
            f"The variant {variant.name!r} cannot run: {unknown}.",
            hint=f"Choose another variant, or upgrade: {UPGRADE}",
        )
    if not _cpu_suffices(variant):
        raise UnsupportedModelError(
            f"The variant {variant.name!r} needs a CPU with {_either(variant.instruction_sets)}; {_this_cpu()}.",
            hint=f"Leave the choice to variant='auto', or see which can run: stonnx info {artifact.path}",
            cli_hint=f"Leave the choice to --variant auto, or see which can run: stonnx info {artifact.path}",
        )
    manifest = artifact.manifest
    names = {*variant.files, manifest.tower.tokenizer.file}
    check_graphs(artifact, variant)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stonnx-hash") as pool:
        # Hashing releases the interpreter lock, and so does ONNX Runtime while it reads the same files.
        hashes = pool.submit(artifact.check_files, names)
        try:
            engine = open_engine(variant, artifact, threads=threads, shared=shared)
            tokenizer = _tokenizer(artifact, variant)
        except StonnxError:
            hashes.result()  # a changed file explains the failure better, so it is raised instead
            raise
        try:
            hashes.result()
        except StonnxError:
            engine.close()
            raise
    return engine, tokenizer


def _tokenizer(artifact: Artifact, variant: Variant) -> TextTokenizer:
    """The tokenizer, which gives the graph nothing that its tables have no room for.

    Raises:
        ArtifactError: The longest rows, or the padding token, would not have any.
    """
    spec = artifact.manifest.tower.tokenizer
    sizes = read_table_sizes(artifact.file(variant.graph.file))
    if sizes.positions is not None and spec.max_tokens > sizes.positions:
        raise ArtifactError(
            f"tokenizer.max_tokens is {spec.max_tokens}, but {variant.graph.file} has positions for {sizes.positions}.",
            hint="Convert the model again.",
        )
    padded = "attention_mask" in variant.graph.inputs
    if padded and sizes.tokens is not None and spec.pad_id >= sizes.tokens:
        raise ArtifactError(
            f"tokenizer.pad_id is {spec.pad_id}, but {variant.graph.file} has a table of {sizes.tokens} tokens.",
            hint="Convert the model again.",
        )
    return TextTokenizer(artifact.file(spec.file), max_tokens=spec.max_tokens, table_rows=sizes.tokens)
