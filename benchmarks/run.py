"""Run benchmarks and write their results: ``python benchmarks/run.py [NAME ...]``; `make bench` runs all.

Results go to benchmarks/results.json and, as a table, between the marks in docs/performance.md. Peers are installed in
build/peers, separate from the project's own packages. BENCH_CORPUS and BENCH_TEXT name a CSV file of reviews and its
text column; without them the shipped reviews are used.
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
RESULTS = HERE / "results.json"
NAMES = ["encode", "scan", "approximate", "again", "cold", "logreg", "segments", "half"]
BEGIN, END = "<!-- begin table -->\n", "<!-- end table -->"


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


def machine() -> str:
    """Return the processor, its cores and the relevant CPU features, the system and the Python version."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    flags = next((line.split() for line in info.splitlines() if line.startswith("flags")), [])
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, {', '.join(known)}; {platform.system()}, Python {platform.python_version()}"


def shown(value: float, unit: str | None) -> str:
    """Return a figure with its unit; without a unit it is a time in seconds, shown as s, ms or µs."""
    if unit:
        return f"{value:,.0f} {unit}"
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms" if value >= 0.001 else f"{1e6 * value:.3g} µs"


def table(lines: list[dict]) -> str:
    """Return the results as a Markdown table, ratios first."""
    rows = ["| work | ours / limit | ours / peer | ours | limit | peer | asked | checked |"]
    rows.append("|" + "---|" * 8)
    for line in lines:
        unit, ours, limit, peers = line.get("unit"), line["ours"], line["limit"], line["peers"]
        best = (max if unit else min)(peers.values(), default=0)
        cells = [
            line["work"],
            f"{ours / limit:.2f}" if limit else "",
            f"{ours / best:.2f}" if best else "",
            shown(ours, unit),
            f"{shown(limit, unit)}: {line['limit_is']}" if limit else line["limit_is"],
            "; ".join(f"{name} {shown(value, unit)}" for name, value in peers.items()),
            line["reach"],
            line["checked"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def write(lines: list[dict]) -> None:
    """Write the results as JSON and into the page."""
    found = {"machine": machine(), "date": str(datetime.date.today()), "lines": lines}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{machine()}\n\n{table(lines)}{END}{after}")


def main() -> None:
    """Run the named benchmarks, or all."""
    install_peers()
    earlier = json.loads(RESULTS.read_text())["lines"] if RESULTS.exists() else []
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
