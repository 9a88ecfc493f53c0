"""Write the tables of measured results into README.md and README.zh-CN.md, from ``benchmarks/results/``.

    python scripts/results_table.py [--check]

Every number in those tables is read from a recorded result; ``--check`` fails when a README
says anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
PEER_RUNS = (
    "all-MiniLM-L6-v2",
    "all-MiniLM-L6-v2-fastest-sides",
    "all-MiniLM-L6-v2-few-sides",
    "all-mpnet-base-v2",
    "m3e-base",
    "all-MiniLM-L6-v2-openvino-variants",
)
MACHINE = "amd-epyc"  # the processor whose results the first table shows
PEER_MACHINES = (MACHINE, "intel-r-xeon-r-processor")  # one with AVX2 alone, one with VNNI, bfloat16 and AMX
BEGIN, END = "<!-- results: begin, written by scripts/results_table.py -->", "<!-- results: end -->"

WORDS = {
    "README.md": {
        "head": "| | stonnx (fp32) | sentence-transformers {st} | ratio (lowest to highest round) |",
        "throughput": "{model}, {texts:,} {language} texts: texts/s",
        "latency": "{model}, one text: ms, median",
        "memory": "{model}: memory after loading and encoding",
        "convert": "Convert {model}: seconds, without verification",
        "convert_memory": "Convert {model}: peak memory ÷ size of the weights",
        "startup": "Fresh process, {model}: import, load, one text",
        "English": "English",
        "Chinese": "Chinese",
        "cosine": "Lowest cosine between the two sides over all of these texts: {cosine}. ",
        "machine": "Machine: {cpu} ({sets}), {cores} cores, {os}; PyTorch {torch} and ONNX Runtime {ort}, both float32 "
        "and with the same threads, by turns in one process. ",
        "peer": "The other side of the conversion is sentence-transformers {peer} with optimum-onnx {optimum}. ",
        "commands": "Recorded in [`benchmarks/results/`](benchmarks/results/) by:",
        "peers": "Beside what else runs such a model, times the speed of sentence-transformers on torch in float32 on "
        "the same texts, and how close the vectors are (fidelity class; lowest cosine):",
        "texts": "{model}, {texts:,} texts",
        "below": "below all classes",
        "peers_again": "The same on a processor with VNNI, bfloat16 and AMX ({cpu}, {cores} cores), where torch, "
        "OpenVINO and int8 all gain:",
        "peers_left_out": "The last column is of an artifact made with `--no-verify`: verification leaves "
        "`openvino-bf16` and `openvino-int8` out there, because a text's vector would depend on its batch "
        "([why](docs/decisions/0007-int8.md)); since then `openvino-int8-static` as well "
        "([why](docs/decisions/0011-int8-in-seconds.md)).",
        "more": "The whole tables, with lengths, latency, memory and every command, are in "
        "[docs/benchmarks.md](docs/benchmarks.md). {cpu} with {sets}: without VNNI and bfloat16, int8 gains less than "
        "on a processor that has them, which the next table shows.",
    },
    "README.zh-CN.md": {
        "head": "| | stonnx（fp32） | sentence-transformers {st} | 倍数（最低到最高一轮） |",
        "throughput": "{model}，{texts:,} 条{language}文本：条/秒",
        "latency": "{model}，单条文本：毫秒（中位数）",
        "memory": "{model}：加载并编码之后的内存",
        "convert": "转换 {model}：秒（不含核对）",
        "convert_memory": "转换 {model}：内存峰值 ÷ 权重大小",
        "startup": "新进程，{model}：导入、加载、一条文本",
        "English": "英文",
        "Chinese": "中文",
        "cosine": "两边向量在所有这些文本上的最低余弦：{cosine}。",
        "machine": "机器：{cpu}（{sets}），{cores} 核，{os}；PyTorch {torch} 与 ONNX Runtime {ort}，同为 float32、"
        "线程数相同，在同一进程中轮流运行。",
        "peer": "转换的另一边是 sentence-transformers {peer} 加 optimum-onnx {optimum}。",
        "commands": "记录在 [`benchmarks/results/`](benchmarks/results/)，由以下命令得到：",
        "peers": "与其他能运行同一模型的库相比：相同文本上，以 sentence-transformers（torch，float32）为 1 的倍数，"
        "以及向量有多接近（保真等级；最低余弦）：",
        "texts": "{model}，{texts:,} 条文本",
        "below": "低于所有等级",
        "peers_again": "同样的比较，在有 VNNI、bfloat16 和 AMX 的处理器上（{cpu}，{cores} 核），"
        "torch、OpenVINO 和 int8 都更快：",
        "peers_left_out": "最后一列用的是以 `--no-verify` 转换的成品：在这台机器上，核对会去掉 `openvino-bf16` 和 "
        "`openvino-int8`，因为一条文本的向量会随同批的其他文本变化（[原因](docs/decisions/0007-int8.md)）；"
        "此后也会去掉 `openvino-int8-static`（[原因](docs/decisions/0011-int8-in-seconds.md)）。",
        "more": "完整的表格（长度、延迟、内存和每条命令）见 [docs/benchmarks.md](docs/benchmarks.md)。"
        "{cpu}（{sets}）：没有 VNNI 和 bfloat16，int8 的收益比有这些指令的处理器小，见下一张表。",
    },
}


def main() -> int:
    """Write or check both files; the exit code is 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is not up to date")
    args = parser.parse_args()
    stale = []
    for name, words in WORDS.items():
        path = REPOSITORY / name
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        wanted = f"{before}{BEGIN}\n{table(words)}\n{END}{rest.partition(END)[2]}"
        if wanted != text:
            stale.append(name)
            if not args.check:
                path.write_text(wanted, encoding="utf-8")
    if stale and args.check:
        print(f"Not what benchmarks/results/ says: {', '.join(stale)}. Run scripts/results_table.py.", file=sys.stderr)
        return 1
    return 0


