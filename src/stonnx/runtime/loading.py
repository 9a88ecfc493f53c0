"""From an artifact folder to a running engine and its tokenizer, nothing unchecked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.artifact.onnx_check import check_graph
from stonnx.errors import StonnxError
from stonnx.runtime.engines import engine_installed, open_engine
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["choose_variant", "open_checked"]


def choose_variant(artifact: Artifact, name: str) -> Variant:
    """The variant of that name; for ``"auto"`` the first whose engine is installed.

    Where no engine is installed, ``"auto"`` gives the reference variant: opening it says what to install.

    Raises:
        UsageError: There is no such variant; the message names those that there are.
    """
    if name != "auto":
        return artifact.variant(name)
    variants = artifact.manifest.variants
    return next((variant for variant in variants if engine_installed(variant.engine)), variants[0])


def open_checked(artifact: Artifact, variant: Variant, *, threads: int) -> tuple[Engine, TextTokenizer]:
    """Open the engine and the tokenizer while the hashes of their files are computed.

    Raises:
        ArtifactError: A file was changed or is damaged.
        MissingExtraError: The engine is not installed.
        UnsupportedModelError: The engine is unknown.
    """
    manifest = artifact.manifest
    names = {*variant.files, manifest.tokenizer.file}
    check_graph(artifact, variant)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stonnx-hash") as pool:
        # Hashing releases the interpreter lock, and so does ONNX Runtime while it reads the same files.
        hashes = pool.submit(artifact.check_files, names)
        try:
            engine = open_engine(variant, artifact, threads=threads)
            tokenizer = TextTokenizer(artifact.file(manifest.tokenizer.file), max_tokens=manifest.tokenizer.max_tokens)
        except StonnxError:
            hashes.result()  # a changed file explains the failure better, so it is raised instead
            raise
        try:
            hashes.result()
        except StonnxError:
            engine.close()
            raise
    return engine, tokenizer
