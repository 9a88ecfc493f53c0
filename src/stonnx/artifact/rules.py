"""What a manifest must obey beyond the types of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stonnx.artifact.fidelity_class import class_failures
from stonnx.artifact.manifest import (
    INSTRUCTION_SETS,
    MANIFEST_NAME,
    TUNE_FOLDER,
    Fidelity,
    FileEntry,
    Manifest,
    Variant,
)
from stonnx.errors import ArtifactError

__all__ = ["check_manifest", "check_path"]

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "prompt_length")
# The same patterns stand in docs/artifact.schema.json (a test compares the two).
_SEGMENT = r"(?!\.{1,2}(/|$))[^/\\:\u0000-\u001f\u007f\ud800-\udfff]+"
PATH_PATTERN = f"^{_SEGMENT}(/{_SEGMENT})*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
VARIANT_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
# No path fits: an engine is never told to read or write somewhere. Which names it takes is its own list.
OPTION_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_.]*$"
OPTION_VALUE_PATTERN = r"^[A-Za-z0-9_.+-]+$"
_COSINE_ROUNDING = 1e-3  # a cosine of rounded vectors may exceed 1 by a little


def check_manifest(manifest: Manifest) -> None:
    """Check the rules between and behind the keys of ``stonnx.json``.

    Raises:
        ArtifactError: A rule is broken; the message names the key path.
    """
    _need(manifest.dimension >= 1, "dimension", f"expected at least 1, found {manifest.dimension}")
    _check_truncate_dim(manifest)
    _check_default_prompt(manifest)
    for n, entry in enumerate(manifest.files):
        _check_entry(entry, f"files[{n}]")
    _need_unique((entry.path for entry in manifest.files), "files", "path")
    listed = frozenset(entry.path for entry in manifest.files)
    _check_tokenizer(manifest, listed)
    _need(bool(manifest.variants), "variants", "expected at least one variant, found none")
    _need_unique((variant.name for variant in manifest.variants), "variants", "name")
    _check_measured(manifest)
    for n, variant in enumerate(manifest.variants):
        _check_variant(variant, listed, f"variants[{n}]")
        if manifest.verified:
            _check_class(variant, f"variants[{n}]")


def _check_measured(manifest: Manifest) -> None:
    """Variants that cannot run where the model is converted have no figures; the reference variant always does."""
    measured = not manifest.verified or manifest.variants[0].fidelity is not None
    _need(measured, "variants[0].fidelity", "expected numbers because verified is true, found null")


def check_path(path: str, where: str) -> None:
    """Check that a path is relative, in POSIX form and free of ``..``.

    Raises:
        ArtifactError: It is not; the message names ``where``.
    """
    _need(
        re.fullmatch(PATH_PATTERN, path) is not None,
        where,
        f"expected a relative POSIX path inside the artifact without '..', found {path!r}",
    )


def _check_truncate_dim(manifest: Manifest) -> None:
    cut = manifest.truncate_dim
    _need(
        cut is None or 1 <= cut <= manifest.dimension,
        "truncate_dim",
        f"expected null or 1 to {manifest.dimension} (the dimension), found {cut}",
    )


def _check_default_prompt(manifest: Manifest) -> None:
    name = manifest.default_prompt_name
    known = ", ".join(map(repr, manifest.prompts)) or "none: prompts is empty"
    _need(
        name is None or name in manifest.prompts,
        "default_prompt_name",
        f"expected null or a name among prompts ({known}), found {name!r}",
    )


def _check_tokenizer(manifest: Manifest, listed: frozenset[str]) -> None:
    tokenizer = manifest.tokenizer
    check_path(tokenizer.file, "tokenizer.file")
    _need(tokenizer.file in listed, "tokenizer.file", f"{tokenizer.file!r} is not listed in files")
    _need(tokenizer.max_tokens >= 1, "tokenizer.max_tokens", f"expected at least 1, found {tokenizer.max_tokens}")
    _need(tokenizer.pad_id >= 0, "tokenizer.pad_id", f"expected at least 0, found {tokenizer.pad_id}")


def _check_entry(entry: FileEntry, where: str) -> None:
    check_path(entry.path, f"{where}.path")
    _need(entry.path != MANIFEST_NAME, f"{where}.path", f"{MANIFEST_NAME} cannot list itself")
    tuned = entry.path.split("/")[0] == TUNE_FOLDER
    _need(not tuned, f"{where}.path", f"{TUNE_FOLDER} belongs to a machine, not to the artifact")
    _need(entry.size_bytes >= 0, f"{where}.size_bytes", f"expected at least 0, found {entry.size_bytes}")
    _need(
        re.fullmatch(SHA256_PATTERN, entry.sha256) is not None,
        f"{where}.sha256",
        f"expected 64 lower-case hexadecimal digits, found {entry.sha256[:80]!r}",
    )


def _check_variant(variant: Variant, listed: frozenset[str], where: str) -> None:
    _need(
        re.fullmatch(VARIANT_PATTERN, variant.name) is not None,
        f"{where}.name",
        f"expected lower-case letters, digits, '.', '_' and '-', found {variant.name!r}",
    )
    for n, path in enumerate(variant.files):
        check_path(path, f"{where}.files[{n}]")
        _need(path in listed, f"{where}.files[{n}]", f"{path!r} is not listed in the files of the artifact")
    _need_unique(variant.files, f"{where}.files", "path")
    check_path(variant.graph, f"{where}.graph")
    _need(variant.graph in variant.files, f"{where}.graph", f"{variant.graph!r} is not listed in {where}.files")
    # The suffix decides how ONNX Runtime parses the file; only ONNX is checked by onnx_check.
    _need(variant.graph.endswith(".onnx"), f"{where}.graph", f"expected a .onnx file, found {variant.graph!r}")
    _check_inputs(variant, where)
    _check_needs(variant, where)
    if variant.fidelity is not None:
        _check_fidelity(variant.fidelity, f"{where}.fidelity")


def _check_inputs(variant: Variant, where: str) -> None:
    for n, name in enumerate(variant.inputs):
        _need(name in INPUTS, f"{where}.inputs[{n}]", f"expected one of {', '.join(INPUTS)}, found {name!r}")
    _need_unique(variant.inputs, f"{where}.inputs", "name")
    _need("input_ids" in variant.inputs, f"{where}.inputs", "expected input_ids among them, found none")
    masked = "attention_mask" in variant.inputs
    _need(
        masked != variant.equal_lengths,
        f"{where}.equal_lengths",
        f"expected {str(not masked).lower()}, because attention_mask is {'' if masked else 'not '}among the inputs",
    )


def _check_needs(variant: Variant, where: str) -> None:
    """What the variant asks of the CPU and of the engine."""
    for n, name in enumerate(variant.instruction_sets):
        _need(
            name in INSTRUCTION_SETS,
            f"{where}.instruction_sets[{n}]",
            f"expected one of {', '.join(INSTRUCTION_SETS)}, found {name!r}",
        )
    _need_unique(variant.instruction_sets, f"{where}.instruction_sets", "name")
    for key, value in variant.options.items():
        _need(
            re.fullmatch(OPTION_NAME_PATTERN, key) is not None,
            f"{where}.options",
            f"expected names of letters, digits, '_' and '.', found {key[:80]!r}",
        )
        _need(
            re.fullmatch(OPTION_VALUE_PATTERN, value) is not None,
            f"{where}.options.{key}",
            f"expected letters, digits, '_', '.', '+' and '-', found {value[:80]!r}",
        )
    _need(
        variant.precision == "fp32" or variant.fidelity_class != "exact",
        f"{where}.fidelity_class",
        f"expected lossless, high or balanced, because precision is {variant.precision!r}, found 'exact'",
    )


def _check_class(variant: Variant, where: str) -> None:
    """The figures of a verified variant keep the class that it promises; ``exact`` is looked at by ``verify``."""
    if variant.fidelity is None or variant.fidelity_class == "exact":
        return
    failures = class_failures(variant.fidelity, variant.fidelity_class)
    _need(
        not failures,
        f"{where}.fidelity",
        f"verified is true, but the figures are not {variant.fidelity_class}: {', '.join(failures)}",
    )


def _check_fidelity(fidelity: Fidelity, where: str) -> None:
    bound = 1 + _COSINE_ROUNDING
    _need(fidelity.texts >= 1, f"{where}.texts", f"expected at least 1, found {fidelity.texts}")
    for key, value, low, high in (
        ("cosine_mean", fidelity.cosine_mean, -bound, bound),
        ("cosine_min", fidelity.cosine_min, -bound, bound),
        ("top10_overlap", fidelity.top10_overlap, 0.0, 1.0),
    ):
        _need(low <= value <= high, f"{where}.{key}", f"expected {low} to {high}, found {value}")
    _need(fidelity.max_abs_diff >= 0, f"{where}.max_abs_diff", f"expected at least 0, found {fidelity.max_abs_diff}")


def _need_unique(names: Iterable[str], where: str, what: str) -> None:
    seen: set[str] = set()
    for name in names:
        _need(name not in seen, where, f"the {what} {name!r} is given twice")
        seen.add(name)


def _need(holds: bool, where: str, broken: str) -> None:  # noqa: FBT001 - the condition comes first, as in an assert
    if not holds:
        raise ArtifactError(f"{where}: {broken}.")
