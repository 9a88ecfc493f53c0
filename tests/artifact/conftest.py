"""The tiny artifact of ``valid/``, copied for a test to damage, and a stand-in for ``Encoder.load``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stonnx.artifact import Artifact, Manifest, check_graphs

HERE = Path(__file__).parent


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    """A copy of the valid artifact."""
    return Path(shutil.copytree(HERE / "valid", tmp_path / "artifact"))


@pytest.fixture
def manifest() -> Manifest:
    return Artifact.open(HERE / "valid").manifest


@pytest.fixture
def load() -> Callable[[Path], Artifact]:
    """What ``Encoder.load`` and ``verify`` do on the artifact's side."""

    def load(folder: Path) -> Artifact:
        artifact = Artifact.open(folder)
        for variant in artifact.manifest.variants:
            artifact.check_files([*variant.files, artifact.manifest.tower.tokenizer.file])
            check_graphs(artifact, variant)
        artifact.goldens()
        return artifact

    return load
