"""The options of `encode` for a Ray cluster."""

from typing import TYPE_CHECKING, Any

import click
from embedstore.cli.options import Decorator, together

from embedstore.errors import UsageError

if TYPE_CHECKING:
    from embedstore.vectors.executors import Executor

__all__ = ["cluster_options", "executor_of"]

_OPTIONS = ("workers", "cores_per_worker", "gpus_per_worker", "storage", "task_timeout")

cluster_options: Decorator = together(
    click.option(
        "--ray",
        "address",
        is_flag=False,
        flag_value="",
        metavar="[ADDRESS]",
        help="Encode on a Ray cluster: HOST:PORT, or else the one on this machine, or a new one (docs/cluster.md).",
    ),
    click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Workers; by default as many as fit."),
    click.option("--cores-per-worker", type=click.IntRange(min=1), metavar="N", help="Cores of each; by default 1."),
    click.option("--gpus-per-worker", type=click.FloatRange(min=0), metavar="N", help="GPUs of each; by default 0."),
    click.option(
        "--storage",
        type=click.Choice(["auto", "shared", "sent"]),
        help="Do workers write into STORE, or send their vectors? By default they write if they see it.",
    ),
    click.option(
        "--task-timeout",
        type=click.FloatRange(min=1),
        metavar="SECONDS",
        help="Give a segment to another worker after this; by default ten times what the slowest needs.",
    ),
)
"""The options of a cluster: `address` is None without --ray, and "" where it has no value."""


def executor_of(options: dict[str, Any]) -> "str | Executor":
    """Return the executor that the options ask for.

    Raises
    ------
    UsageError
        If there are options of a cluster and no --ray, or its address is none.
    """
    given = {name: options[name] for name in _OPTIONS if options[name] is not None}
    address = options["address"]
    if address is None:
        if given:
            raise UsageError(f"expected --ray with --{next(iter(given)).replace('_', '-')}, found none: add --ray")
        return "local"
    if address and ":" not in address:
        raise UsageError(
            f"expected --ray or --ray HOST:PORT, found --ray {address}: put a FILE before --ray, or another option "
            "after it"
        )
    from embedstore.cluster import RayExecutor

    return RayExecutor(address or None, **given)
