"""What was authored, as the manifest tells it: the module chain, and each graph."""

from __future__ import annotations

from stonnx.artifact import Graph, Stage
from stonnx.checkpoint.spec import Dense, HeadModule, LayerNorm, Pooling
from stonnx.graph import AuthoredGraph, Blueprint

__all__ = ["as_record", "describe_stages"]


def as_record(graph: AuthoredGraph, path: str) -> Graph:
    """An authored graph, written to ``path`` of the artifact."""
    return Graph(
        tower="", file=path, origin="authored", inputs=graph.inputs, layout=graph.layout, fused=dict(graph.fused)
    )


def describe_stages(blueprint: Blueprint) -> tuple[Stage, ...]:
    """One stage per module, the transformer first."""
    transformer = Stage(kind="Transformer", options={"family": blueprint.family, "width": blueprint.encoder.width})
    return (transformer, *(_stage(module) for module in blueprint.spec.head))


def _stage(module: HeadModule) -> Stage:
    options: dict[str, object] = {}
    if isinstance(module, Pooling):
        options = {"pooling_mode": list(module.modes), "include_prompt": module.include_prompt}
    elif isinstance(module, Dense):
        options = {
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.bias,
            "activation": module.activation,
            "use_residual": module.use_residual,
        }
    elif isinstance(module, LayerNorm):
        options = {"dimension": module.dimension}
    return Stage(kind=type(module).__name__, options=options)