def table(words: dict[str, str]) -> str:
    """The Markdown table and the lines below it."""
    encodes = [load("encode-minilm"), load("encode-m3e-base")]
    convert, startup = load("convert"), load("startup")
    machine = encodes[0]["machine"]
    versions = machine["versions"]
    lines = [words["head"].format(st=versions["sentence-transformers"]), "|---|---|---|---|"]
    for result in encodes:
        lines += encode_rows(result["results"][0], words)
    for result in convert["results"]:
        lines += convert_rows(result, words)
    lines += startup_rows(startup, words)
    cosine = min(result["results"][0]["cosine_min"] for result in encodes)
    below = words["cosine"].format(cosine=f"{cosine:.12f}")
    below += words["machine"].format(
        cpu=machine["cpu"],
        sets=", ".join(machine["instruction_sets"]),
        cores=machine["usable_cores"],
        os=machine["os"].partition("-")[0],
        torch=versions["torch"].partition("+")[0],
        ort=versions["onnxruntime"],
    )
    peer = next(result["peer"]["versions"] for result in convert["results"])
    below += words["peer"].format(peer=peer["sentence-transformers"], optimum=peer["optimum-onnx"])
    below += words["commands"]
    commands = [result["command"] for result in (*encodes, convert, startup)]
    first, *others = (peer_table(words, machine) for machine in PEER_MACHINES)
    return "\n".join([*lines, "", below, "", "```sh", *commands, "```", *first, *(line for t in others for line in t)])


