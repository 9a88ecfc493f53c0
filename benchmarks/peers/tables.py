"""The Markdown of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from peers.recorded import Recorded, class_of, is_ours

__all__ = ["page"]

_HEAD = """# Benchmarks

stonnx and the other ways to run a Sentence Transformers model on a CPU. Written by `benchmarks/peers/page.py` from
[`benchmarks/results/`](../benchmarks/results/); each table names its machine and its command.

How it is measured: each side runs in its own process and its own environment, and is loaded once. All get the same
texts and the same number of threads; each library keeps its other defaults. The sides take turns on slices of the
texts. The others are stopped meanwhile: one works at a time, and a busy moment of the machine hurts all alike.
*×* is the speed of sentence-transformers on torch in float32, **the original**, taken as 1: the median over the turns,
with the lowest and the highest turn in brackets. On a shared machine read the ratios, not the absolute numbers.

Fidelity is measured on the same texts as the speed, against the original's vectors, and stands next to every speed.
The classes: *lossless* (mean cosine ≥ 0.9999, top-10 overlap ≥ 0.99), *high* (mean ≥ 0.999, lowest ≥ 0.99, overlap
≥ 0.97), *balanced* (mean ≥ 0.997, lowest ≥ 0.97, overlap ≥ 0.95), *below* all of these.
The overlap is the share of a text's ten nearest neighbours among these texts that the original finds as well; a text
that it finds as near as its own tenth counts ([why](decisions/0008-certain-classes.md)).
"""

_SINGLE = (
    "One text of about a sentence; a fresh process from its start to its first vector; resident memory at its highest, "
    "after loading and the mix:"
)

_LENGTHS = (
    "Texts of one length, texts/s and ×. What is longer than a side's limit is cut, by some at a lower limit than the "
    "model's, which makes them look fast:"
)

_SETS = {
    "int8 dot products (AVX-512 VNNI, AVX-VNNI, AMX, or Arm's)": (
        "avx512_vnni",
        "avx_vnni",
        "amx_int8",
        "asimddp",
        "i8mm",
    ),
    "bf16 arithmetic (AVX-512 BF16, AMX, or Arm's)": ("avx512_bf16", "amx_bf16", "bf16"),
}


def page(recorded: Sequence[Recorded], plots: Callable[[Recorded], list[str]]) -> str:
    """The whole page.

    Args:
        recorded: Results in the order of the page.
        plots: The paths of a result's two plots, relative to the page.
    """
    sections = [_section(found, plots(found)) for found in recorded] or ["No results are recorded yet.\n"]
    return "\n".join([_HEAD, *sections])


def _section(found: Recorded, images: Sequence[str]) -> str:
    results, title = found.results, found.results["model"]
    cpu = found.machine["cpu"]
    tokens = results["tokens"]
    about = f"{results['texts']:,} texts of `{results['corpus']}`, {tokens['mean']:.0f} tokens on average, "
    about += f"{tokens['max']:.0f} at most (the model's limit is {results['max_tokens']}). {_machine(found)}"
    lines = [
        f"## {title}, {cpu}",
        "",
        about,
        "",
        "```sh",
        found.command,
        "```",
        "",
        *_main_table(found),
        "",
        f"![Speed against fidelity, {title}, {cpu}]({images[0]})",
        "",
        _SINGLE,
        "",
        *_single_table(found),
        "",
        _LENGTHS,
        "",
        *_length_table(found),
        "",
        f"![Speed by length of the text, {title}, {cpu}]({images[1]})",
        "",
        *_notes(found),
    ]
    return "\n".join(lines)


def _machine(found: Recorded) -> str:
    machine = found.machine
    sets = machine["instruction_sets"]
    text = (
        f"Machine: {machine['cpu']} ({', '.join(sets) or 'instruction sets unknown'}), {_threads(found)}, "
        f"{machine['os'].partition('-')[0]}; {found.date}."
    )
    lacking = [name for name, members in _SETS.items() if sets and not set(members) & set(sets)]
    if lacking:
        text += f" **This processor has no {' and no '.join(lacking)}**: no side, stonnx's included, can gain "
        text += "in its matrix products here what it gains on a processor that has them."
    return text


def _threads(found: Recorded) -> str:
    """Threads and cores in words."""
    return f"{found.results['threads']} threads on {found.machine['usable_cores']} usable cores"


def _main_table(found: Recorded) -> list[str]:
    with_sts = any("sts_spearman" in side for side in found.measured)
    head = ["", "texts/s", "×", "class", "cosine mean", "lowest", "top-10 overlap"]
    lines = _head([*head, "STS-B ρ"] if with_sts else head)
    for side in found.measured:
        fidelity, mix = side["fidelity"], side["mix"]
        cells = [
            _name(side),
            f"{mix['texts_per_second']:.1f}",
            f"{mix['ratio']:.2f} ({mix['ratio_low']:.2f} – {mix['ratio_high']:.2f})",
            class_of(side),
            _cosine(fidelity["cosine_mean"]),
            _cosine(fidelity["cosine_min"]),
            f"{fidelity['top10_overlap']:.3f}",
        ]
        if with_sts:
            cells.append(f"{side['sts_spearman'] * 100:.2f}" if "sts_spearman" in side else "–")
        lines.append(_row(cells))
    return lines


def _single_table(found: Recorded) -> list[str]:
    lines = _head(["", "p50 ms", "p99 ms", "×", "fresh process s", "memory MB"])
    for side in found.measured:
        one, start, memory = side.get("latency"), side["start"], side["memory"]
        cells = [
            _name(side),
            *_latency(one),
            f"{start['process_seconds']:.1f}",
            f"{memory['peak_rss_bytes'] / 1e6:.0f}",
        ]
        lines.append(_row(cells))
    return lines


def _latency(one: dict[str, float] | None) -> list[str]:
    if one is None:
        return ["–"] * 3
    return [f"{one['p50_ms']:.1f}", f"{one['p99_ms']:.1f}", f"{one['ratio']:.2f}" if "ratio" in one else "–"]


def _length_table(found: Recorded) -> list[str]:
    lengths = list(found.measured[0].get("lengths", {})) if found.measured else []
    lines = _head(["", *(f"{length} tokens" for length in lengths)])
    for side in found.measured:
        speeds = [side.get("lengths", {}).get(length) for length in lengths]
        lines.append(_row([_name(side), *(_speed(speed) for speed in speeds)]))
    return lines


def _speed(speed: dict[str, float] | None) -> str:
    if speed is None:
        return "–"
    return f"{speed['texts_per_second']:.1f} ({speed['ratio']:.2f} ×)" if "ratio" in speed else "–"


def _notes(found: Recorded) -> list[str]:
    noted = [f"- {side['title']}: {side['note']}." for side in found.measured if side["note"]]
    failed = [_row([side["title"], side["error"]]) for side in found.results["sides"] if side["error"]]
    failed += [_row([name, reason]) for name, reason in found.results["left_out"].items()]
    lines = [*noted, ""] if noted else []
    if failed:
        lines += ["Left out, or failed on the way:", "", *_head(["", "why"]), *failed, ""]
    versions = [f"- {side['title']}: {_versions(side['versions'])}" for side in found.measured if side.get("versions")]
    return [*lines, "<details><summary>Versions</summary>", "", *versions, "", "</details>", ""]


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version.partition('+')[0]}" for name, version in versions.items())


def _name(side: dict[str, Any]) -> str:
    name = f"**{side['title']}**" if is_ours(side) else str(side["title"])
    return name if not side["error"] else f"{name} (failed later)"


def _cosine(value: float) -> str:
    """Five digits, cut and not rounded: what is not 1 does not look like 1 unless it is closer than 1e-6."""
    return "1" if value > 1 - 1e-6 else f"{int(value * 1e5) / 1e5:.5f}"


def _head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), f"|{'---|' * len(cells)}"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"
