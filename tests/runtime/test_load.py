from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Fidelity, file_entries, write_manifest
from stonnx.compile import convert
from stonnx.errors import ArtifactError, MissingExtraError, RunError, UnsupportedModelError, UsageError
from stonnx.runtime import engines, usable_cores
from stonnx.runtime.engines.onnxruntime import OnnxRuntimeEngine
from stonnx.runtime.loading import choose_variant
from stonnx.testing import TinyModel, make_tiny_model
from tests.manifests import with_tower
from tests.runtime.conftest import write_graph

pytest.importorskip("onnxruntime")

TEXTS = ["hello world", "", "of and to in is a", "今天是周五啦", "a" * 60, "x y", "ab ba", "world " * 9]


def test_load_and_encode_by_path_string_and_artifact(make_artifact, family):
    artifact = make_artifact(family=family)
    with Encoder.load(artifact.path) as encoder:
        assert (encoder.variant.name, encoder.threads) == ("fp32", usable_cores())
        assert encoder.engine.name == "onnxruntime"
        expected = encoder.encode(TEXTS)
    for source in (str(artifact.path), artifact):
        with Encoder.load(source, threads=1) as encoder:
            np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize("variant", ["fp32", "portable", "prompted"])
def test_variants_agree_and_batch_equals_single(make_artifact, variant):
    artifact = make_artifact()
    with Encoder.load(artifact, threads=1) as encoder:
        expected = encoder.encode(TEXTS)
    with Encoder.load(artifact, variant=variant, threads=1) as encoder:
        np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
        np.testing.assert_allclose([encoder.encode(text) for text in TEXTS], expected, atol=1e-6)


def test_the_prompt_is_left_out_where_the_graph_says_so(make_artifact):
    artifact = make_artifact()
    with Encoder.load(artifact, variant="prompted", threads=1) as encoder:
        with_prompt = encoder.encode(["world", "hello"], prompt_name="query")
        both_longer = encoder.encode(["world", "hello"], prompt="of and to ")
        np.testing.assert_allclose(with_prompt, both_longer, atol=1e-6)
    with Encoder.load(artifact, variant="fp32", threads=1) as encoder:
        assert not np.allclose(encoder.encode(["world", "hello"], prompt_name="query"), with_prompt)


def test_threads_share_one_session(make_artifact):
    with Encoder.load(make_artifact(), threads=2) as encoder:
        lists = [[f"a {'b ' * (i % 11)}{i * k}" for i in range(40)] for k in range(1, 5)]
        expected = [encoder.encode(texts) for texts in lists]
        with ThreadPoolExecutor(4) as pool:
            for want, got in zip(expected * 3, pool.map(encoder.encode, lists * 3), strict=True):
                np.testing.assert_allclose(got, want, atol=1e-6)


def test_unknown_variant_names_those_that_there_are(make_artifact):
    with pytest.raises(UsageError, match=r"int8(.|\n)*fp32(.|\n)*portable"):
        Encoder.load(make_artifact(), variant="int8")


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, "2"])
def test_invalid_threads(make_artifact, threads):
    with pytest.raises(UsageError, match="threads is"):
        Encoder.load(make_artifact(), threads=threads)


