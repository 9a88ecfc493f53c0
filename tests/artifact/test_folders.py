"""The committed artifact is what is written today, and loads; broken in any way, it is refused with a clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from stonnx.errors import ArtifactError
from tests.artifact.breaks import BREAKS
from tests.artifact.valid_folder import TEXTS, token_ids, write_valid

HERE = Path(__file__).parent
REQUIRED = {
    "missing_file",
    "bad_hash",
    "newer_schema",
    "unknown_key",
    "path_escape",
    "wrong_dimension",
    "truncated_onnx",
}


def test_the_valid_artifact_loads(load):
    artifact = load(HERE / "valid")
    artifact.check_files()
    assert artifact.manifest.dimension == 8
    assert [variant.name for variant in artifact.manifest.variants] == ["fp32", "portable"]


def test_the_issue_s_cases_are_there():
    assert {damage.__name__ for damage in BREAKS} >= REQUIRED


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_broken_artifact(damage, valid, load):
    load(valid)
    fragments = damage(valid)
    assert fragments
    with pytest.raises(ArtifactError) as caught:
        load(valid)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_the_committed_artifact_is_what_is_written(tmp_path):
    write_valid(tmp_path / "valid")
    onnx.checker.check_model(str(tmp_path / "valid/onnx/model.onnx"))
    fresh, committed = _contents(tmp_path / "valid"), _contents(HERE / "valid")
    assert sorted(fresh) == sorted(committed)
    assert [path for path in fresh if fresh[path] != committed[path]] == []


@pytest.mark.parametrize("variant", ["fp32", "portable"])
def test_the_graphs_compute_the_goldens(variant, load):
    onnxruntime = pytest.importorskip("onnxruntime")
    artifact = load(HERE / "valid")
    goldens = artifact.goldens()
    spec = artifact.variant(variant)
    session = onnxruntime.InferenceSession(str(artifact.file(spec.graph.file)), providers=["CPUExecutionProvider"])
    for text, vector in zip(goldens.texts, goldens.vectors, strict=True):
        ids = np.array([token_ids(text)], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (found,) = session.run(["sentence_embedding"], {name: feeds[name] for name in spec.graph.inputs})
        np.testing.assert_allclose(found[0], vector, atol=1e-6)


def test_the_tokenizer_agrees_with_what_wrote_it():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(HERE / "valid/tokenizer.json"))
    for text in TEXTS:
        assert tokenizer.encode(text).ids == token_ids(text)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
