from __future__ import annotations

from typing import Any

import pytest
from peers.conductor import without_paths
from peers.labels import Box, place
from peers.recorded import Recorded
from peers.tables import page


def side(key: str, ratio: float, cosine: float, name: str | None) -> dict[str, Any]:
    speed = {"texts_per_second": 40 * ratio, "ratio": ratio, "ratio_low": ratio, "ratio_high": ratio, "turns": 4.0}
    return {
        "key": key,
        "title": key,
        "note": "",
        "error": None,
        "versions": {"torch": "2.13.0+cpu"},
        "start": {"process_seconds": 1.0},
        "memory": {"peak_rss_bytes": 5e8},
        "mix": speed,
        "lengths": {"16": speed},
        "latency": {"p50_ms": 1.0, "p99_ms": 2.0, "ratio": ratio},
        "fidelity": {"cosine_mean": cosine, "cosine_min": cosine, "top10_overlap": 1.0, "class": name},
    }


@pytest.fixture
def found() -> Recorded:
    sides = [
        side("st-torch", 1.0, 1.0, "lossless"),
        side("stonnx-fp32", 1.6, 1 - 1e-9, "lossless"),
        side("cheap", 3.0, 0.8699999, None),
        {"key": "broken", "title": "broken", "error": "no | such thing"},
    ]
    results = {
        "model": "m",
        "corpus": "c.jsonl",
        "texts": 2000,
        "tokens": {"mean": 38.4, "max": 256},
        "max_tokens": 256,
        "threads": 2,
        "sides": sides,
        "left_out": {"other": "for a reason"},
    }
    machine = {"cpu": "X", "instruction_sets": ["avx2"], "usable_cores": 2, "os": "Linux 6-x"}
    return Recorded(slug="peers-m-x", command="python run.py", date="2026-11-23", machine=machine, results=results)


def test_page_tells_speed_fidelity_and_who_failed(found: Recorded) -> None:
    text = page([found], plots=lambda _: ["img/a.svg", "img/b.svg"])
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith(("| st-torch", "| **stonnx-fp32**", "| cheap"))]
    assert rows[0].startswith("| cheap | 120.0 | 3.00 (3.00 – 3.00) | below | 0.86999")
    assert rows[1].startswith("| **stonnx-fp32** | 64.0 | 1.60 (1.60 – 1.60) | lossless | 1 |")
    assert "| broken | no / such thing |" in lines
    assert "| other | for a reason |" in lines
    assert "python run.py" in lines
    assert "no int8 dot products" in text
    assert "(img/a.svg)" in text


def test_a_machine_with_everything_is_not_excused(found: Recorded) -> None:
    found.machine["instruction_sets"] = ["avx2", "avx512_vnni", "avx512_bf16"]
    assert "This processor has no" not in page([found], plots=lambda _: ["a", "b"])


def test_page_without_results() -> None:
    assert "No results" in page([], plots=lambda _: [])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("OSError: no file /home/me/models/x/model.onnx here", "OSError: no file model.onnx here"),
        ("see https://example.org/a/b for more", "see (address) for more"),
        ("Pool(host='files.example.org', port=443): retries", "Pool(host='(address)', port=443): retries"),
        ("3/4 of and/or", "3/4 of and/or"),
    ],
)
def test_errors_lose_folders_and_addresses(given: str, wanted: str) -> None:
    assert without_paths(given) == wanted


def test_names_lie_on_nothing() -> None:
    points = [(100.0 + 3 * number, 100.0) for number in range(8)]
    boxes = place(points, [(60.0, 12.0)] * 8, Box(0, 0, 600, 400), [Box(100, 110, 200, 140)])
    markers = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in [*boxes[:number], *markers, Box(100, 110, 200, 140)])
