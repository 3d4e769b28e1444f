"""The command line, installed as `embedstore.cli`: each command parses, calls the library and prints."""

from embedstore.cli.main import main

__all__ = ["main"]
