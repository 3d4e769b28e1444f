"""Run the command line with `python -m embedstore.cli`."""

from embedstore.cli.main import main

main()
