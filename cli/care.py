"""`info`, `verify`, `gc` and `export`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from embedstore.cli.options import corpus_option, json_option, open_named, space_option, store_argument
from embedstore.cli.terminal import clean, note

from embedstore.errors import DamagedStoreError

__all__ = ["export", "gc", "info", "verify"]


@click.command()
@store_argument
@json_option
def info(store: str, as_json: bool) -> None:
    """Show corpora, spaces with their keys and coverage, indexes, probes and sizes."""
    found = open_named(store).info()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    lines = [
        f"{found['path']}: {found['texts']:,} distinct texts, {_bytes(found['bytes'])}, manifest {found['sequence']}"
    ]
    for corpus in found["corpora"]:
        lines.append(
            f"corpus {corpus['name']}: {corpus['rows']:,} rows, {corpus['distinct_texts']:,} distinct texts, "
            f"{corpus['empty']:,} empty; text {corpus['text']}, id {corpus['id'] or 'row number'}"
        )
        lines.append(f"    columns {', '.join(corpus['columns'])}")
    for space in found["spaces"]:
        lines += _space_lines(space, found["texts"])
    lines += [
        f"index of space {i['space'][:12]}: {i['kind']} over {i['texts']:,} texts, {_bytes(i['bytes'])}"
        for i in found["indexes"]
    ]
    lines += [f"probe {probe['name']} in space {probe['space'][:12]}" for probe in found["probes"]]
    click.echo("\n".join(clean(line) if not line.startswith("    ") else "    " + clean(line[4:]) for line in lines))


def _space_lines(space: dict[str, Any], texts: int) -> list[str]:
    spec = space["spec"]
    lines = [
        f"space {space['key'][:12]}: {space['model']}{'@' + space['revision'] if space['revision'] else ''}, "
        f"{space['dimension']} dimensions, {spec['dtype']}, {_bytes(space['bytes'])}",
        f"    covers {space['texts']:,} of {texts:,} texts, {space['truncated']:,} truncated; "
        f"{space['queries']:,} labels and queries",
        f"    key {space['key']}",
        "    spec " + ", ".join(f"{name} {value!r}" for name, value in spec.items()),
    ]
    if space["head"]:
        lines.insert(2, f"    logits of {', '.join(space['head']['labels'])}; {space['head']['activation']}")
    for p in space["provenance"]:
        versions = ", ".join(f"{name} {version}" for name, version in p["versions"])
        batches = f"batches of {p['batch_size']}" if p["batch_size"] else "batches filled by tokens"
        lines.append(f"    made with {p['backend']} {p['precision']} on {p['device']}, {batches}, {versions}")
    return lines


def _bytes(count: int) -> str:
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}" if power else f"{count} bytes"


@click.command()
@store_argument
@click.option("--repair", is_flag=True, help="Forget damaged vectors, indexes and probes, so that they are made again.")
@json_option
def verify(store: str, repair: bool, as_json: bool) -> None:
    """Read every byte and check it: hashes, keys, shapes, finite values, unit lengths."""
    opened = open_named(store)
    for path in opened.repair() if repair else ():
        note(f"forgotten: {path}; `embedstore encode STORE`, `index` or `train` makes it again")
    report = opened.verify()
    if as_json:
        click.echo(json.dumps(asdict(report)))
    for fault in report.faults:
        click.echo(clean(fault), err=True)
    if report.faults:
        raise DamagedStoreError(
            f"{len(report.faults)} faults in {report.files:,} files: restore texts, tables and annotations from a "
            "backup; "
            "`embedstore verify STORE --repair` forgets damaged vectors, indexes and probes, which can be made again"
        )
    if not as_json:
        click.echo(f"{report.files:,} files, {_bytes(report.size)}: all as written")


@click.command()
@store_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def gc(store: str, dry_run: bool, as_json: bool) -> None:
    """Remove files that the store no longer refers to; merge small query segments."""
    report = open_named(store).gc(dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    for path in report.removed:
        click.echo(path)
    did = "would be removed" if dry_run else "removed"
    click.echo(f"{len(report.removed):,} files, {_bytes(report.size)} {did}; {report.merged} query segments merged")


@click.command()
@store_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=".npy, .parquet or .h5",
)
@corpus_option
@space_option
@json_option
def export(store: str, output: Path, corpus: str | None, space: str | None, as_json: bool) -> None:
    """Write the vectors of a corpus with its ids."""
    rows = open_named(store).export(output, corpus=corpus, space=space)
    click.echo(
        json.dumps({"rows": rows, "output": str(output)}) if as_json else f"{rows:,} vectors written to {output}"
    )
