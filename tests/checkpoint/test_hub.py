from __future__ import annotations

import errno
import json

import pytest

from stonnx.checkpoint import hub, resolve_source
from stonnx.errors import RunError

huggingface_hub = pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Response:
    """As much of an HTTP response as the errors of huggingface_hub look at."""

    def __init__(self, status: int) -> None:
        self.status_code = status
        self.headers: dict[str, str] = {}
        self.request = None


@pytest.fixture
def calls(monkeypatch):
    """What snapshot_download was asked for; it answers with ``calls.answer``."""

    class Calls(list):
        answer: object = None

    record = Calls()

    def snapshot_download(repo, *, revision, allow_patterns, ignore_patterns):
        record.append((repo, revision, allow_patterns))
        if isinstance(record.answer, Exception):
            raise record.answer
        return str(record.answer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return record


@pytest.fixture
def snapshot(tiny, tmp_path):
    """A model that lies where a snapshot would."""
    folder = tmp_path / "hub" / "models--org--name" / "snapshots" / COMMIT
    folder.parent.mkdir(parents=True)
    tiny().rename(folder)
    return folder


def test_a_hub_id_is_downloaded_at_its_revision(calls, snapshot):
    calls.answer = snapshot
    source = resolve_source("org/name@v1.5")
    assert (source.path, source.name, source.revision) == (snapshot, "org/name@v1.5", COMMIT)
    assert [(repo, revision) for repo, revision, _ in calls] == [("org/name", "v1.5")]


def test_nothing_but_data_is_downloaded(calls, snapshot):
    calls.answer = snapshot
    resolve_source("org/name")
    patterns = [pattern for _, _, allowed in calls for pattern in allowed]
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in patterns)


def test_pickled_weights_are_fetched_only_where_safetensors_are_missing(calls, snapshot):
    (snapshot / "model.safetensors").unlink()
    modules = json.loads((snapshot / "modules.json").read_text(encoding="utf-8"))
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (snapshot / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (snapshot / "3_Dense").mkdir()
    (snapshot / "3_Dense" / "model.safetensors").touch()
    calls.answer = snapshot
    hub.download("org/name", None)
    assert calls[1] == ("org/name", COMMIT, ["pytorch_model*.bin"])


def _http(kind, status):
    return getattr(huggingface_hub.errors, kind)("no", response=_Response(status))


@pytest.mark.parametrize(
    ("failure", "message", "hint"),
    [
        (lambda: _http("RepositoryNotFoundError", 404), "neither a folder here nor a repository", "folder"),
        (lambda: _http("GatedRepoError", 403), "gated", "hf auth login"),
        (lambda: _http("RevisionNotFoundError", 404), "no revision 'v9'", "branch"),
        (lambda: _http("HfHubHTTPError", 401), "that you may read", "hf auth login"),
        (lambda: _http("HfHubHTTPError", 503), "cannot be downloaded", "pass its folder"),
        (lambda: huggingface_hub.errors.LocalEntryNotFoundError("offline"), "cannot be downloaded", "pass its folder"),
        (lambda: huggingface_hub.errors.OfflineModeIsEnabled("off"), "cannot be downloaded", "HF_HUB_OFFLINE"),
        (
            lambda: huggingface_hub.errors.HFValidationError("bad id"),
            "cannot be downloaded from the Hugging Face hub: bad id",
            "folder",
        ),
        (lambda: ConnectionError("down"), "cannot be downloaded from the Hugging Face hub: down", "pass its folder"),
        (lambda: OSError(errno.ENOSPC, "full"), "disk is full", "HF_HOME"),
    ],
)
def test_failures_say_what_to_do(calls, failure, message, hint):
    calls.answer = failure()
    with pytest.raises(RunError, match=message) as caught:
        resolve_source("org/name@v9")
    assert hint in (caught.value.hint or "")


def test_offline_the_real_client_fails_clearly(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RunError, match="cannot be downloaded") as caught:
        resolve_source("org/name")
    assert "pass its folder" in (caught.value.hint or "")


def test_the_model_card_and_the_licence_are_downloaded(calls, snapshot):
    calls.answer = snapshot
    resolve_source("org/name")
    there = ["README.md", "LICENSE", "NOTICE", "config.json", "chat_template.jinja", "merges.txt"]
    _, _, allowed = calls[0]
    others = ["1_Pooling/README.md", "onnx/README.md", "train.py"]
    files = [*there, *others]
    found = list(huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allowed, ignore_patterns=hub._IGNORED))
    assert found == there
