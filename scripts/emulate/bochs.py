"""Run probe.py in Linux on Bochs: the emulator for x86 instructions that QEMU lacks (AVX-512, VNNI).

Bochs emulates a whole PC, so there is a CD that boots the kernel, with just enough in its first file system to
unpack the disk, and the disk is a tar of Debian's Python, the wheels, stonnx and the artifact. What the probe
found comes back over the serial port, as base64.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

_MODULES = ("ata_piix", "sd_mod")
_CYLINDER_BYTES = 16 * 63 * 512  # the unit of a disk's size
# Nothing of the kernel may come between the lines of the result, so it speaks of emergencies alone. With five-level
# page tables Bochs 3.0 stops on its Sapphire Rapids.
_COMMAND_LINE = (
    "console=ttyS0 loglevel=1 no5lvl mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on"
)
_SKIPPED = re.compile(
    r"libonnxruntime\.so|/tests?/|__pycache__|onnxruntime/(tools|transformers|quantization)"
    r"|openvino/include/|openvino_(intel_[gn]pu|gguf|jax|paddle|pytorch|tensorflow)"
)
_SYSTEM = ("usr/bin/python3.13", "usr/lib/python3.13", "usr/lib64")
_LIBRARIES = "c m dl rt util pthread stdc++ gcc_s gomp z expat ffi bz2 lzma crypto ssl uuid".split()
_SCREEN = re.compile(rb'screen "(/dev/pts/\d+)"')
_BEGIN, _END, _DONE = "=== probe ===", "=== end ===", "=== done ==="
_FOLDERS = "bin dev mod proc r sys".split()
# Linux drops AMX's tile data on a CPU without XFD, which Bochs 3.0 lacks, and then trips over the half that is left.
_EXCLUDED = {"sapphire_rapids": "amx, amx_int8, amx_bf16"}

_INIT = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev
for m in {modules}; do $b insmod /mod/$m.ko; done
until [ -b /dev/sda ]; do $b sleep 1; done
$b mount -t tmpfs -o size=95% r /r
$b tar -C /r -xf /dev/sda
for d in proc sys dev tmp; do $b mkdir -p /r/$d; done
$b mount -t proc proc /r/proc; $b mount -t sysfs sys /r/sys; $b mount -t devtmpfs dev /r/dev
echo UNPACKED
export PYTHONHOME=/usr PYTHONPATH=/site:/source PYTHONDONTWRITEBYTECODE=1
$b chroot /r /usr/bin/python3.13 -u /guest/probe.py /guest /artifact /tmp/out.npz {variants}
echo '{begin}'; [ ! -s /r/tmp/out.npz ] || $b base64 /r/tmp/out.npz; echo '{end}'; echo '{done}'
exec $b sleep 100000
"""


def cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """An archive of (name, mode, content) in the kernel's format; /dev/console gets its device number."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        major, minor = (5, 1) if name == "dev/console" else (0, 0)
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(encoded), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def modules(root: Path) -> dict[str, bytes]:
    """The kernel modules that read a disk, unpacked, each after what it needs."""
    paths = {path.name.split(".")[0].replace("-", "_"): path for path in root.glob("usr/lib/modules/*/kernel/**/*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found or name not in paths:
            return  # loaded already, or built into the kernel
        content = paths[name].read_bytes()
        content = lzma.decompress(content) if paths[name].suffix == ".xz" else content
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for need in (needs[1].decode() if needs else "").split(","):
            add(need.replace("-", "_"))
        found[name] = content

    for name in _MODULES:
        add(name)
    return found


def native(root: Path, program: str) -> list[str]:
    """The start of a command that runs a program of the root with the root's own libraries."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / "usr/bin" / program)]


def write_cd(root: Path, work: Path, variants: list[str]) -> None:
    """``cd.iso``: boot loader, kernel, and a first file system whose ``init`` unpacks the disk and runs the probe."""
    loaded = modules(root)
    init = _INIT.format(modules=" ".join(loaded), variants=" ".join(variants), begin=_BEGIN, end=_END, done=_DONE)
    entries = [(folder, 0o040755, b"") for folder in _FOLDERS]
    entries += [
        ("dev/console", 0o020600, b""),
        ("bin/busybox", 0o100755, (root / "usr/bin/busybox").read_bytes()),
        ("bin/sh", 0o120777, b"busybox"),
        ("init", 0o100755, init.encode()),
    ]
    entries += [(f"mod/{name}.ko", 0o100644, content) for name, content in loaded.items()]
    cd = work / "cd"
    cd.mkdir()
    (cd / "initrd").write_bytes(cpio(entries))
    shutil.copyfile(next(root.glob("boot/vmlinuz-*")), cd / "vmlinuz")
    for loader in ("ISOLINUX/isolinux.bin", "syslinux/modules/bios/ldlinux.c32"):
        shutil.copyfile(root / "usr/lib" / loader, cd / Path(loader).name)
    menu = f"default l\nprompt 0\nlabel l\n kernel vmlinuz\n append initrd=initrd {_COMMAND_LINE}\n"
    (cd / "isolinux.cfg").write_text(menu, encoding="ascii")
    boot = "-b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table".split()
    image = ["-o", str(work / "cd.iso"), *boot, str(cd)]
    subprocess.run([*native(root, "xorriso"), "-as", "mkisofs", "-quiet", *image], check=True)


