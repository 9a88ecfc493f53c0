"""Converted models against sentence-transformers on torch: the tolerances of the README, not looser."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, clean_text
from stonnx.cli._console import Output
from stonnx.cli.convert import print_conversion
from stonnx.compile import convert
from stonnx.errors import VerificationError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling
from stonnx.reference import ReferenceEncoder, import_reference
from stonnx.runtime.loading import why_not_here
from stonnx.testing import make_random_model
from stonnx.verify import Tolerance, probe_texts, verify
from stonnx.verify.metrics import compare, cosines

pytestmark = pytest.mark.reference

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
TEXTS = ["", "a", "Hello, world", "今天是周五啦", "one two three four five six", "x y z " * 30, "a\ud800b"]


def assert_same(found, expected):
    comparison = compare(found, expected)
    assert comparison.fidelity.cosine_min >= Tolerance().cosine_min
    assert comparison.fidelity.max_abs_diff <= Tolerance().max_abs_diff
    assert comparison.max_norm_diff <= Tolerance().max_norm_diff


def check_both_variants(folder, out, **options):
    convert(folder, out, verify=False, int8=False)
    expected = ReferenceEncoder.load(folder).encode(TEXTS, **options)
    for name in ("fp32", "portable"):
        assert_same(Encoder.load(out, variant=name).encode(TEXTS, **options), expected)


@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe", "unigram"])
def test_tokenizer_families(tiny, tmp_path, tokenizer):
    check_both_variants(tiny(tokenizer=tokenizer), tmp_path / "out")


@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe"])
def test_mpnet(tiny, tmp_path, tokenizer):
    check_both_variants(tiny(family="mpnet", tokenizer=tokenizer, max_tokens=60), tmp_path / "out")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", ["old", "new"])
def test_pooling_modes(tiny, tmp_path, mode, generation):
    old = generation == "old"
    folder = tiny(head=(Pooling(modes=(mode,)),), legacy_pooling_config=old, old_module_types=old)
    check_both_variants(folder, tmp_path / "out")


@pytest.mark.parametrize("mode", MODES)
def test_prompt_left_out_of_pooling(tiny, tmp_path, mode):
    folder = tiny(head=(Pooling(modes=(mode,), include_prompt=False),))
    check_both_variants(folder, tmp_path / "out", prompt="query: ")


def test_whole_chain(tiny, tmp_path):
    head = (
        Pooling(modes=("mean", "max", "cls")),
        Dense(path="", in_features=96, out_features=24, bias=True, activation="Tanh"),
        LayerNorm(path="", dimension=24),
        Dense(path="", in_features=24, out_features=16, bias=False, activation="SiLU", use_residual=True),
        Normalize(),
    )
    check_both_variants(tiny(head=head), tmp_path / "out")


def test_default_prompt(tiny, tmp_path):
    folder = tiny(prompts={"query": "query: "}, default_prompt_name="query")
    check_both_variants(folder, tmp_path / "out")


@pytest.mark.parametrize("hidden_act", ["gelu_new", "relu"])
def test_hidden_activations(tiny, tmp_path, hidden_act):
    check_both_variants(tiny(hidden_act=hidden_act), tmp_path / "out")


def test_half_precision_checkpoint(tiny, tmp_path):
    check_both_variants(tiny(dtype="float16", tensor_prefix="bert."), tmp_path / "out")


def test_bare_folder(tiny, tmp_path):
    check_both_variants(tiny(with_modules_json=False, head=()), tmp_path / "out")


def test_bare_folder_with_a_pooling_config(tiny, tmp_path):
    """sentence-transformers alone would pool by mean here; both sides honour what the folder says."""
    folder = tiny(head=(Pooling(modes=("cls",)),), prompts={"query": "q: "}, default_prompt_name="query", max_tokens=20)
    as_saved = ReferenceEncoder.load(folder).encode(TEXTS)
    (folder / "modules.json").unlink()
    check_both_variants(folder, tmp_path / "out")
    assert_same(Encoder.load(tmp_path / "out").encode(TEXTS), as_saved)


def test_settings_that_sentence_transformers_ignores_are_told_at_the_verdict(tiny, tmp_path, capsys):
    folder = tiny(head=(Pooling(modes=("cls",)),), max_tokens=20)
    (folder / "modules.json").unlink()
    done = convert(folder, tmp_path / "out", int8=False)
    bare = done.report.bare_folder
    assert bare.differs
    assert bare.ignored == ("1_Pooling/config.json", "config_sentence_transformers.json", "sentence_bert_config.json")
    _, library = import_reference()
    plain = library.SentenceTransformer(str(folder), device="cpu").encode([clean_text(text) for text in probe_texts()])
    assert bare.cosine_min == pytest.approx(cosines(plain, Artifact.open(done.path).goldens().vectors).min(), abs=1e-6)
    print_conversion(Output(), done)
    text = " ".join(capsys.readouterr().out.split())
    verdict = text[text.index("Compared with the original model") : text.index("Notes")]
    assert "The source has no modules.json. stonnx honours 1_Pooling/config.json" in verdict
    assert f"lowest {bare.cosine_min:.4f}" in verdict
    later = verify(done.path)  # by somebody who has the artifact alone
    assert "lowest cosine" in later.reference["without modules.json"]


def test_settings_that_change_nothing_are_not_told(tiny, tmp_path):
    folder = tiny(head=(Pooling(modes=("mean",)),))
    (folder / "modules.json").unlink()
    (folder / "sentence_bert_config.json").unlink()
    done = convert(folder, tmp_path / "out", int8=False)
    assert not done.report.bare_folder.differs
    assert "without modules.json" not in done.report.reference


def test_a_whole_folder_is_read_alike_by_both(source, tmp_path):
    assert convert(source, tmp_path / "out", int8=False).report.bare_folder is None


def test_bare_folder_with_settings_only(tiny, tmp_path):
    folder = tiny(with_modules_json=False, head=())
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": false}')
    check_both_variants(folder, tmp_path / "out")
    assert Encoder.load(tmp_path / "out").max_tokens == 12


def test_convert_verifies_and_stores_what_it_found(source, tmp_path):
    done = convert(source, tmp_path / "out", int8=False)
    assert done.report is not None
    assert done.report.passed
    artifact = Artifact.open(tmp_path / "out")
    assert artifact.manifest.verified
    measured = {variant.name for variant in artifact.manifest.variants if variant.fidelity is not None}
    assert measured == {variant.name for variant in artifact.manifest.variants if why_not_here(variant) is None}
    assert measured >= {"fp32", "portable"}
    again = verify(artifact)
    assert again.passed
    assert again.compared_with == "goldens"
    assert verify(artifact, against=source, texts=["one more"]).compared_with == "original"


def test_a_wrong_graph_is_not_written(source, tmp_path, monkeypatch):
    """The gate closes: one weight of the converted side is off by a little."""
    from stonnx.checkpoint import Weights

    honest = Weights.get

    def skewed(self, name):
        value = honest(self, name)
        return value * np.float32(1.001) if name == "encoder.layer.1.output.dense.weight" else value

    monkeypatch.setattr(Weights, "get", skewed)
    with pytest.raises(VerificationError, match="not the original within the tolerance"):
        convert(source, tmp_path / "out", int8=False)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m3e-small", "bge-small-zh-v1.5", "m3e-base"])
def test_chinese_models_with_random_weights(shared_dir, tmp_path, name):
    folder = make_random_model(shared_dir / "models" / name, tmp_path / name)
    report = convert(folder, tmp_path / "out", int8=False).report
    assert report is not None
    assert report.passed
