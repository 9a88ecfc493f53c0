"""``stonnx rerank``, on a real artifact of a few kilobytes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx import Reranker
from stonnx.cli import main
from tests.manifests import embedding_manifest
from tests.rerankers import write_reranker

pytest.importorskip("onnxruntime")

QUERY = "hello world"
DOCUMENTS = ["of and", "hello", "world to in", "x y"]


@pytest.fixture(autouse=True)
def reranker():
    """A folder ``R`` in the working directory."""
    return write_reranker(Path("R"))


@pytest.fixture
def ranking(reranker):
    with Reranker.load(reranker, threads=1) as loaded:
        return loaded.rank(QUERY, DOCUMENTS, return_documents=True)


def piped(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii"))


def test_prompts_reach_the_reranker(reranker, capsys):
    with Reranker.load(reranker, threads=1) as loaded:
        prompted = loaded.rank(QUERY, DOCUMENTS, prompt="on ", return_documents=True)
        assert prompted != loaded.rank(QUERY, DOCUMENTS, return_documents=True)
    for option in (["--prompt", "on "], ["--prompt-name", "on"]):
        assert main(["rerank", "R", QUERY, *DOCUMENTS, *option, "--json", "--threads", "1"]) == 0
        assert json.loads(capsys.readouterr().out) == prompted
    assert main(["rerank", "R", QUERY, "x", "--prompt-name", "off"]) == 2
    assert "hint: Give the prompt's text with --prompt." in capsys.readouterr().err


def test_only_the_query_is_required(capsys):
    assert main(["rerank", "R"]) == 2
    assert "required: QUERY." in capsys.readouterr().err


def test_a_classifier_of_several_labels_is_sent_to_python(capsys):
    write_reranker(Path("several"), labels=3)
    assert main(["rerank", "several", QUERY, *DOCUMENTS]) == 2
    err = capsys.readouterr().err
    assert "one label" in err
    assert "hint: In Python, Reranker.predict" in err


def test_the_name_of_a_model_on_the_hub_is_no_artifact(capsys):
    assert main(["rerank", "BAAI/bge-reranker-base", QUERY, *DOCUMENTS]) == 3
    assert "hint: stonnx convert BAAI/bge-reranker-base OUT" in capsys.readouterr().err
    Path("models").mkdir()  # a path with a slip of the pen
    assert main(["rerank", "models/bge-reranker-base", QUERY, *DOCUMENTS]) == 3
    assert "hint: stonnx convert SOURCE OUT" in capsys.readouterr().err


def test_json_is_the_ranking(ranking, capsys):
    assert main(["rerank", "R", QUERY, *DOCUMENTS, "--json", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == ranking
    assert err == ""


def test_options_reach_the_reranker(ranking, capsys):
    options = ["--top-k", "2", "--variant", "portable", "--batch-tokens", "20", "--threads", "1"]
    assert main(["rerank", "R", QUERY, *DOCUMENTS, "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["corpus_id"] for row in found] == [row["corpus_id"] for row in ranking][:2]
    assert found[0]["score"] == pytest.approx(ranking[0]["score"], abs=1e-6)
    assert main(["rerank", "R", QUERY, "x", "--variant", "int8"]) == 2
    assert "fp32" in capsys.readouterr().err


def test_threads_and_batches_are_those_that_were_asked_for(monkeypatch):
    loaded = []
    rank = Reranker.rank
    monkeypatch.setattr(Reranker, "rank", lambda self, *args, **more: loaded.append(self) or rank(self, *args, **more))
    assert main(["rerank", "R", QUERY, *DOCUMENTS, "--json", "--batch-tokens", "20", "--threads", "3"]) == 0
    (reranker,) = loaded
    assert (reranker.threads, reranker.batch_tokens) == (3, 20)


def test_a_person_sees_ranks_scores_and_shortened_documents(ranking, capsys):
    long = "a very long document \x1b[31m " * 10
    assert main(["rerank", "R", QUERY, *DOCUMENTS, long, "--quiet"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out
    assert "…" in out
    places = [re.match(r"\s*(\d+)  (.*?)\s+(\d\.\d{4})$", line) for line in lines]
    rows = [place.groups() for place in places if place]
    assert [int(rank) for rank, _, _ in rows] == [1, 2, 3, 4, 5]
    scores = [float(score) for _, _, score in rows]
    assert scores == sorted(scores, reverse=True)
    shown = [text for _, text, _ in rows if not text.startswith("a very")]
    assert shown == [row["text"] for row in ranking]


def test_what_is_left_out_is_said(capsys):
    assert main(["rerank", "R", QUERY, *DOCUMENTS, "--top-k", "1"]) == 0
    assert "3 documents below these" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["d.txt", "d.jsonl", "d.dat"])
def test_documents_from_a_file(ranking, capsys, name):
    lines = (
        [json.dumps({"text": text}) for text in DOCUMENTS] if name != "d.txt" else [DOCUMENTS[0], "", *DOCUMENTS[1:]]
    )
    Path(name).write_text("\n".join(lines), encoding="utf-8")
    flags = ["--jsonl"] if name == "d.dat" else []
    assert main(["rerank", "R", QUERY, "--documents", name, *flags, "--json", "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out) == ranking


def test_documents_from_stdin(ranking, capsys, monkeypatch):
    for arguments in ([], ["--documents", "-"]):
        piped(monkeypatch, "\n".join(DOCUMENTS))
        assert main(["rerank", "R", QUERY, *arguments, "--json", "--threads", "1"]) == 0
        assert json.loads(capsys.readouterr().out) == ranking


def test_no_documents(capsys, monkeypatch):
    piped(monkeypatch, "")
    assert main(["rerank", "R", QUERY]) == 0
    assert "No documents, no ranking." in capsys.readouterr().out
    piped(monkeypatch, "")
    assert main(["rerank", "R", QUERY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_truncated_pairs_are_told(capsys):
    assert main(["rerank", "R", QUERY, "of and " * 50, "x"]) == 0
    assert capsys.readouterr().err == "note: 1 pair cut to the model's 16 tokens\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["R"], "required: QUERY"),
        (["R", QUERY, "x", "--documents", "f.txt"], "Documents were given twice, on the command line and with --doc"),
        (["R", QUERY, "x", "--jsonl"], "--jsonl says how to read --documents or stdin"),
        (["R", QUERY, "--documents", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["R", QUERY, "x", "--top-k", "0"], "at least 1"),
    ],
)
def test_mistakes(capsys, arguments, message):
    assert main(["rerank", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in " ".join(err.split())


def test_nobody_gives_a_document(capsys, monkeypatch):
    keyboard = io.StringIO()
    keyboard.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", keyboard)
    assert main(["rerank", "R", QUERY]) == 2
    err = capsys.readouterr().err
    assert "There are no documents." in err
    assert 'hint: stonnx rerank R "a query" "a document", or --documents FILE, or a pipe' in err


def test_a_missing_artifact(capsys):
    assert main(["rerank", "nowhere", QUERY, "x"]) == 3
    assert "nowhere" in capsys.readouterr().err


def test_each_verb_names_the_other(capsys, monkeypatch, reranker):
    assert main(["encode", "R", "a text"]) == 2
    assert "hint: stonnx rerank " in capsys.readouterr().err
    manifest = reranker.manifest
    embedding = embedding_manifest(dimension=4, tokenizer=manifest.tower.tokenizer, variants=manifest.variants)
    monkeypatch.setattr("stonnx.artifact.Artifact.open", lambda path: type(reranker)(reranker.path, embedding))
    assert main(["rerank", "R", QUERY, "x"]) == 2
    err = capsys.readouterr().err
    assert "Reranker runs a reranker" in " ".join(err.split())
    assert "hint: stonnx encode " in err


def test_several_labels_give_no_ranking(capsys):
    write_reranker(Path("many"), labels=3)
    assert main(["rerank", "many", QUERY, "x"]) == 2
    assert "needs a model with one label" in capsys.readouterr().err


def test_not_a_number_is_an_error(capsys, monkeypatch):
    broken = [{"corpus_id": 0, "score": float("nan"), "text": "x"}]
    monkeypatch.setattr(Reranker, "rank", lambda *args, **options: broken)
    assert main(["rerank", "R", QUERY, "x", "--json"]) == 6
    assert capsys.readouterr().out == ""


def test_an_interruption(capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Reranker, "rank", interrupted)
    assert main(["rerank", "R", QUERY, "x"]) == 130


@pytest.mark.slow  # a process
def test_a_reader_that_has_gone_away():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed_pipe:
        command = [sys.executable, "-m", "stonnx", "rerank", "R", QUERY, "x", "--json"]
        done = subprocess.run(command, stdout=closed_pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")
