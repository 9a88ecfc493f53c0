"""What the original gave is found again where everything that decides it is the same, and nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from stonnx._caches import cache_folder
from stonnx.artifact import Artifact, Goldens, PairGoldens
from stonnx.compile import convert
from stonnx.reference import PositionCut, ReferenceEncoder, ReferenceReranker
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.verify import BareFolder, LabelledPair, original, original_facts, remembered, run_original, verify
from stonnx.verify.remembered import Remembered, recall, remember
from tests.originals import make_reranker

TEXTS = ("hello", "\ud800 half of a pair", "")
PAIRS = (("hello", "the world"), ("", "and"))
VERSIONS = {"torch": "2.9", "transformers": "5.1", "sentence-transformers": "6.0", "stonnx": "0.1"}


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    """Versions of libraries that need not be installed."""
    found = dict(VERSIONS)
    monkeypatch.setattr(original_facts, "installed_versions", lambda names: {n: found[n] for n in names if n in found})
    return found


@pytest.fixture
def source(tmp_path):
    return make_tiny_model(tmp_path / "model")


def facts_of(source, probes=TEXTS, kind="embedding"):
    return original_facts.original_facts(source, kind=kind, probes=probes)


def vectors(rows=3, width=5, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def result():
    goldens = Goldens(texts=TEXTS, vectors=vectors(), reference={"torch": "2.9", "dtype": "float32"})
    bare = BareFolder(ignored=("1_Pooling/config.json",), cosine_mean=0.4, cosine_min=0.1)
    return Remembered(goldens=goldens, bare_folder=bare, position_cut=PositionCut(files_tokens=514, positions=512))


def kept_files():
    return sorted(cache_folder("originals").glob("*"))


def test_vectors_come_back_as_they_were(source):
    assert recall(facts_of(source)) is None
    remember(facts_of(source), result())
    found = recall(facts_of(source))
    assert found.goldens.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.goldens.vectors, vectors())
    assert (found.goldens.texts, found.goldens.reference) == (TEXTS, result().goldens.reference)
    assert (found.bare_folder, found.position_cut) == (result().bare_folder, result().position_cut)
    assert found.ran_at.endswith("+00:00")


def test_scores_come_back_as_they_were(source):
    goldens = PairGoldens(PAIRS, vectors(2, 3), vectors(2, 3, seed=1), {"torch": "2.9"})
    remember(facts_of(source, PAIRS, "reranker"), Remembered(goldens=goldens, bare_folder=None, position_cut=None))
    found = recall(facts_of(source, PAIRS, "reranker"))
    np.testing.assert_array_equal(found.goldens.scores, goldens.scores)
    np.testing.assert_array_equal(found.goldens.logits, goldens.logits)
    assert found.goldens.pairs == PAIRS


def another_byte(source):
    weights = source / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        another_byte,
        lambda source: (source / "config.json").write_text((source / "config.json").read_text() + "\n"),
        lambda source: (source / "1_Pooling" / "config.json").write_text("{}"),
        lambda source: (source / "tokenizer.json").unlink(),
        lambda source: (source / "new.json").write_text("{}"),
    ],
    ids=["weights", "config", "module", "a file less", "a file more"],
)
def test_another_model_is_not_found(source, change):
    remember(facts_of(source), result())
    change(source)
    assert recall(facts_of(source)) is None


def test_a_module_behind_a_link_counts(source, tmp_path):
    (source / "1_Pooling").rename(tmp_path / "elsewhere")
    (source / "1_Pooling").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    remember(facts_of(source), result())
    (tmp_path / "elsewhere" / "config.json").write_text("{}")
    assert recall(facts_of(source)) is None


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tf_model.h5", ".git/HEAD"])
def test_what_torch_does_not_read_does_not_count(source, name):
    remember(facts_of(source), result())
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_text("for others")
    assert recall(facts_of(source)) is not None


def test_the_same_model_elsewhere_is_found(source, tmp_path):
    remember(facts_of(source), result())
    source.rename(tmp_path / "moved")
    assert recall(facts_of(tmp_path / "moved")) is not None
    assert str(tmp_path) not in kept_files()[0].read_text()


@pytest.mark.parametrize("library", VERSIONS)
def test_other_libraries_give_other_results(source, versions, library):
    remember(facts_of(source), result())
    versions[library] += ".1"
    assert recall(facts_of(source)) is None


@pytest.mark.parametrize("name", ["cpu_name", "cpu_features", "usable_cores"])
def test_another_machine_gives_other_results(source, monkeypatch, name):
    remember(facts_of(source), result())
    monkeypatch.setattr(original_facts, name, lambda: ["another"])
    assert recall(facts_of(source)) is None


def test_other_settings_of_torch_give_other_results(source, monkeypatch):
    remember(facts_of(source), result())
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert recall(facts_of(source)) is None


def test_other_probes_are_not_found(source):
    remember(facts_of(source), result())
    assert recall(facts_of(source, (*TEXTS[:2], "other"))) is None


@pytest.mark.parametrize("library", ["torch", "transformers", "sentence-transformers"])
def test_without_the_original_nothing_is_known(source, versions, library):
    del versions[library]
    assert facts_of(source) is None


def test_what_cannot_be_known_for_sure_is_not_remembered(tmp_path, monkeypatch, source):
    assert facts_of("org/model") is None
    monkeypatch.setattr(original_facts, "_MOST_FILES", 3)
    assert facts_of(source) is None


def test_a_model_that_changes_while_it_runs_is_not_remembered(source):
    facts = facts_of(source)
    another_byte(source)
    remember(facts, result())
    assert kept_files() == []


def damage(path, **other):
    path.write_text(json.dumps(json.loads(path.read_text()) | other))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text("{}"),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"ran_at": "2', b'"ran_at": "3')),
        lambda path: damage(path, format=2),
        lambda path: damage(path, facts={}),
        lambda path: damage(path, sha256="0" * 64),
        lambda path: damage(path, arrays={"vectors": "AAAA"}),
    ],
)
def test_a_damaged_file_is_ignored(source, spoil, caplog):
    remember(facts_of(source), result())
    spoil(kept_files()[0])
    assert recall(facts_of(source)) is None
    assert "is ignored" in caplog.text


def test_a_file_under_the_name_of_another_is_ignored(source):
    remember(facts_of(source), result())
    other = facts_of(source, (*TEXTS[:2], "other"))
    kept_files()[0].rename(cache_folder("originals") / f"{other.key}.json")
    assert recall(other) is None


def test_those_that_were_unused_for_longest_are_forgotten(source, monkeypatch):
    monkeypatch.setattr(remembered, "_MOST_MODELS", 2)
    several = [facts_of(source, (*TEXTS[:2], str(number))) for number in range(3)]
    for number, facts in enumerate(several[:2]):
        remember(facts, result())
        os.utime(cache_folder("originals") / f"{facts.key}.json", (number, number))
    assert recall(several[0]) is not None
    remember(several[2], result())
    assert [recall(facts) is not None for facts in several] == [True, False, True]


def test_a_cache_that_cannot_be_written_is_none(source, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember(facts_of(source), result())
    assert recall(facts_of(source)) is None


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("x") == Path("/home/me/.cache/stonnx/x")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder("x") == Path("/cache/stonnx/x")


class TestWithTheOriginal:
    """From end to end, with torch."""

    pytestmark = pytest.mark.reference

    @pytest.fixture
    def torch_stops(self, monkeypatch):
        """A function after which the original cannot run any more."""

        def stop():
            def load(*_, **__):
                raise AssertionError("the original was run")

            monkeypatch.setattr(ReferenceEncoder, "load", load)
            monkeypatch.setattr(ReferenceReranker, "load", load)

        return stop

    def test_a_second_conversion_gives_the_same_without_torch(self, source, tmp_path, torch_stops):
        first = convert(source, tmp_path / "one", int8=False)
        assert first.report.remembered_from is None
        torch_stops()
        second = convert(source, tmp_path / "two", int8=False)
        assert second.report.remembered_from is not None
        assert second.manifest.verified
        for name in ("golden.json", "golden.safetensors"):
            assert (second.path / name).read_bytes() == (first.path / name).read_bytes()
        written = json.loads((second.path / "report.json").read_text())
        assert written["remembered_from"] == second.report.remembered_from

    def test_verify_against_the_original(self, source, tmp_path, torch_stops):
        done = convert(source, tmp_path / "out", int8=False)
        torch_stops()
        report = verify(done.path, against=source)
        assert (report.passed, report.compared_with) == (True, "original")
        assert report.remembered_from is not None
        for more in ({"fresh": True}, {"texts": ["mine"]}, {"pairs": [LabelledPair("a", "b", 1.0)] * 2}):
            with pytest.raises(AssertionError, match="was run"):
                verify(done.path, against=source, **more)

    def test_a_users_texts_are_not_kept(self, source, tmp_path):
        done = convert(source, tmp_path / "out", verify=False, int8=False)
        verify(done.path, against=source, texts=["mine alone"])
        assert kept_files() == []

    def test_a_changed_artifact_still_fails(self, source, tmp_path, torch_stops):
        """What is remembered is the original's, whatever the artifact gives."""
        run_original(source, kind="embedding")
        other = convert(
            make_tiny_model(tmp_path / "other", TinyModel(seed=1)), tmp_path / "out", verify=False, int8=False
        )
        torch_stops()
        report = verify(Artifact.open(other.path), against=source)
        assert report.remembered_from is not None
        assert not report.passed

    def test_rerankers(self, tmp_path, monkeypatch, torch_stops):
        monkeypatch.setattr(original, "probe_pairs", lambda: PAIRS)
        folder = make_reranker(tmp_path / "reranker", "bert")
        first = run_original(folder, kind="reranker")
        torch_stops()
        steps = []
        second = run_original(folder, kind="reranker", on_step=steps.append)
        np.testing.assert_array_equal(first.goldens.logits, second.goldens.logits)
        np.testing.assert_array_equal(first.goldens.scores, second.goldens.scores)
        assert (first.remembered_from, second.reranker) == (None, None)
        assert second.remembered_from is not None
        assert steps == ["the original model's results are remembered"]
