"""Give a corpus another name, or take it out of the store: each is one commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from embedstore.annotations.log import fold_answers, read_part, renamed_part
from embedstore.core.counts import counted
from embedstore.core.names import check_name, nearest_hint
from embedstore.core.settings import Home
from embedstore.errors import NotFoundError, UsageError
from embedstore.storage import locks
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import AnnotationPart
from embedstore.storage.state import Manifest

__all__ = ["DropReport", "drop_corpus", "rename_corpus"]


@dataclass(frozen=True, slots=True)
class DropReport:
    """The result of dropping a corpus.

    Parameters
    ----------
    corpus : str
        Its name.
    rows : int
        Its rows, which the store no longer has.
    answers : int
        Answers of people to its rows. They stay in the store, and count again if rows with these texts are added.
    maps : int
        Its maps, which the store no longer has.
    """

    corpus: str
    rows: int
    answers: int
    maps: int

    def __str__(self) -> str:
        said = f", with {counted(self.answers, 'answer')} to them" if self.answers else ""
        return f"{counted(self.rows, 'row')} of corpus {self.corpus!r}{said}"


def rename_corpus(home: Home, old: str, new: str) -> None:
    """Give a corpus another name; its rows, maps and answers stay as they are.

    Parameters
    ----------
    home : Home
        The store.
    old, new : str
        The name of the corpus, and the name that it gets.

    Raises
    ------
    NotFoundError
        If there is no corpus of the name `old`.
    UsageError
        If there is one of the name `new`, or no corpus can have it.
    """
    check_name("corpus", new)
    with _changing(home, old):
        kept: dict[AnnotationPart, AnnotationPart] = {}

        def renamed(part: AnnotationPart) -> AnnotationPart:
            if part not in kept:
                kept[part] = renamed_part(home.root, part, old, new)
            return kept[part]

        def change(base: Manifest) -> Manifest:
            _check_there(base, old)
            if new in base.corpora:
                found = "its name already" if new == old else f"{new!r}, which is another corpus"
                raise UsageError(f"expected a new name for corpus {old!r}, found {found}")
            return replace(
                base,
                corpora={new if name == old else name: record for name, record in base.corpora.items()},
                maps={(space, new if name == old else name): one for (space, name), one in base.maps.items()},
                annotations=tuple(map(renamed, base.annotations)),
            )

        commit(home.root, change)


def drop_corpus(home: Home, name: str, *, dry_run: bool = False) -> DropReport:
    """Take a corpus out of the store: its rows, columns and maps.

    The texts stay in the store with their vectors, so to add the same rows again encodes nothing. Files that are no
    longer referred to stay until `gc`.

    Parameters
    ----------
    home : Home
        The store.
    name : str
        The name of the corpus.
    dry_run : bool
        Only report what would go.

    Raises
    ------
    NotFoundError
        If there is no such corpus.
    """
    root = home.root
    if dry_run:
        return _report(home, load(root), name)
    with _changing(home, name):
        report = _report(home, load(root), name)

        def change(base: Manifest) -> Manifest:
            _check_there(base, name)
            return replace(
                base,
                corpora={other: record for other, record in base.corpora.items() if other != name},
                maps={key: one for key, one in base.maps.items() if key[1] != name},
            )

        commit(root, change)
    return report


@contextmanager
def _changing(home: Home, name: str) -> Iterator[None]:
    """Hold the locks of `add`: rows that are being read go to a corpus that is there, or to none."""
    _check_there(load(home.root), name)  # before anything is locked, as a lock file would be made
    with locks.adding(home.root, home.settings.wait), locks.writing(home.root, home.settings.wait):
        yield


def _check_there(manifest: Manifest, name: str) -> None:
    if name not in manifest.corpora:
        raise NotFoundError(f"no corpus {name!r}: {nearest_hint(name, list(manifest.corpora))}")


def _report(home: Home, manifest: Manifest, name: str) -> DropReport:
    _check_there(manifest, name)
    answers = fold_answers(one for part in manifest.annotations for one in read_part(home.root, part))
    said = sum(one.corpus == name and one.action == "label" for one in answers)
    maps = sum(corpus == name for _, corpus in manifest.maps)
    return DropReport(name, manifest.corpora[name].rows, said, maps)