def write_disk(root: Path, work: Path, folders: dict[str, Path]) -> None:
    """``disk.img``: a tar of all that the guest needs, padded to whole cylinders."""
    image = work / "disk.img"
    libraries = "usr/lib/x86_64-linux-gnu"
    wanted = [path for name in _LIBRARIES for path in (root / libraries).glob(f"lib{name}[-.]*so*")]
    wanted += [root / libraries / "ld-linux-x86-64.so.2"]
    with tarfile.open(image, "w") as disk:

        def add(path: Path, name: str) -> None:
            disk.add(path, name, filter=lambda entry: None if _SKIPPED.search(entry.name) else entry)

        for name in (*_SYSTEM, "lib64", "lib"):
            add(root / name, name)
        for path in wanted:
            add(path, f"{libraries}/{path.name}")
        for name, path in folders.items():
            add(path, name)
        for name in ("probe.py", "kernels.onnx", "kernels.npz"):
            add(work / name, f"guest/{name}")
    os.truncate(image, -(-image.stat().st_size // _CYLINDER_BYTES) * _CYLINDER_BYTES)


def write_settings(root: Path, work: Path, cpu: str) -> None:
    """``bochsrc``: one CPU, 2 GiB, disk and CD, the serial port to a file."""
    excluded = f', exclude_features="{_EXCLUDED[cpu]}"' if cpu in _EXCLUDED else ""
    bios = root / "usr/share/bochs"
    lines = [
        f"cpu: model={cpu}, count=1, ips=100000000{excluded}",
        "memory: guest=2048, host=2048",
        f"romimage: file={bios}/BIOS-bochs-latest",
        f"vgaromimage: file={bios}/VGABIOS-lgpl-latest",
        "display_library: term",
        f"com1: enabled=1, mode=file, dev={work}/serial.log",
        f"ata0-master: type=disk, mode=flat, path={work}/disk.img",
        "ata1: enabled=1",
        f"ata1-master: type=cdrom, path={work}/cd.iso, status=inserted",
        "boot: cdrom",
        "clock: sync=none",
        f"log: {work}/bochs.log",
        "panic: action=fatal",
        "error: action=ignore",
        "info: action=ignore",
    ]
    (work / "bochsrc").write_text("\n".join(lines) + "\n", encoding="utf-8")


def boot(root: Path, work: Path, minutes: int) -> str:
    """Run the machine until the probe is done; what came over the serial port."""
    libraries = root / "usr/lib/x86_64-linux-gnu/bochs/plugins"
    # Bochs has a terminal for a screen or none at all, so `script` gives it one.
    command = f"stty rows 50 cols 132; exec {' '.join(native(root, 'bochs-bin'))} -q -f {work}/bochsrc"
    with (work / "terminal.log").open("wb") as terminal:
        machine = subprocess.Popen(
            ["nice", "-n", "19", "script", "-qec", command, "/dev/null"],
            env={**os.environ, "TERM": "xterm", "LTDL_LIBRARY_PATH": str(libraries)},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        )
        try:
            return _serial(machine, work, deadline=time.monotonic() + 60 * minutes)
        finally:
            machine.kill()  # `script` hangs up the terminal, which ends Bochs
            machine.wait()


def _serial(machine: subprocess.Popen[bytes], work: Path, *, deadline: float) -> str:
    log, screen, text = work / "serial.log", None, ""
    while machine.poll() is None and time.monotonic() < deadline and _DONE not in text:
        time.sleep(2)
        if screen is None and (found := _SCREEN.search((work / "terminal.log").read_bytes())):
            screen = os.open(found[1], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        if screen is not None:
            # The screen is a terminal of its own: once 4 KiB of a blinking cursor wait in it, Bochs stands still.
            with contextlib.suppress(OSError):
                while os.read(screen, 65536):
                    pass
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return text


def main() -> int:
    """Parse the command line, boot, and write ``emulated.npz``; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--store", "--site", "--work", "--source", "--artifact"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--cpu", required=True)
    parser.add_argument("--minutes", type=int, default=int(os.environ.get("STONNX_EMULATE_MINUTES", "60")))
    parser.add_argument("variants", nargs="+")
    given = parser.parse_args()
    root = given.store / "root-amd64"
    write_cd(root, given.work, given.variants)
    write_disk(root, given.work, {"site": given.site, "source": given.source, "artifact": given.artifact})
    write_settings(root, given.work, given.cpu)
    text = boot(root, given.work, given.minutes).replace("\r", "")
    _, begun, rest = text.partition(_BEGIN + "\n")
    encoded, ended, _ = rest.partition(_END)
    if not begun or not ended or not encoded.strip():
        print("\n".join(text.splitlines()[-25:]), file=sys.stderr)
        print("The emulated machine gave no result; above is the end of what it said.", file=sys.stderr)
        return 1
    (given.work / "emulated.npz").write_bytes(base64.b64decode(encoded))
    return 0


if __name__ == "__main__":
    sys.exit(main())
