"""Manifests for tests: an embedding of one tower, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stonnx.artifact import Graph, Manifest, Output, Source, Stage, TokenizerSpec, Tower

__all__ = ["embedding_manifest", "one_graph", "with_tower"]


def one_graph(file: str, *inputs: str) -> tuple[Graph, ...]:
    """The graphs of a variant of one tower; what takes a mask is padded."""
    layout = "padded" if "attention_mask" in inputs else "equal_lengths"
    return (Graph(tower="", file=file, origin="authored", inputs=inputs, layout=layout, fused={}),)


def embedding_manifest(
    *,
    dimension: int,
    tokenizer: TokenizerSpec,
    stages: Sequence[Stage] = (Stage(kind="Transformer"),),
    prompts: Mapping[str, str] | None = None,
    default_prompt_name: str | None = None,
    **fields: Any,
) -> Manifest:
    """A manifest; ``fields`` are those of ``Manifest`` and win over what stands here."""
    body, *head = stages
    tower = Tower(
        route="",
        body=replace(body, options={"family": "bert", **body.options}),
        head=tuple(head),
        tokenizer=tokenizer,
        prompts=dict(prompts or {}),
        default_prompt_name=default_prompt_name,
    )
    usual = {
        "stonnx_version": "0.1.0",
        "source": Source(name="tiny", revision=None),
        "kind": "embedding",
        "outputs": (Output(name="sentence_embedding", kind="sentence_embedding", dimension=dimension),),
        "towers": (tower,),
        "scoring": None,
        "similarity": "cosine",
        "truncate_dim": None,
        "variants": (),
        "verified": False,
        "files": (),
    }
    return Manifest(**(usual | fields))


def with_tower(manifest: Manifest, **changes: Any) -> Manifest:
    """The same manifest with other fields of its first tower."""
    return replace(manifest, towers=(replace(manifest.tower, **changes), *manifest.towers[1:]))
