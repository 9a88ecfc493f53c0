"""What ONNX Runtime's transformer optimizer fuses in an exported BERT: why the graphs are authored instead.

    python benchmarks/fusion.py

Exports a random 12-layer BERT with torch's TorchScript exporter, once per attention implementation of
transformers (``sdpa`` is its default), optimises it, and counts the attention blocks that were fused.
Needs the extras cpu and reference.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import _common
import torch
from onnxruntime.transformers.optimizer import optimize_model
from transformers import BertConfig, BertModel

_LAYERS, _HEADS, _WIDTH = 12, 12, 96


class _Hidden(torch.nn.Module):  # type: ignore[misc]  # torch enters untyped
    """The last hidden state alone, from positional inputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def main() -> None:
    """Export, optimise, count, write."""
    args = _common.parser(__doc__).parse_args()
    results = [_fused(implementation) for implementation in ("sdpa", "eager")]
    for result in results:
        print(f"{result['attention']}: {result['attention_fused']} of {result['layers']} attention blocks fused")
    _common.write_result("fusion", results, args)


def _fused(implementation: str) -> dict[str, Any]:
    config = BertConfig(
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        attn_implementation=implementation,
    )
    model = _Hidden(BertModel(config, add_pooling_layer=False).eval())
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: "rows", 1: "tokens"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its own deprecation and traces shapes aloud
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            model,
            (ids, ids),
            path,
            dynamo=False,
            opset_version=18,
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes},
        )
        optimized = optimize_model(path, model_type="bert", num_heads=_HEADS, hidden_size=_WIDTH, opt_level=0)
    counts = optimized.get_fused_operator_statistics()
    return {
        "attention": implementation,
        "layers": _LAYERS,
        "attention_fused": counts["Attention"] + counts["MultiHeadAttention"],
        "nodes": len(optimized.model.graph.node),
    }


if __name__ == "__main__":
    main()
