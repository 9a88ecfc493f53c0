"""The code in the READMEs runs, its numbers are the recorded ones, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx.cli import main
from stonnx.testing import TinyModel, make_tiny_model
from tests.originals import make_reranker

REPOSITORY = Path(__file__).resolve().parents[2]
READMES = ["README.md", "README.zh-CN.md"]
DOCUMENTS = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in REPOSITORY.glob(pattern)
)


def whole(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(name, language, after=""):
    """The code blocks of a language, those after a heading alone where one is named."""
    text = whole(name).partition(after)[2] if after else whole(name)
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder in which the README's hub id is a tiny model on disk."""
    make_tiny_model(tmp_path / "moka-ai" / "m3e-base", TinyModel())
    make_reranker(tmp_path / "BAAI" / "bge-reranker-base", "bert")
    (tmp_path / "my-texts.txt").write_text("one text\nanother, longer text\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.reference
@pytest.mark.slow
def test_readmes_run(workplace, capsys):
    """Every stonnx command, then the Python code, on a tiny model; both READMEs have the same (see below)."""
    name = READMES[0]
    lines = [line for block in blocks(name, "sh", "## Use it\n") for line in block.splitlines()]
    lines = [line for line in lines if line.startswith("stonnx ")]
    assert [
        shlex.split(line)[1] for line in lines
    ] == "convert info encode verify tune convert quantize bench convert rerank".split()
    quick = {"bench": ["--quick"], "tune": ["--seconds", "0.5"]}
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        assert main([*words, *quick.get(words[0], [])]) == 0, line
    scope = {}
    for code in blocks(name, "python"):
        exec(compile(code, name, "exec"), scope)  # noqa: S102 - the point of the test
    assert scope["vectors"].shape == (1, 32)
    assert scope["scores"].shape == (2,)
    assert [set(found) for found in scope["best"]] == [{"corpus_id", "score"}]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [target for target in targets if not ((REPOSITORY / name).parent / target).exists()]
    assert not missing


def test_readmes_show_recorded_results():
    command = [sys.executable, "scripts/results_table.py", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readmes_are_kept_in_step():
    """The same sections, commands and code in both languages; only the words differ."""
    english, chinese = (
        [re.sub(r"#.*", "", block) for language in ("sh", "python") for block in blocks(name, language)]
        for name in READMES
    )
    assert english == chinese
    headings = [len(re.findall(r"^## ", (REPOSITORY / name).read_text(encoding="utf-8"), re.M)) for name in READMES]
    assert headings[0] == headings[1]


def test_the_tests_that_the_security_page_names_exist():
    text = (REPOSITORY / "docs/security.md").read_text(encoding="utf-8")
    named, path = [], ""
    for file, function in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", text):
        path = file or path
        if file or function:
            named.append((path, function))
    assert len(named) > 15
    for path, function in named:
        assert f"def {function}" in (REPOSITORY / path).read_text(encoding="utf-8"), (path, function)
