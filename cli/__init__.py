"""The command line, installed as `embedstore.cli`: each command parses, calls the library and prints."""

from embedstore.cli import interrupts

interrupts.end_at_once()

from embedstore.cli.main import main  # noqa: E402  Ctrl-C must be handled before this import

__all__ = ["main"]
