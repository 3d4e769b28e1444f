"""Print the results of the long run: ``python tests/faults/table.py`` after ``make torture``."""

import json
from collections import defaultdict
from pathlib import Path

BUILD = Path(__file__).parent.parent.parent / "build"
ROWS = defaultdict(list)
for path in sorted((BUILD / "torture").glob("*.json")):
    found = json.loads(path.read_text())
    ROWS[found["row"]].append(found)
for row, parts in ROWS.items():
    injected = sum(part["injected"] for part in parts)
    faults = [fault for part in parts for fault in part["faults"]]
    print(f"{row}: {injected:,} injected, {injected - len(faults):,} survived; ", end="")
    print(", ".join(f"{part['name']} {part['injected']:,}" for part in parts))
    for fault in faults[:5]:
        print("   ", fault)

FUZZED = [json.loads(path.read_text()) for path in sorted((BUILD / "fuzz").glob("*.json"))]
for found in FUZZED:
    executions, took = f"{found['executions']:,} executions", f"{found['seconds']:,} s"
    print(f"fuzz {found['target']}: {executions} in {took}; {found['fault'] or 'no fault'}")
print(f"fuzz: {sum(found['executions'] for found in FUZZED):,} executions in all")
