"""The command line, installed as `embedstore.cli`: it parses, calls one library function, prints."""

from embedstore.cli.main import main

__all__ = ["main"]