def peer_table(words: dict[str, str], cpu: str) -> list[str]:
    """Speed and fidelity of every side on every model measured on a processor, the fastest first; nothing without any.

    Only the first processor's table has its commands below it; all of them are in docs/benchmarks.md.
    """
    found = [load(f"peers-{run}", cpu) for run in PEER_RUNS if (RESULTS / f"peers-{run}-{cpu}.json").is_file()]
    if not found:
        return []
    cells: dict[str, list[str]] = {}
    for at, result in enumerate(found):
        for side in result["results"]["sides"]:
            if "ratio" in side.get("mix", {}) and side.get("fidelity"):
                cells.setdefault(side["title"], ["–"] * len(found))[at] = peer_cell(side, words)
    ratios = [{s["title"]: s.get("mix", {}).get("ratio", 0.0) for s in result["results"]["sides"]} for result in found]
    titles = sorted(cells, key=lambda title: [-of.get(title, 0.0) for of in ratios])
    machine = found[0]["machine"]
    above = words["peers" if cpu == MACHINE else "peers_again"]
    rows = [
        "",
        above.format(cpu=machine["cpu"], cores=machine["usable_cores"]),
        "",
        row("", *(words["texts"].format(**result["results"]) for result in found)),
        "|---" * (len(found) + 1) + "|",
        *(row(f"**{title}**" if title.startswith("stonnx") else title, *cells[title]) for title in titles),
    ]
    if cpu != MACHINE:
        return [*rows, "", words["peers_left_out"]]
    return [
        *rows,
        "",
        words["more"].format(cpu=machine["cpu"], sets=", ".join(machine["instruction_sets"])),
        "",
        "```sh",
        *(peer_command(result) for result in found),
        "```",
    ]


def peer_command(result: dict[str, Any]) -> str:
    """The command of a run; the script's folder was not always recorded."""
    return str(result["command"]).replace("benchmarks/run.py", "benchmarks/peers/run.py")


def peer_cell(side: dict[str, Any], words: dict[str, str]) -> str:
    """A side's speed and fidelity on one model."""
    fidelity = side["fidelity"]
    lowest = fidelity["cosine_min"]
    shown = "1" if lowest > 1 - 1e-6 else f"{int(lowest * 1e4) / 1e4:.4f}"  # cut, not rounded
    name = fidelity["class"] or words["below"]
    return f"{side['mix']['ratio']:.2f} × ({name}; {shown})"


def load(name: str, cpu: str = MACHINE) -> dict[str, Any]:
    """A recorded result of a processor."""
    path = RESULTS / f"{name}-{cpu}.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def encode_rows(result: dict[str, Any], words: dict[str, str]) -> list[str]:
    """Throughput, latency and memory of one model."""
    model, speed, latency, memory = (result[key] for key in ("model", "throughput", "latency", "memory"))
    language = words["Chinese" if "m3e" in model else "English"]
    ours, theirs = (memory[side]["peak_rss_bytes"] for side in ("stonnx", "sentence-transformers"))
    return [
        row(
            words["throughput"].format(model=model, texts=result["texts"], language=language),
            f"{speed['a']:.1f}",
            f"{speed['b']:.1f}",
            ratio(speed),
        ),
        row(
            words["latency"].format(model=model),
            f"{latency['a']['p50']:.1f}",
            f"{latency['b']['p50']:.1f}",
            ratio(latency),
        ),
        row(
            words["memory"].format(model=model),
            f"{ours / 1e6:.0f} MB",
            f"{theirs / 1e6:.0f} MB",
            f"{theirs / ours:.1f} ×",
        ),
    ]


def convert_rows(result: dict[str, Any], words: dict[str, str]) -> list[str]:
    """Time and memory of one conversion."""
    model, ours, theirs = result["model"], result["stonnx"], result["peer"]
    memory = "peak_rss_over_weights"
    return [
        row(
            words["convert"].format(model=model),
            f"{ours['seconds']:.1f}",
            f"{theirs['seconds']:.1f}",
            f"{theirs['seconds'] / ours['seconds']:.1f} ×",
        ),
        row(
            words["convert_memory"].format(model=model),
            f"{ours[memory]:.1f}",
            f"{theirs[memory]:.1f}",
            f"{theirs[memory] / ours[memory]:.1f} ×",
        ),
    ]


def startup_rows(result: dict[str, Any], words: dict[str, str]) -> list[str]:
    """Time of a fresh process."""
    seconds = result["results"]["median_seconds"]["load_and_one_text"]["inside"]
    return [row(words["startup"].format(model="all-MiniLM-L6-v2"), f"{seconds:.2f} s", "–", "–")]


def ratio(result: dict[str, Any]) -> str:
    """A ratio with its spread."""
    return f"**{result['ratio']:.2f} ×** ({result['ratio_low']:.2f} – {result['ratio_high']:.2f})"


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