def test_missing_folder(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere"):
        Encoder.load(tmp_path / "nowhere")


@pytest.mark.parametrize(("file", "place"), [("onnx/free.onnx", 0.5), ("tokenizer.json", 0.5), ("tokenizer.json", 0)])
def test_a_changed_file_is_named_before_load_returns(make_artifact, file, place):
    path = make_artifact().path / file
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1  # same size, other content; at 0 it is no JSON any more
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{file} was changed"):
        Encoder.load(path.parents[file.count("/")], threads=1)


def test_a_changed_file_of_another_variant_does_not_matter(make_artifact):
    artifact = make_artifact()
    path = artifact.path / "onnx/masked.onnx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with Encoder.load(artifact.path, threads=1) as encoder:
        assert encoder.encode("hello").shape == (8,)
    with pytest.raises(ArtifactError, match=r"masked\.onnx"):
        Encoder.load(artifact.path, variant="portable", threads=1)


def without_onnxruntime(monkeypatch):
    monkeypatch.setattr("stonnx._extras.available", lambda module: module != "onnxruntime")
    monkeypatch.setattr("stonnx.runtime.engines.available", lambda module: module != "onnxruntime")


@pytest.mark.parametrize("variant", ["auto", "fp32"])
def test_a_missing_engine_names_the_pip_line(make_artifact, monkeypatch, variant):
    artifact = make_artifact()
    without_onnxruntime(monkeypatch)
    with pytest.raises(MissingExtraError, match="onnxruntime is needed") as caught:
        Encoder.load(artifact, variant=variant)
    assert caught.value.hint.startswith('pip install "stonnx[cpu]"')


def test_an_unknown_engine_is_an_error_when_asked_for_and_skipped_by_auto(make_artifact):
    variants = make_artifact().manifest.variants
    strange = dataclasses.replace(variants[0], name="strange", engine="abacus")
    artifact = make_artifact(variants=(strange, *variants))
    with Encoder.load(artifact, threads=1) as encoder:
        assert encoder.variant.name == "fp32"
    with pytest.raises(UnsupportedModelError, match="needs the engine 'abacus'; this stonnx has onnxruntime"):
        Encoder.load(artifact, variant="strange")


def test_auto_takes_the_first_variant_whose_engine_is_installed(make_artifact, monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "absent", engines.EngineEntry("x", "surely_not_installed", "absent"))
    variants = make_artifact().manifest.variants
    absent = dataclasses.replace(variants[0], name="absent", engine="absent")
    artifact = make_artifact(variants=(absent, variants[1]))
    with Encoder.load(artifact, threads=1) as encoder:
        assert encoder.variant.name == "portable"
    with pytest.raises(MissingExtraError) as caught:
        Encoder.load(artifact, variant="absent")
    assert caught.value.hint.startswith('pip install "stonnx[absent]"')


def with_cpu(monkeypatch, *features):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", lambda: frozenset(features))


FIGURES = Fidelity(texts=9, cosine_mean=0.99995, cosine_min=0.995, max_abs_diff=1e-3, top10_overlap=0.995)


def int8(fp32, **changes):
    settings = {"name": "int8", "precision": "int8", "fidelity_class": "high", "fidelity": FIGURES}
    return dataclasses.replace(fp32, **{**settings, **changes})


@pytest.mark.parametrize(
    ("features", "changes", "chosen"),
    [
        ({"avx2", "avx512_vnni"}, {}, "int8"),
        ({"avx2", "avx_vnni"}, {}, "int8"),
        ({"avx2", "amx_int8"}, {"fidelity_class": "lossless"}, "int8"),
        ({"avx2", "amx_int8"}, {"fidelity_class": "balanced"}, "fp32"),
        ({"avx2", "amx_int8"}, {"fidelity": None}, "fp32"),
        ({"avx2", "avx_vnni"}, {"instruction_sets": ("amx_int8",)}, "fp32"),
        ({"avx2", "avx_vnni"}, {"engine": "abacus"}, "fp32"),
        ({"avx2"}, {}, "int8"),
        ({"asimd", "asimddp"}, {}, "fp32"),
        (set(), {}, "fp32"),
    ],
)
def test_auto_prefers_int8_where_the_cpu_is_fast_at_it(make_artifact, monkeypatch, features, changes, chosen):
    with_cpu(monkeypatch, *features)
    fp32 = make_artifact().manifest.variants[0]
    artifact = make_artifact(variants=(fp32, int8(fp32, **changes)))
    assert choose_variant(artifact, "auto").name == chosen


def test_auto_leaves_out_what_the_cpu_cannot_run(make_artifact, monkeypatch):
    with_cpu(monkeypatch, "avx2")
    fp32, portable, *_ = make_artifact().manifest.variants
    artifact = make_artifact(variants=(dataclasses.replace(fp32, instruction_sets=("i8mm", "asimd")), portable))
    assert choose_variant(artifact, "auto").name == "portable"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"device": "cuda"}, "nothing on the device 'cuda'"), ({"layout": "packed"}, "no packed rows")],
)
def test_what_no_engine_of_ours_does_is_refused_and_left_out_by_auto(make_artifact, change, message):
    fp32, portable, *_ = make_artifact().manifest.variants
    graph = dataclasses.replace(fp32.graph, layout=change.get("layout", fp32.graph.layout))
    asked = dataclasses.replace(fp32, device=change.get("device", "cpu"), graphs=(graph,))
    artifact = make_artifact(variants=(asked, portable))
    with pytest.raises(UnsupportedModelError, match=message):
        Encoder.load(artifact, variant="fp32")
    with Encoder.load(artifact, threads=1) as encoder:
        assert encoder.variant.name == "portable"


