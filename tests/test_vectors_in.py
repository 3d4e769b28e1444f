"""The page about vectors that were made elsewhere: its commands are run, and print what it shows."""

import re
import shlex
import shutil
from pathlib import Path

from documents import agree, homeless

from embedstore.demo import TRAIN

PAGE = (Path(__file__).parent.parent / "docs" / "vectors-in.md").read_text()


def test_the_page_shows_what_its_commands_print(cli):
    shutil.copy(TRAIN, cli.home.parent / "reviews.csv")
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", blocks, re.MULTILINE)
    assert len(commands) == 9
    for command, shown in commands:
        done = cli(*shlex.split(command)[1:], environment=homeless(cli))
        notes = "".join(line for line in done.stderr.splitlines(keepends=True) if line.startswith("note:"))
        found = notes + done.stdout if done.returncode == 0 else done.stderr
        shown, found = (" ".join(re.sub(r"[\d.]+ s\n", "N s\n", text).split()) for text in (shown, found))
        assert agree(shown, found), f"{shown}\n{found}"
        assert (done.returncode == 0) == (not shown.startswith("Error")), done.stderr
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = cli("-c", block, environment=homeless(cli))
    assert done.returncode == 0, done.stderr
    assert "16 texts encoded again agree" in done.stdout
