"""``stonnx quantize ARTIFACT``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stonnx.cli._console import Output
from stonnx.cli._text import seconds_text
from stonnx.cli._texts import add_text_file, texts_of_file
from stonnx.cli._variant_rows import VariantRows

if TYPE_CHECKING:
    from stonnx.compile import Quantization

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Add 8-bit variants (int8) to an artifact that has none, without the original
model and without torch: the artifact has the weights, and what the original
gave for the texts that it is verified on. The variants are those that 'stonnx
convert' makes of the original, and are measured like the others; in an
artifact that is unverified they are unverified too.
The folder changes in one step, when all is done, or not at all.
Exit code 5: no int8 variant is close enough, or one that was there before does
not keep its class on this machine; nothing was changed."""

EXAMPLES = """\
examples:
  stonnx quantize m3e-base-onnx
  stonnx quantize m3e-base-onnx --calibrate my-texts.txt
  stonnx quantize m3e-base-onnx --force --calibrate my-texts.txt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    parser.add_argument("--force", action="store_true", help="replace the int8 variants that it has")
    add_text_file(parser, "--calibrate", "texts to calibrate on: ", default="shipped ones")


def run(args: argparse.Namespace) -> int:
    """Quantise, and say what came of it.

    Raises:
        StonnxError: The artifact cannot be read or replaced, or no int8 variant is close enough.
    """
    from stonnx.compile import quantize_artifact

    output = Output.of(args)
    texts = texts_of_file("--calibrate", args.calibrate, jsonl=args.jsonl)
    output.say(f"Quantising {args.artifact}")
    with output.steps() as steps:
        result = quantize_artifact(
            args.artifact,
            force=args.force,
            calibration_texts=texts,
            on_step=steps,
            on_part=steps.part,
            on_variant=VariantRows(steps),
        )
    if output.json_mode:
        output.data(_to_json(result))
        return 0
    _print(output, result)
    path = str(result.path)
    output.heading("Next")
    output.command("stonnx", "info", path)
    output.command("stonnx", "tune", path)
    output.command("stonnx", "bench", path, "--variant", result.added[0])
    return 0


def _print(output: Output, result: Quantization) -> None:
    from stonnx.cli._tables import file_rows, print_verification

    output.heading(str(result.path))
    rows = [("added", ", ".join(result.added))]
    if result.replaced:
        rows.append(("instead of", ", ".join(result.replaced)))
    output.fields(rows)
    output.heading("Files")
    output.table(("file", "size"), file_rows(result.manifest))
    output.heading("Compared with the original model's results")
    if result.report is not None:
        print_verification(output, result.report)
    else:
        output.text("UNVERIFIED: nobody has compared this artifact with the original model.")
        output.command("stonnx", "verify", str(result.path), "--against", result.manifest.source.name)
    output.heading("Notes")
    for note in result.notes:
        output.item(note)
    output.heading("Time")
    output.fields([(step, seconds_text(seconds)) for step, seconds in result.seconds.items()])


def _to_json(result: Quantization) -> dict[str, object]:
    from stonnx.artifact import manifest_to_json

    return {
        "path": str(result.path),
        "verified": result.manifest.verified,
        "added": list(result.added),
        "replaced": list(result.replaced),
        "manifest": manifest_to_json(result.manifest),
        "report": None if result.report is None else result.report.to_json(),
        "notes": list(result.notes),
        "seconds": dict(result.seconds),
    }