def test_auto_is_never_below_high(make_artifact, monkeypatch):
    with_cpu(monkeypatch, "avx2")
    fp32 = make_artifact().manifest.variants[0]
    artifact = make_artifact(variants=(int8(fp32, fidelity_class="balanced"),))
    with pytest.raises(UsageError, match="high or better") as caught:
        Encoder.load(artifact)
    assert "int8" in caught.value.hint
    with Encoder.load(artifact, variant="int8", threads=1) as encoder:
        assert encoder.encode("hello").shape == (8,)


@pytest.mark.parametrize(
    ("features", "words"), [(("avx2", "asimd"), "this one has asimd, avx2"), ((), "does not tell what this one has")]
)
def test_a_missing_instruction_set_is_named(make_artifact, monkeypatch, features, words):
    with_cpu(monkeypatch, *features)
    fp32 = make_artifact().manifest.variants[0]
    needed = ("avx512_vnni", "avx_vnni", "i8mm")
    artifact = make_artifact(variants=(fp32, int8(fp32, instruction_sets=needed)))
    with pytest.raises(UnsupportedModelError, match=rf"avx512_vnni, avx_vnni or i8mm; .*{words}"):
        Encoder.load(artifact, variant="int8")


def test_a_hostile_manifest_is_refused_before_the_engine_sees_it(make_artifact, monkeypatch):
    artifact = make_artifact()
    monkeypatch.setattr(
        "stonnx.runtime.loading.open_engine", lambda *args, **kwargs: pytest.fail("the engine was opened")
    )
    manifest = artifact.path / "stonnx.json"
    value = json.loads(manifest.read_text(encoding="utf-8"))
    value["variants"][0]["graphs"][0]["inputs"].append("prompt_length")
    manifest.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match="prompt_length"):
        Encoder.load(Artifact.open(artifact.path))


class TestEngine:
    def open(self, artifact, graph="free"):
        return OnnxRuntimeEngine(artifact.file(f"onnx/{graph}.onnx"), threads=1, optimize=False)

    def run(self, engine, rows, **feeds):
        (vectors,) = engine.run({"input_ids": np.array(rows), **feeds}, ["sentence_embedding"])
        return vectors

    def test_output(self, make_artifact):
        engine = self.open(make_artifact())
        vectors = self.run(engine, [[1, 2, 3], [4, 5, 6]])
        assert (vectors.shape, vectors.dtype) == ((2, 8), np.float32)
        assert engine.version

    def test_outputs_come_in_the_order_in_which_they_were_asked_for(self, make_artifact):
        artifact = make_artifact()
        model = onnx.load(artifact.file("onnx/free.onnx"))
        model.graph.output.append(onnx.helper.make_tensor_value_info("vectors", onnx.TensorProto.FLOAT, None))
        onnx.save(model, artifact.file("onnx/free.onnx"))
        feeds = {"input_ids": np.array([[1, 2, 3], [4, 5, 6]])}
        vectors, means = self.open(artifact).run(feeds, ["vectors", "sentence_embedding"])
        np.testing.assert_allclose(vectors.mean(axis=1), means, atol=1e-6)

    def test_a_failing_run_is_a_run_error(self, make_artifact):
        with pytest.raises(RunError, match="failed on a batch of 1 x 2 tokens"):
            self.run(self.open(make_artifact()), [[1, 10**6]])

    def test_a_graph_fed_wrongly_is_a_run_error(self, make_artifact):
        with pytest.raises(RunError, match="attention_mask"):
            self.run(self.open(make_artifact(), "masked"), [[1]])

    def test_an_output_that_is_not_there_is_a_run_error(self, make_artifact):
        with pytest.raises(RunError, match="scores"):
            self.open(make_artifact()).run({"input_ids": np.array([[1]])}, ["scores"])

    @pytest.mark.parametrize("content", [b"", b"not onnx", None])
    def test_a_damaged_graph_is_an_artifact_error(self, make_artifact, content):
        artifact = make_artifact()
        path = artifact.file("onnx/free.onnx")
        path.write_bytes(path.read_bytes()[:-200] if content is None else content)
        with pytest.raises(ArtifactError, match="cannot load"):
            self.open(artifact)

    def test_closed(self, make_artifact):
        engine = self.open(make_artifact())
        engine.close()
        engine.close()
        with pytest.raises(RunError, match="closed"):
            self.run(engine, [[1]])


