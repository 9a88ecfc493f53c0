"""The manifest of a conversion: what was read of the model, and the variants that were written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stonnx._version import __version__
from stonnx.artifact import Manifest, Scoring, Source, Stage, TokenizerSpec, Tower, Variant, file_entries
from stonnx.checkpoint import ModelSpec
from stonnx.graph import Blueprint

__all__ = ["make_manifest", "make_tower"]


def make_manifest(blueprint: Blueprint, variants: Sequence[Variant], staging: Path) -> Manifest:
    """The manifest of an artifact that nobody has verified.

    Args:
        blueprint: The model.
        variants: Ways to run it, the reference variant first.
        staging: The folder that becomes the artifact, with all its files.
    """
    spec, chain = blueprint.spec, blueprint.chain
    return Manifest(
        stonnx_version=__version__,
        source=Source(name=spec.name, revision=spec.revision),
        kind=spec.kind,
        outputs=chain.outputs,
        towers=(make_tower(blueprint),),
        scoring=_scoring(spec),
        similarity=spec.similarity,
        truncate_dim=spec.truncate_dim,
        variants=tuple(variants),
        verified=False,
        files=file_entries(staging),
    )


def make_tower(blueprint: Blueprint) -> Tower:
    """The only tower of an authored model."""
    spec = blueprint.spec
    body = Stage(kind="Transformer", options={"family": blueprint.family, "width": blueprint.encoder.width})
    return Tower(
        route="",
        body=body,
        head=tuple(module.describe() for module in blueprint.chain.modules),
        tokenizer=TokenizerSpec(
            file="tokenizer.json",
            max_tokens=blueprint.max_tokens,
            pad_id=spec.pad_id,
            padding_side=spec.padding_side,
        ),
        prompts=dict(spec.prompts.texts),
        default_prompt_name=spec.prompts.default_name,
    )


def _scoring(spec: ModelSpec) -> Scoring | None:
    """How pairs are scored; the tokenizer of every authored family joins the two texts itself."""
    if spec.classification is None:
        return None
    return Scoring(labels=spec.classification.labels, activation=spec.classification.activation, pair_template=None)
