"""Manifests of every kind, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from stonnx.artifact import (
    Fidelity,
    FileEntry,
    Graph,
    Manifest,
    Output,
    ScoreFidelity,
    Scoring,
    Source,
    Stage,
    TokenizerSpec,
    Tower,
    Variant,
    classify,
)
from stonnx.artifact.rules import MAIN_OUTPUTS
from stonnx.machine import INSTRUCTION_SETS

__all__ = ["json_values", "manifests"]

SHA = "0" * 64
KINDS = ("embedding", "reranker", "sparse", "multi_vector")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
paths = st.lists(
    st.from_regex(r"[A-Za-z0-9_.-]{1,6}", fullmatch=True).filter(lambda part: part not in {".", ".."}),
    min_size=1,
    max_size=3,
).map("/".join)
cosines = st.floats(-1, 1) | st.floats(0.997, 1)
embedding_fidelities = st.builds(
    Fidelity,
    texts=st.integers(1, 10**6),
    cosine_mean=cosines,
    cosine_min=cosines,
    max_abs_diff=st.floats(0, 2),
    top10_overlap=st.floats(0, 1) | st.floats(0.95, 1),
)

score_fidelities = st.builds(
    ScoreFidelity,
    pairs=st.integers(1, 10**6),
    queries=st.integers(0, 1000),
    mean_abs_diff=st.floats(0, 1),
    max_abs_diff=st.floats(0, 1),
    top10_overlap=st.floats(0, 1),
)
stages = st.builds(Stage, kind=st.text(), options=st.dictionaries(st.text(), json_values, max_size=2))
inputs = st.lists(st.sampled_from(["attention_mask", "token_type_ids", "prompt_lengths"]), unique=True)


@st.composite
def graphs(draw, route, file):
    others = draw(inputs)
    return Graph(
        tower=route,
        file=file,
        origin=draw(st.sampled_from(["authored", "exported", "given"])),
        inputs=("input_ids", *others),
        layout="padded" if "attention_mask" in others else draw(st.sampled_from(["equal_lengths", "packed"])),
        fused=draw(st.none() | st.dictionaries(st.text(max_size=6), st.integers(1, 100), max_size=2)),
    )


@st.composite
def variants(draw, name, listed, routes, kind):
    file = draw(st.sampled_from([path for path in listed if path.endswith(".onnx")]))
    extra = draw(st.lists(st.sampled_from([path for path in listed if path != file]), unique=True, max_size=2))
    fidelity = draw(score_fidelities if kind == "reranker" else embedding_fidelities)
    kept = draw(st.sampled_from([None, classify(fidelity)]))
    return Variant(
        name=name,
        engine=draw(st.text(max_size=5)),
        graphs=tuple(draw(graphs(route, file)) for route in routes),
        files=(file, *extra),
        device=draw(st.sampled_from(["cpu", "cuda"])),
        precision=draw(st.sampled_from(["fp32", "fp16", "bf16", "int8"])) if kept else "fp32",
        instruction_sets=tuple(draw(st.lists(st.sampled_from(INSTRUCTION_SETS), unique=True, max_size=3))),
        options=draw(st.dictionaries(st.sampled_from(["INFERENCE_PRECISION_HINT", "a.b"]), st.just("f32"))),
        fidelity_class=kept or "exact",
        fidelity=fidelity,
    )


@st.composite
def towers(draw, route, listed):
    prompts = draw(
        st.dictionaries(st.text(max_size=5), st.text(st.characters(exclude_categories=()), max_size=8), max_size=3)
    )
    return Tower(
        route=route,
        body=draw(stages),
        head=tuple(draw(st.lists(stages, max_size=3))),
        tokenizer=TokenizerSpec(
            file=draw(st.sampled_from(listed)),
            max_tokens=draw(st.integers(1, 8192)),
            pad_id=draw(st.integers(0, 10**6)),
            padding_side=draw(st.sampled_from(["right", "left"])),
        ),
        prompts=prompts,
        default_prompt_name=draw(st.sampled_from([None, *prompts])),
    )


@st.composite
def manifests(draw):
    more = draw(
        st.lists(paths, unique=True, max_size=3).map(lambda names: [name for name in names if name != "stonnx.json"])
    )
    listed = list(dict.fromkeys(["onnx/model.onnx", "tokenizer.json", *more]))
    names = draw(
        st.lists(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True), min_size=1, max_size=3, unique=True)
    )
    kind = draw(st.sampled_from(KINDS))
    routes = draw(st.sampled_from([("",), ("query",), ("query", "document")]))
    dimension = draw(st.integers(1, 4096)) if kind != "reranker" else draw(st.integers(1, 3))
    labels = tuple(f"LABEL_{n}" for n in range(dimension)) if kind == "reranker" else ()
    main = MAIN_OUTPUTS[kind]
    outputs = [Output(name=main, kind=main, dimension=dimension)]
    if draw(st.booleans()):
        outputs.append(Output(name="more", kind="logits", dimension=dimension))
    template = st.sampled_from([None, "{query} [SEP] {document}", "<{document}|{query}>"])
    return Manifest(
        stonnx_version=draw(st.text(max_size=8)),
        source=Source(name=draw(st.text()), revision=draw(st.none() | st.text())),
        kind=kind,
        outputs=tuple(outputs),
        towers=tuple(draw(towers(route, listed)) for route in routes),
        scoring=Scoring(labels=labels, activation="Sigmoid", pair_template=draw(template)) if labels else None,
        similarity=draw(st.sampled_from(["cosine", "dot", "euclidean", "manhattan", None])),
        truncate_dim=draw(st.none() | st.integers(1, dimension)),
        variants=tuple(draw(variants(name, listed, routes, kind)) for name in names),
        verified=draw(st.booleans()),
        files=tuple(FileEntry(path=path, size_bytes=draw(st.integers(0, 2**40)), sha256=SHA) for path in listed),
    )