def test_onnxruntime_takes_no_options(make_artifact):
    variants = make_artifact().manifest.variants
    artifact = make_artifact(variants=(dataclasses.replace(variants[0], options={"intra_op_num_threads": "9"}),))
    with pytest.raises(ArtifactError, match=r"'fp32' sets intra_op_num_threads='9' for ONNX Runtime; .* none"):
        Encoder.load(artifact)


@pytest.fixture
def small_table(make_artifact):
    """An artifact with a variant for each engine, whose graphs know fewer tokens than its tokenizer."""
    portable = make_artifact().variant("portable")
    artifact = make_artifact(variants=(portable, dataclasses.replace(portable, name="openvino", engine="openvino")))
    write_graph(artifact.path / portable.graph.file, kind="masked", vocab_size=100)
    manifest = dataclasses.replace(artifact.manifest, files=file_entries(artifact.path))
    write_manifest(artifact.path, manifest)
    return Artifact.open(artifact.path)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_id_beyond_the_table_is_an_error_on_every_engine(small_table, engine):
    pytest.importorskip(engine)
    variant = {"onnxruntime": "portable", "openvino": "openvino"}[engine]
    with Encoder.load(small_table, variant=variant, threads=1) as encoder:
        assert encoder.encode("a b c").shape == (8,)
        with pytest.raises(ArtifactError, match=r"gives the token id \d+, but the .* has 100 rows"):
            encoder.encode(["a", "hello world text"])


def test_a_padding_token_beyond_the_table(small_table):
    manifest = small_table.manifest
    tokenizer = dataclasses.replace(manifest.tower.tokenizer, pad_id=100)
    artifact = Artifact(small_table.path, with_tower(manifest, tokenizer=tokenizer))
    with pytest.raises(ArtifactError, match=r"pad_id is 100, but .*masked\.onnx has a table of 100 tokens"):
        Encoder.load(artifact, variant="portable")


@pytest.mark.parametrize("family", ["bert", "mpnet"])
@pytest.mark.parametrize(("engine", "variant"), [("onnxruntime", "fp32"), ("openvino", "openvino")])
def test_a_limit_beyond_the_table_of_positions_is_refused(tmp_path, family, engine, variant):
    """In the middle of a run it is too late: OpenVINO gives vectors for positions that there are none of."""
    pytest.importorskip(engine)
    model = make_tiny_model(tmp_path / "model", TinyModel(family=family, positions=40))
    convert(model, tmp_path / "out", verify=False, int8=False)
    artifact = Artifact.open(tmp_path / "out")
    spec = artifact.manifest.tower.tokenizer
    assert spec.max_tokens == {"bert": 40, "mpnet": 38}[family]
    with Encoder.load(artifact, variant=variant, threads=1) as encoder:
        assert encoder.encode("a " * 100).shape == (32,)
    longer = with_tower(artifact.manifest, tokenizer=dataclasses.replace(spec, max_tokens=spec.max_tokens + 1))
    with pytest.raises(ArtifactError, match=rf"max_tokens is {spec.max_tokens + 1}, .* for {spec.max_tokens}\."):
        Encoder.load(Artifact(artifact.path, longer), variant=variant, threads=1)
