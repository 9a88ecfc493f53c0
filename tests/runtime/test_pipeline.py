"""The one pipeline: rows of several requests in one batch, windows counted through, whatever the layout."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stonnx.artifact import Artifact
from stonnx.errors import UsageError
from stonnx.runtime.pipeline import LoadSettings, Pipeline
from stonnx.runtime.streams import RunSettings
from stonnx.runtime.token_rows import join_rows
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import FakeEngine
from tests.manifests import with_tower

pytest.importorskip("onnxruntime")

REQUESTS = [
    ("on ", ["world", "hello world", "x"]),
    ("", ["on", "world", "of and to in"]),
    ("of and to ", ["world"] * 3),
]
OUTPUTS = ["sentence_embedding"]


def embed(pipeline, windows, **options):
    """Embeddings by row number, and the feeds' heights."""
    found = [(result.numbers, *result.outputs) for result in pipeline.run(windows, outputs=OUTPUTS, **options)]
    numbers = np.concatenate([numbers for numbers, _ in found])
    assert sorted(numbers.tolist()) == list(range(len(numbers)))
    return np.concatenate([vectors for _, vectors in found])[np.argsort(numbers)], [len(rows) for rows, _ in found]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", ["fp32", "prompted", "each_prompted"])
def test_rows_of_several_requests_and_prompts_run_together(make_artifact, name, engine):
    pytest.importorskip(engine)
    variants = make_artifact().manifest.variants
    artifact = make_artifact(variants=tuple(dataclasses.replace(variant, engine=engine) for variant in variants))
    pipeline = Pipeline.load(artifact, LoadSettings(variant=name, threads=1), kind="embedding")
    rows = [next(pipeline.text_windows([texts], prompt=prompt)) for prompt, texts in REQUESTS]
    alone = np.concatenate([embed(pipeline, [part])[0] for part in rows])
    together, heights = embed(pipeline, [join_rows(rows)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    if name != "fp32":  # the prompts are left out
        plain, _ = embed(pipeline, [join_rows([next(pipeline.text_windows([texts])) for _, texts in REQUESTS])])
        prompted = slice(0, 3)
        assert np.abs(together[prompted] - plain[prompted]).max() > 1e-3
    by_length = len({(n, p) for part in rows for n, p in zip(part.lengths, prompts_of(part), strict=True)})
    assert len(heights) == (by_length if name == "prompted" else len(set(join_rows(rows).lengths.tolist())))
    pipeline.close()


def prompts_of(rows):
    return [0] * len(rows) if rows.prompt_lengths is None else rows.prompt_lengths.tolist()


def test_graphs_that_keep_the_prompt_get_no_lengths(make_artifact):
    pipeline = Pipeline.load(make_artifact(), LoadSettings(variant="fp32", threads=1), kind="embedding")
    assert next(pipeline.text_windows([["world"]], prompt="on ")).prompt_lengths is None
    pipeline.close()


def test_windows_are_counted_through(make_artifact):
    pipeline = Pipeline.load(make_artifact(), LoadSettings(threads=1, batch_tokens=12), kind="embedding")
    texts = [f"{'of and '[: i % 8]}{i}" for i in range(50)]
    whole, _ = embed(pipeline, pipeline.text_windows([texts]))
    parts = [texts[:7], texts[7:8], [], texts[8:]]
    found, _ = embed(pipeline, pipeline.text_windows(parts), batch_tokens=100)
    np.testing.assert_allclose(found, whole, atol=1e-6)
    pipeline.close()


@pytest.mark.parametrize("engine", ["fake", "onnxruntime", "openvino"])
def test_padding_on_the_left(make_artifact, engine):
    if engine != "fake":
        pytest.importorskip(engine)
    artifact = make_artifact()
    spec = dataclasses.replace(artifact.manifest.tower.tokenizer, padding_side="left")
    portable = dataclasses.replace(artifact.variant("portable"), engine=engine if engine != "fake" else "onnxruntime")
    manifest = dataclasses.replace(with_tower(artifact.manifest, tokenizer=spec), variants=(portable,))
    artifact = Artifact(artifact.path, manifest)
    texts = ["of and to in is a that", "of and to in is a", "a b c d e f", "today"]
    if engine == "fake":
        fake = FakeEngine()
        tokenizer = TextTokenizer(artifact.file(spec.file), max_tokens=16)
        settings = RunSettings(threads=1)
        pipeline = Pipeline(artifact, variant=portable, engine=fake, tokenizer=tokenizer, settings=settings)
    else:
        pipeline = Pipeline.load(artifact, LoadSettings(threads=1), kind="embedding")
    together, heights = embed(pipeline, pipeline.text_windows([texts]))
    assert max(heights) > 1
    alone = np.concatenate([embed(pipeline, pipeline.text_windows([[text]]))[0] for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    if engine == "fake":
        mask = fake.runs[0]["attention_mask"]
        assert (mask[:, -1] == 1).all()
        assert (mask[1:, 0] == 0).all()
    pipeline.close()


def test_a_closed_pipeline_says_so(make_artifact):
    pipeline = Pipeline.load(make_artifact(), LoadSettings(threads=1), kind="embedding")
    pipeline.close()
    for call in (pipeline.text_windows, pipeline.pair_windows, lambda rows: pipeline.run(rows, outputs=OUTPUTS)):
        with pytest.raises(UsageError, match="This encoder is closed"):
            call([])
