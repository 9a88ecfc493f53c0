"""What a user may call a model that is no folder: hub ids, pages of the hub, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from stonnx._sources import hub_model
from stonnx.checkpoint import resolve_source
from stonnx.errors import CheckpointError, UsageError
from stonnx.reference import ReferenceEncoder


@pytest.mark.parametrize(
    ("source", "hub_id"),
    [
        ("org/name", "org/name"),
        ("org/name@v1.0", "org/name@v1.0"),
        ("https://huggingface.co/org/name", "org/name"),
        ("https://huggingface.co/org/name/", "org/name"),
        ("http://www.huggingface.co/org/name?library=x#usage", "org/name"),
        ("https://hf.co/org/name/tree/main", "org/name@main"),
        ("https://huggingface.co/org/name/tree/main/onnx", "org/name@main"),
        ("https://huggingface.co/org/name/blob/0123abc/config.json", "org/name@0123abc"),
        ("https://huggingface.co/org/name/tree/refs/pr/3/onnx", "org/name@refs/pr/3"),
        ("https://huggingface.co/org/name@v1.0", "org/name@v1.0"),
        ("huggingface.co/org/name", "org/name"),
    ],
)
def test_the_hub(source, hub_id):
    assert str(hub_model(source)) == hub_id


@pytest.mark.parametrize(
    "source",
    [
        "https://huggingface.co/datasets/org/name",
        "https://huggingface.co/spaces/org",
        "https://huggingface.co/org/name/discussions/3",
        "https://huggingface.co/name",
        "https://example.org/org/name",
        "s3://bucket/name",
        "file:///models/name",
    ],
)
def test_another_address_is_called_one(source):
    with pytest.raises(UsageError, match="is an address, not a folder or a hub id") as caught:
        hub_model(source)
    assert source in caught.value.message


def test_a_page_of_the_hub_is_downloaded_and_named_by_its_id(tmp_path, monkeypatch):
    asked = []
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")

    def download(repo, revision):
        asked.append((repo, revision))
        return tmp_path, "0123"

    monkeypatch.setattr("stonnx.checkpoint.source.download", download)
    source = resolve_source("https://huggingface.co/org/name/tree/main")
    assert asked == [("org/name", "main")]
    assert (source.name, source.revision) == ("org/name@main", "0123")


@pytest.mark.parametrize("resolve", [resolve_source, ReferenceEncoder.load])
def test_both_sides_say_the_same(resolve):
    with pytest.raises(CheckpointError, match=r"^The folder /no/such/folder does not exist\."):
        resolve("/no/such/folder")
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve(Path("org/name"))
    with pytest.raises(UsageError, match="is an address"):
        resolve("https://example.org/org/name")
