"""Run benchmarks and write their results: ``python benchmarks/run.py [NAME ...]``; `make bench` runs all.

Results go to benchmarks/results/KIND.json, where KIND is what sets the processor apart (amx, avx512-bf16, …); figures
of other kinds stay as they are. All of them are shown as tables between the marks in docs/performance.md, and those of
the fastest kind as a picture, docs/performance.svg. Peers are installed in build/peers, separate from the project's own
packages. BENCH_CORPUS and BENCH_TEXT name a CSV file of reviews and its text column; without them the shipped reviews
are used.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from common import PEERS

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
RESULTS = HERE / "results"
NAMES = ["encode", "long", "scan", "approximate", "again", "cold", "logreg", "segments", "half"]
BEGIN, END = "<!-- begin table -->\n", "<!-- end table -->"
# What tells kinds of processors apart, the fastest first: the flag of /proc/cpuinfo, and the name of the kind.
KINDS = {"amx_bf16": "amx", "avx512_bf16": "avx512-bf16", "avx512f": "avx512", "avx2": "avx2", "asimd": "arm64"}


def install_peers() -> None:
    """Make a virtual environment with the peers that also sees the project's packages."""
    if not (PEERS / "llm").exists():
        folder = PEERS.parent
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (ours,) = Path(sys.prefix).glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n")
        words = ["-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt", "-c", ROOT / "constraints.txt"]
        subprocess.run([PEERS / "python", *words], check=True)


def flags() -> list[str]:
    """Return what the processor can do, in the words of Linux."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = (line.split() for line in info.splitlines())
    return next((words for words in lines if words and words[0] in ("flags", "Features")), [])


def kind() -> str:
    """Return the kind of this machine's processor."""
    return next((name for flag, name in KINDS.items() if flag in flags()), platform.machine())


def machine() -> str:
    """Return the processor, its cores and the relevant CPU features, the system and the Python version."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags()]
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, {', '.join(known)}; {platform.system()}, Python {platform.python_version()}"


def shown(value: float, unit: str | None) -> str:
    """Return a figure with its unit; without a unit it is a time in seconds, shown as s, ms or µs."""
    if unit:
        return f"{value:,.0f} {unit}"
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms" if value >= 0.001 else f"{1e6 * value:.3g} µs"


def spread(value: float, unit: str | None, rounds: dict | None) -> str:
    """Return a figure with its shortest and longest round, and with its CPU time."""
    if not rounds:
        return shown(value, unit)
    between = f"{shown(rounds['least'], unit)} to {shown(rounds['most'], unit)}"
    return f"{shown(value, unit)} ({between}; CPU {shown(rounds['cpu'], unit)})"


def peer_of(line: dict) -> float:
    """Return the figure of the best peer, or 0."""
    return (max if line.get("unit") else min)(line["peers"].values(), default=0)


def table(lines: list[dict]) -> str:
    """Return the results as a Markdown table, ratios first."""
    rows = ["| work | ours / limit | ours / peer | ours | limit | peer | asked | checked |"]
    rows.append("|" + "---|" * 8)
    for line in lines:
        unit, ours, limit, rounds = line.get("unit"), line["ours"], line["limit"], line.get("rounds", {})
        best = peer_of(line)
        peers = (f"{name} {spread(value, unit, rounds.get(name))}" for name, value in line["peers"].items())
        cells = [
            line["work"],
            f"{ours / limit:.2f}" if limit else "",
            f"{ours / best:.2f}" if best else "",
            spread(ours, unit, rounds.get("ours")),
            f"{spread(limit, unit, rounds.get('limit'))}: {line['limit_is']}" if limit else line["limit_is"],
            "; ".join(peers),
            line["reach"],
            line["checked"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def draw(found: dict) -> None:
    """Draw how many times faster than the best peer each line is."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "embedstore", "svg.fonttype": "none", "font.size": 10}
    from matplotlib import pyplot, ticker

    bars = []
    for line in found["lines"]:
        if best := peer_of(line):
            ratio = line["ours"] / best if line.get("unit") else best / line["ours"]
            name = next(peer for peer, value in line["peers"].items() if value == best)
            bars.append((f"{line['work']}\nagainst {name}", ratio))
    figure, axes = pyplot.subplots(figsize=(9, 0.6 * len(bars) + 1), layout="constrained")
    drawn = axes.barh(range(len(bars)), [ratio for _, ratio in bars], color="#2f6f8f")
    axes.bar_label(drawn, [f"{ratio:.1f} x" for _, ratio in bars], padding=3)
    axes.set(yticks=range(len(bars)), yticklabels=[name for name, _ in bars], xscale="log", xlabel="times faster")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.axvline(1, color="#888888", linewidth=1)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(found["machine"].split(";")[0], fontsize=10)
    figure.savefig(PICTURE, metadata={"Date": None})


def write(lines: list[dict]) -> None:
    """Write the results of this kind of machine as JSON, and those of all kinds into the page and the picture."""
    RESULTS.mkdir(exist_ok=True)
    found = {"machine": machine(), "date": str(datetime.date.today()), "lines": lines}
    (RESULTS / f"{kind()}.json").write_text(json.dumps(found, indent=1) + "\n")
    kept = [RESULTS / f"{name}.json" for name in KINDS.values()]
    every = [json.loads(path.read_text()) for path in kept if path.exists()]
    tables = (f"## {one['machine']}\n\nMeasured on {one['date']}.\n\n{table(one['lines'])}" for one in every)
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(tables) + END + rest.split(END)[1])
    draw(every[0])


def main() -> None:
    """Run the named benchmarks, or all."""
    install_peers()
    print(f"== {kind()}: {machine()}", flush=True)
    path = RESULTS / f"{kind()}.json"
    earlier = json.loads(path.read_text())["lines"] if path.exists() else []
    kept = {line["script"] + line["work"]: line for line in earlier}
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        script = HERE / f"{name}.py"
        done = subprocess.run([PEERS / "python", script], stdout=subprocess.PIPE, text=True, check=True)
        kept = {key: line for key, line in kept.items() if line["script"] != name}
        for text in done.stdout.splitlines():
            if text.startswith("{"):
                line = {"script": name, **json.loads(text)}
                kept[name + line["work"]] = line
                print(table([line]).splitlines()[-1], flush=True)
        write(sorted(kept.values(), key=lambda line: NAMES.index(line["script"])))


if __name__ == "__main__":
    main()
