"""An artifact folder: opened, checked, and its files found."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from stonnx._hub_layout import blob_stores
from stonnx._io import contained_path, sha256_file, why_closed, write_json
from stonnx._sources import hub_model
from stonnx.artifact.codec import manifest_from_json, manifest_to_json
from stonnx.artifact.goldens import GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME, AnyGoldens, PairGoldens, read_goldens
from stonnx.artifact.manifest import MANIFEST_NAME, TUNE_FOLDER, FileEntry, Manifest, Variant
from stonnx.artifact.seen_files import SeenFiles
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import ArtifactError, StonnxError, UsageError

__all__ = ["Artifact", "file_entries", "file_entry", "write_manifest"]

_LARGEST_MANIFEST_BYTES = 4 * 1024 * 1024  # the manifests of real models have some 10 KiB


@dataclass(frozen=True)
class Artifact:
    """A folder written by ``stonnx convert``: data only, nothing is run or fetched.

    Attributes:
        path: The folder.
        manifest: Its ``stonnx.json``, validated.
        seen: Which of its files need not be hashed again (``remembering``); None for none, as it is opened.
    """

    path: Path
    manifest: Manifest
    seen: SeenFiles | None = field(default=None, compare=False, repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Artifact:
        """Open an artifact: the manifest is valid, every file is there, inside, and of the right size.

        File contents are not hashed here, see ``check_files``.

        Raises:
            ArtifactError: Something is missing, damaged, leads out of the folder or is too new.
        """
        folder = Path(path)
        _check_folder(folder)
        value = read_strict_json(_inside(folder, MANIFEST_NAME), limit_bytes=_LARGEST_MANIFEST_BYTES)
        try:
            manifest = manifest_from_json(value)
        except ArtifactError as exc:
            raise ArtifactError(f"{folder / MANIFEST_NAME}: {exc.message}", hint=exc.hint) from exc
        artifact = cls(folder, manifest)
        for entry in manifest.files:
            artifact._check_size(entry)
        return artifact

    def remembering(self, seen: SeenFiles | None = None) -> Artifact:
        """The same artifact, for a job that opens it often: a file is hashed once, and again if it was written to.

        Args:
            seen: What has been hashed already; None for nothing.
        """
        return replace(self, seen=seen or SeenFiles())

    def variant(self, name: str) -> Variant:
        """The variant called ``name``.

        Raises:
            UsageError: There is none; the message names those that there are.
        """
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.manifest.variants)
        raise UsageError(
            f"{self.path} has no variant {name!r}; it has {known}.", hint=f"stonnx info {self.path} lists them."
        )

    def file(self, relative: str) -> Path:
        """The path of a file of the artifact, proven to be inside the folder.

        Raises:
            ArtifactError: The path leaves the folder. Links into the blob store beside a snapshot of the
                Hugging Face cache are fine.
        """
        return _inside(self.path, relative)

    def check_files(self, names: Iterable[str] | None = None) -> None:
        """Compare files with the SHA-256 sums of the manifest.

        Args:
            names: Paths as they stand in the manifest; None for every file.

        Raises:
            ArtifactError: A file is missing, leads out of the folder, or was changed.
            UsageError: The manifest lists no such file.
        """
        entries = {entry.path: entry for entry in self.manifest.files}
        for name in entries if names is None else dict.fromkeys(names):
            if name not in entries:
                raise UsageError(f"The manifest of {self.path} lists no file {name!r}.")
            self._check_hash(entries[name])

    def goldens(self) -> AnyGoldens | None:
        """The goldens, hashes checked: ``PairGoldens`` of a reranker. None when the manifest lists none.

        Raises:
            ArtifactError: They are damaged, or they are not those of such a model.
        """
        names = [e.path for e in self.manifest.files if e.path in (GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME)]
        if not names:
            return None
        self.check_files(names)
        goldens = read_goldens(self.path)
        if goldens is not None:
            self._check_goldens(goldens)
        return goldens

    def _check_goldens(self, goldens: AnyGoldens) -> None:
        """Whether goldens are of the manifest's kind and dimension."""
        holds_pairs = isinstance(goldens, PairGoldens)
        if holds_pairs != (self.manifest.kind == "reranker"):
            raise ArtifactError(
                f"{self.path / GOLDEN_TEXTS_NAME} holds {'pairs' if holds_pairs else 'texts'}, "
                f"but the kind in {MANIFEST_NAME} is {self.manifest.kind!r}.",
                hint=_CONVERT_AGAIN,
            )
        if goldens.width != self.manifest.dimension:
            found = f"scores have {goldens.width} labels" if holds_pairs else f"vectors have {goldens.width} components"
            raise ArtifactError(
                f"{self.path / GOLDEN_VECTORS_NAME}: the {found}, "
                f"but the dimension in {MANIFEST_NAME} is {self.manifest.dimension}.",
                hint=_CONVERT_AGAIN,
            )

    def _check_size(self, entry: FileEntry) -> None:
        path = self.file(entry.path)
        try:
            found = path.stat()
        except FileNotFoundError as exc:
            raise ArtifactError(f"{path} is missing, but {MANIFEST_NAME} lists it.", hint=_CONVERT_AGAIN) from exc
        except OSError as exc:
            raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
        if not stat.S_ISREG(found.st_mode):
            raise ArtifactError(f"{path} is not a regular file, but {MANIFEST_NAME} lists it.", hint=_CONVERT_AGAIN)
        if found.st_size != entry.size_bytes:
            raise ArtifactError(
                f"{path} has {found.st_size} bytes, but {MANIFEST_NAME} says {entry.size_bytes}: the copy is "
                "incomplete or the file was changed.",
                hint=_CONVERT_AGAIN,
            )

    def _check_hash(self, entry: FileEntry) -> None:
        self._check_size(entry)
        path = self.file(entry.path)
        try:
            found = sha256_file(path) if self.seen is None else self.seen.sha256(path)
        except OSError as exc:
            raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
        if found != entry.sha256:
            raise ArtifactError(
                f"{path} was changed: its SHA-256 is {found}, but {MANIFEST_NAME} says {entry.sha256}.",
                hint=_CONVERT_AGAIN,
            )


