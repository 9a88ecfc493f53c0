"""What a conversion refuses before an artifact appears."""

from __future__ import annotations

import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stonnx.cli import main
from stonnx.compile import convert
from stonnx.errors import CheckpointError


@pytest.mark.parametrize("options", [[], ["--no-verify"], ["--no-verify", "--int8"]])
def test_weights_that_are_not_numbers_are_refused_by_the_name_of_their_tensor(source, tmp_path, capsys, options):
    tensors = {name: array.copy() for name, array in load_file(source / "model.safetensors").items()}
    tensors["encoder.layer.1.output.dense.weight"][3, 5] = np.nan
    save_file(tensors, source / "model.safetensors")
    assert main(["convert", str(source), str(tmp_path / "out"), *options]) == 3
    assert "encoder.layer.1.output.dense.weight is not finite (NaN or infinite) at 1 of " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_empty_vocabulary_is_no_internal_error(source, tmp_path, capsys):
    (source / "tokenizer.json").unlink()
    (source / "vocab.txt").write_text("", encoding="utf-8")
    assert main(["convert", str(source), str(tmp_path / "out"), "--no-verify"]) == 3
    assert "empty vocabulary" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_place_of_the_model_card_is_refused(source, tmp_path):
    os.mkfifo(source / "README.md")
    with pytest.raises(CheckpointError, match=r"README\.md is not a regular file"):
        convert(source, tmp_path / "out", verify=False, int8=False)
