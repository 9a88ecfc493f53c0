"""``stonnx info ARTIFACT``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stonnx.cli._console import Output

if TYPE_CHECKING:
    from stonnx.artifact import Artifact

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Show what an artifact holds: the model, its variants with their measured
fidelity, which of them this machine can run, and its files. Opening it checks
the manifest and that every file has its size; --check hashes every file."""

EXAMPLES = """\
examples:
  stonnx info m3e-base-onnx
  stonnx info m3e-base-onnx --check
  stonnx info m3e-base-onnx --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    parser.add_argument("--check", action="store_true", help="compare every file with its SHA-256 sum")


def run(args: argparse.Namespace) -> int:
    """Show the manifest.

    Raises:
        ArtifactError: The artifact is missing or damaged.
    """
    from stonnx.artifact import Artifact, manifest_to_json

    output = Output.of(args)
    artifact = Artifact.open(args.artifact)
    if args.check:
        output.say(f"Hashing {len(artifact.manifest.files)} files")
        artifact.check_files()
    if output.json_mode:
        output.data(
            {
                "path": str(artifact.path),
                "manifest": manifest_to_json(artifact.manifest),
                "total_bytes": sum(file.size_bytes for file in artifact.manifest.files),
                "files_checked": args.check,
                **_machine_fit(artifact),
            }
        )
        return 0
    _print(output, artifact, checked=args.check)
    return 0


def _machine_fit(artifact: Artifact) -> dict[str, object]:
    """Which variants run here (null: it does; else why not), and the choice of ``stonnx tune`` for this machine."""
    from dataclasses import asdict

    from stonnx.runtime.choice import read_choice
    from stonnx.runtime.loading import why_not_here

    choice = read_choice(artifact)
    return {
        "why_not_here": {variant.name: why_not_here(variant) for variant in artifact.manifest.variants},
        "choice": None if choice is None else asdict(choice),
    }


def _print(output: Output, artifact: Artifact, *, checked: bool) -> None:
    from stonnx.cli._tables import file_rows, model_rows, print_fidelity, print_machine_fit

    manifest = artifact.manifest
    output.heading(str(artifact.path))
    output.fields([*model_rows(manifest), ("written by", f"stonnx {manifest.stonnx_version}")])
    output.heading("Variants, compared with the original model")
    print_fidelity(output, manifest.variants)
    output.text()
    if manifest.verified:
        output.text("Verified when it was converted; 'stonnx verify' repeats it on this machine.")
    else:
        output.text("UNVERIFIED: nobody has compared this artifact with the original model.")
    output.heading("On this machine")
    print_machine_fit(output, artifact)
    output.heading("Files")
    output.table(("file", "size"), file_rows(manifest))
    output.text()
    output.text(
        "Checked: every file has its SHA-256 sum." if checked else "Their sizes are right; --check hashes them."
    )
