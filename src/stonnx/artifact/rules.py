"""What a manifest must obey beyond the types of its fields."""

from __future__ import annotations

import re

from stonnx.artifact.conditions import check_path, need, need_unique
from stonnx.artifact.manifest import MANIFEST_NAME, TUNE_FOLDER, FileEntry, Kind, Manifest, OutputKind, Tower
from stonnx.artifact.variant_rules import check_variant

__all__ = ["ACTIVATION_PATTERN", "MAIN_OUTPUTS", "OUTPUT_PATTERN", "SHA256_PATTERN", "check_manifest"]

MAIN_OUTPUTS: dict[Kind, OutputKind] = {
    "embedding": "sentence_embedding",
    "reranker": "scores",
    "sparse": "sparse_embedding",
    "multi_vector": "token_embeddings",
}
"""What the first output of each kind of model is."""
# The same patterns stand in docs/artifact.schema.json (a test compares the two).
SHA256_PATTERN = r"^[0-9a-f]{64}$"
OUTPUT_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
ACTIVATION_PATTERN = r"^[A-Z][A-Za-z0-9]*$"


def check_manifest(manifest: Manifest) -> None:
    """Check the rules between the keys of ``stonnx.json``.

    Raises:
        ArtifactError: A rule is broken; the message names the key path.
    """
    _check_outputs(manifest)
    _check_truncate_dim(manifest)
    _check_scoring(manifest)
    for n, entry in enumerate(manifest.files):
        _check_entry(entry, f"files[{n}]")
    need_unique((entry.path for entry in manifest.files), "files", "path")
    listed = frozenset(entry.path for entry in manifest.files)
    _check_towers(manifest, listed)
    need(bool(manifest.variants), "variants", "expected at least one variant, found none")
    need_unique((variant.name for variant in manifest.variants), "variants", "name")
    _check_measured(manifest)
    for n, variant in enumerate(manifest.variants):
        check_variant(variant, manifest, listed, f"variants[{n}]")


def _check_measured(manifest: Manifest) -> None:
    """Variants that cannot run where the model is converted have no figures; the reference variant always does."""
    measured = not manifest.verified or manifest.variants[0].fidelity is not None
    need(measured, "variants[0].fidelity", "expected numbers because verified is true, found null")


def _check_truncate_dim(manifest: Manifest) -> None:
    cut = manifest.truncate_dim
    need(
        cut is None or 1 <= cut <= manifest.dimension,
        "truncate_dim",
        f"expected null or 1 to {manifest.dimension} (the dimension), found {cut}",
    )


def _check_outputs(manifest: Manifest) -> None:
    """The first output is what the kind of model makes."""
    need(bool(manifest.outputs), "outputs", "expected at least one output, found none")
    need_unique((output.name for output in manifest.outputs), "outputs", "name")
    for n, output in enumerate(manifest.outputs):
        named = re.fullmatch(OUTPUT_PATTERN, output.name) is not None
        need(named, f"outputs[{n}].name", f"expected letters, digits and '_', found {output.name[:80]!r}")
        low = f"expected at least 1, found {output.dimension}"
        need(output.dimension >= 1, f"outputs[{n}].dimension", low)
    wanted = MAIN_OUTPUTS[manifest.kind]
    found = manifest.output.kind
    because = f"because kind is {manifest.kind!r}"
    need(found == wanted, "outputs[0].kind", f"expected {wanted!r}, {because}, found {found!r}")


def _check_scoring(manifest: Manifest) -> None:
    scoring = manifest.scoring
    reranks = manifest.kind == "reranker"
    expected = "an object" if reranks else "null"
    need((scoring is not None) == reranks, "scoring", f"expected {expected}, because kind is {manifest.kind!r}")
    if scoring is None:
        return
    for n, output in enumerate(manifest.outputs):
        count = f"expected {len(scoring.labels)} (the labels), found {output.dimension}"
        need(output.dimension == len(scoring.labels), f"outputs[{n}].dimension", count)
    named = re.fullmatch(ACTIVATION_PATTERN, scoring.activation) is not None
    found = f"expected the name of a class of torch.nn, found {scoring.activation[:80]!r}"
    need(named, "scoring.activation", found)
    template = scoring.pair_template
    whole = template is None or all(template.count(place) == 1 for place in ("{query}", "{document}"))
    need(whole, "scoring.pair_template", "expected {query} and {document} in it, each once")


def _check_towers(manifest: Manifest, listed: frozenset[str]) -> None:
    """One tower without a name, or several that all have one."""
    towers = manifest.towers
    need(bool(towers), "towers", "expected at least one tower, found none")
    need_unique((tower.route for tower in towers), "towers", "route")
    for n, tower in enumerate(towers):
        where = f"towers[{n}]"
        alone = len(towers) == 1 or bool(tower.route)
        need(alone, f"{where}.route", "expected a name, because there are several towers, found ''")
        _check_default_prompt(tower, where)
        _check_tokenizer(tower, listed, f"{where}.tokenizer")


def _check_default_prompt(tower: Tower, where: str) -> None:
    name = tower.default_prompt_name
    known = ", ".join(map(repr, tower.prompts)) or "none: prompts is empty"
    need(
        name is None or name in tower.prompts,
        f"{where}.default_prompt_name",
        f"expected null or a name among prompts ({known}), found {name!r}",
    )


def _check_tokenizer(tower: Tower, listed: frozenset[str], where: str) -> None:
    tokenizer = tower.tokenizer
    check_path(tokenizer.file, f"{where}.file")
    need(tokenizer.file in listed, f"{where}.file", f"{tokenizer.file!r} is not listed in files")
    need(tokenizer.max_tokens >= 1, f"{where}.max_tokens", f"expected at least 1, found {tokenizer.max_tokens}")
    need(tokenizer.pad_id >= 0, f"{where}.pad_id", f"expected at least 0, found {tokenizer.pad_id}")


def _check_entry(entry: FileEntry, where: str) -> None:
    check_path(entry.path, f"{where}.path")
    need(entry.path != MANIFEST_NAME, f"{where}.path", f"{MANIFEST_NAME} cannot list itself")
    tuned = entry.path.split("/")[0] == TUNE_FOLDER
    need(not tuned, f"{where}.path", f"{TUNE_FOLDER} belongs to a machine, not to the artifact")
    need(entry.size_bytes >= 0, f"{where}.size_bytes", f"expected at least 0, found {entry.size_bytes}")
    need(
        re.fullmatch(SHA256_PATTERN, entry.sha256) is not None,
        f"{where}.sha256",
        f"expected 64 lower-case hexadecimal digits, found {entry.sha256[:80]!r}",
    )