def _inside(folder: Path, relative: str) -> Path:
    return contained_path(folder, relative, error=ArtifactError, extra_roots=blob_stores(folder))


_CONVERT_AGAIN = "Copy the artifact again, or convert the model again."


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``stonnx.json`` atomically, after checking that it could be read back.

    Raises:
        ArtifactError: The manifest breaks a rule of ``docs/artifact.md``.
    """
    value = manifest_to_json(manifest)
    manifest_from_json(value)
    write_json(folder / MANIFEST_NAME, value)


def file_entries(folder: Path, *, seen: SeenFiles | None = None) -> tuple[FileEntry, ...]:
    """Size and SHA-256 of every file below ``folder`` but ``stonnx.json`` and the choices of ``tune``, sorted by path.

    Args:
        folder: The artifact's.
        seen: Remembers what is hashed, and what was; None: all is hashed, and nothing remembered.

    Raises:
        ArtifactError: A symbolic link or a special file lies in the folder.
    """
    entries = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        relative = path.relative_to(folder).as_posix()
        if (
            relative == MANIFEST_NAME
            or relative.startswith(f"{TUNE_FOLDER}/")
            or (path.is_dir() and not path.is_symlink())
        ):
            continue
        if path.is_symlink() or not path.is_file():
            raise ArtifactError(f"{path} is not a regular file; an artifact holds nothing else.")
        entries.append(file_entry(folder, relative, seen=seen))
    return tuple(entries)


def file_entry(folder: Path, relative: str, *, seen: SeenFiles | None = None) -> FileEntry:
    """Size and SHA-256 of one file of an artifact; ``relative`` is its POSIX path, ``seen`` as in ``file_entries``."""
    path = folder / relative
    sha256 = sha256_file(path) if seen is None else seen.sha256(path)
    return FileEntry(path=relative, size_bytes=path.stat().st_size, sha256=sha256)


def _how_to_convert(folder: Path) -> str:
    """What to do about an artifact that is not there: its name may be the model's on the hub."""
    with contextlib.suppress(StonnxError):
        if not folder.parent.exists():
            return f"stonnx convert {hub_model(folder.as_posix())} OUT converts the hub's model of that name."
    return "stonnx convert SOURCE OUT writes an artifact."


def _check_folder(folder: Path) -> None:
    reason = why_closed(folder, listed=False)
    if reason is not None:
        raise ArtifactError(f"{folder} cannot be read: {reason}.")
    if not os.path.lexists(folder):
        raise ArtifactError(f"{folder} does not exist.", hint=_how_to_convert(folder))
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder.", hint="Name the folder that stonnx convert wrote.")
    if os.path.lexists(folder / MANIFEST_NAME):
        return
    if (folder / "modules.json").exists() or (folder / "config.json").exists():
        raise ArtifactError(
            f"{folder} is a model folder, not a stonnx artifact: it has no {MANIFEST_NAME}.",
            hint=f"stonnx convert {folder} OUT",
        )
    raise ArtifactError(
        f"{folder} is not a stonnx artifact: it has no {MANIFEST_NAME}.",
        hint="stonnx convert SOURCE OUT writes an artifact.",
    )
