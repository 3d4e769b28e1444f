"""`info`: show the contents of a store."""

from typing import Any

import click
from embedstore.cli.opening import open_named
from embedstore.cli.options import json_option, store_argument
from embedstore.cli.printing import print_json
from embedstore.cli.terminal import echo

from embedstore.core.counts import counted, shown_bytes

__all__ = ["info"]


@click.command()
@store_argument
@json_option
def info(store: str, as_json: bool) -> None:
    """Show corpora, spaces, indexes, maps, probes and sizes.

    Each space is shown with its key and the number of texts that it covers.
    """
    found = open_named(store).info()
    if as_json:
        print_json(found)
        return
    lines = [
        f"{found['path']}: {counted(found['texts'], 'distinct text')}, {shown_bytes(found['bytes'])}, "
        f"manifest {found['sequence']}"
    ]
    for corpus in found["corpora"]:
        lines.append(
            f"corpus {corpus['name']}: {counted(corpus['rows'], 'row')}, "
            f"{counted(corpus['distinct_texts'], 'distinct text')}, "
            f"{corpus['empty']:,} empty; text {corpus['text']}, id {corpus['id'] or 'row number'}"
        )
        lines.append(f"    columns {', '.join(corpus['columns'])}")
    for space in found["spaces"]:
        lines += _space_lines(space, found["texts"])
    lines += [
        f"index of space {i['space'][:12]}: {i['kind']} over {counted(i['texts'], 'text')}, {shown_bytes(i['bytes'])}"
        for i in found["indexes"]
    ]
    lines += [
        f"map of corpus {m['corpus']} in space {m['space'][:12]}: {m['method']} of {counted(m['texts'], 'text')}"
        for m in found["maps"]
    ]
    lines += [f"probe {probe['name']} in space {probe['space'][:12]}" for probe in found["probes"]]
    echo(*lines)


def _space_lines(space: dict[str, Any], texts: int) -> list[str]:
    spec = space["spec"]
    lines = [
        f"space {space['key'][:12]}: {space['model']}{'@' + space['revision'] if space['revision'] else ''}, "
        f"{counted(space['dimension'], 'dimension')}, {spec['dtype']}, {shown_bytes(space['bytes'])}",
        f"    covers {space['texts']:,} of {counted(texts, 'text')}, {space['truncated']:,} truncated; "
        f"labels and queries {space['queries']:,}",
        f"    key {space['key']}",
        "    spec " + ", ".join(f"{name} {value!r}" for name, value in spec.items()),
    ]
    if space["head"]:
        lines.insert(2, f"    logits of {', '.join(space['head']['labels'])}; {space['head']['activation']}")
    for p in space["provenance"]:
        if p["backend"] == "import":
            lines.append(f"    vectors of {p['model']} that were made elsewhere")
            continue
        versions = ", ".join(f"{name} {version}" for name, version in p["versions"])
        batches = f"batches of {p['batch_size']}" if p["batch_size"] else "batches filled by tokens"
        lines.append(f"    made with {p['backend']} {p['precision']} on {p['device']}, {batches}, {versions}")
    return lines
