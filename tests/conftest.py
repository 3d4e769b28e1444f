"""Fixtures: a small deterministic encoder, stores made with it, and the real command line."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# Threads of OpenMP that wait for each other sleep, and matrices are multiplied by one thread: those of OpenBLAS wait in
# a loop, which would take the cores from the tests beside them. The libraries read this when they are loaded, and
# processes that a test starts inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
from forking import Forking
from threadpoolctl import ThreadpoolController

import embedstore
from embedstore.core.spec import EncoderSpec, Provenance

LABELS = ["Negative", "Positive"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a shell has put in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

_AT_FIRST = dict(os.environ)  # some tests change it, and any of them can be the first that needs the server of forks


NO_BROWSER = "the page was not tested: install Chromium (Debian: apt-get install chromium)"


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without a browser where one is required."""
    if os.environ.get("EMBEDSTORE_BROWSER") == "required" and shutil.which("chromium") is None:
        raise pytest.UsageError(NO_BROWSER)


# The files that take longest start first, so that no worker is left with one at the end.
_LONG = (
    *("ray", "faults", "threads", "tensorflow", "guides", "readme", "full_disk", "fuzz", "contracts", "tutorial"),
    *("access", "judge_page", "journeys", "page", "classify", "values", "use_page", "help", "imports", "terminal"),
    *("shape_page", "blank", "encoders", "keep_page", "map_page", "fetching", "scale", "topics", "search", "keys"),
    *("web", "cli", "incoming", "desk", "native"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; each worker does the same."""
    place = {f"test_{name}.py": number for number, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(_LONG)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end that the page was not tested."""
    if shutil.which("chromium") is None:
        terminalreporter.write_line(NO_BROWSER)


@contextmanager
def locked_elsewhere(root: Path, name: str = ".lock", kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock file of a store as another process would: in an open file that the package does not know."""
    with (root / name).open("w") as stream:
        fcntl.flock(stream, kind)
        yield


class HashEncoder:
    """An encoder whose unit vectors come from a generator seeded with prompt + text: equal texts, equal vectors."""

    def __init__(self, dimension: int = 16, *, prompt: str = "", dtype: str = "float32", backend: str = "hash") -> None:
        self.dimension = dimension
        self.spec = EncoderSpec(
            digest=hashlib.sha256(b"hash encoder").hexdigest(),
            pooling="none",
            normalized=True,
            max_seq_length=8,
            prompt=prompt,
            truncate_dim=dimension,
            dtype=dtype,
        )
        self.provenance = Provenance(
            model="hash", revision="", backend=backend, device="cpu", precision="float32", batch_size=1, versions=()
        )
        self.encoded: list[str] = []

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256((prompt + text).encode()).digest()[:8], "little")
        vector = np.random.default_rng(seed).normal(size=self.dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        self.encoded += texts
        if on_texts:
            on_texts(len(texts), sum(len(text.split()) > self.spec.max_seq_length for text in texts))
        return np.stack([self.vector(text, self.spec.prompt if prompt is None else prompt) for text in texts])


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture
def rows() -> list[dict[str, object]]:
    return small_rows()


def small_rows() -> list[dict[str, object]]:
    texts = ["good tea", "bad tea", "", "good tea", "a lamp", "too bright", "nice", "awful", "fine", "poor"]
    return [{"key": f"k{i}", "review": text, "stars": i % 2 + 1} for i, text in enumerate(texts)]


@pytest.fixture(scope="session")
def small_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, small_encoder: HashEncoder) -> embedstore.EmbeddingStore:
    """A store that nobody changes or asks: `store` is a copy of it."""
    made = embedstore.create(tmp_path_factory.mktemp("small") / "store", encoder=small_encoder)
    made.add(small_rows(), text="review", id="key")
    made.encode()
    made.tag(LABELS)
    return made


@pytest.fixture
def store(
    tmp_path: Path, encoder: HashEncoder, small: embedstore.EmbeddingStore, small_encoder: HashEncoder
) -> embedstore.EmbeddingStore:
    """A store with ten rows of nine texts, encoded, and with cached vectors of LABELS."""
    shutil.copytree(small.path, tmp_path / "home" / "small")
    encoder.encoded += small_encoder.encoded
    return embedstore.open(tmp_path / "home" / "small", encoder=encoder)


@pytest.fixture
def target(tmp_path: Path, encoder: HashEncoder) -> embedstore.EmbeddingStore:
    """A store without rows."""
    return embedstore.create(tmp_path / "target", encoder=encoder)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def query_vectors(store, texts, *, prompt=None, no_encode=False) -> np.ndarray:
    """Return unit vectors of labels or search texts in the store's default space."""
    with store.snapshot() as now:
        return now.queries(now.space(), no_encode=no_encode)(texts, prompt=prompt)


def texts_of(store, corpus=None) -> list[str]:
    """Return the stored text of each row of a corpus."""
    with store.snapshot() as now:
        return now.texts.at(now.corpus(corpus).positions())


class CommandLine:
    """Runs `embedstore` in a separate process: a fork of one that has imported all, or one of its own (`command`)."""

    def __init__(self, home: Path, forking: Forking) -> None:
        self.home = home
        self._forking = forking

    def command(self, *words: object) -> list[str]:
        """Return the words of a process of its own; ``-c SCRIPT`` are a Python script, as for forks."""
        words = words if words[:1] == ("-c",) else ("-m", "embedstore.cli", *words)
        return [sys.executable, *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        return self.environment_of(self.home)

    @staticmethod
    def environment_of(home: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
        # PYTHONWARNINGS=error is not set: FAISS and NumPy warn, and pytest's filters hold only in its own process.
        # One thread for products of matrices: commands run beside tests, where more threads wait for a core in a loop.
        fixed = {"HF_HUB_OFFLINE": "1", "COLUMNS": "80", "OPENBLAS_NUM_THREADS": "1"}
        return {**given, "EMBEDSTORE_HOME": str(home), **fixed}

    def __call__(
        self, *words: object, stdin: str | bytes = b"", environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        environment = self.environment if environment is None else environment
        if self._forking.serves(environment):
            done = self._forking([*map(str, words)], input=given, environment=environment, folder=self.home.parent)
        else:
            done = subprocess.run(
                self.command(*words), input=given, capture_output=True, env=environment, cwd=self.home.parent
            )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def fails(self, code: int, *words: object, stdin: str | bytes = b"") -> str:
        """Run; expect this exit code and one error line on stderr; return that line."""
        done = self(*words, stdin=stdin)
        assert done.returncode == code, done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        return lines[0]


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    """The process of which commands are forks."""
    made = Forking(CommandLine.environment_of(tmp_path_factory.getbasetemp(), _AT_FIRST))
    yield made
    made.close()


@pytest.fixture
def cli(tmp_path: Path, forking: Forking) -> CommandLine:
    (tmp_path / "home").mkdir(exist_ok=True)
    return CommandLine(tmp_path / "home", forking)


@pytest.fixture
def two_threads_of_blas() -> Iterator[None]:
    """Matrices are multiplied by two threads, as outside of the tests."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]

    def give(threads: Sequence[int]) -> None:
        with ThreadPoolExecutor(1) as pool:  # the limit of a thread that has ended can be changed by others
            pool.submit(lambda: [one.set_num_threads(n) for one, n in zip(libraries, threads, strict=True)]).result()

    give([2] * len(libraries))
    yield
    give(before)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a store `demo`: the first 60 shipped reviews, encoded with the bundled model."""
    from embedstore.demo import TRAIN

    home = tmp_path_factory.mktemp("demo") / "home"
    home.mkdir()
    made = embedstore.create(home / "demo")
    made.add(TRAIN, text="{title}: {review}", id="id", limit=60)
    made.encode()
    made.tag(["Negative", "Positive"])
    return home


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that saves a small random checkpoint; the same arguments give the same checkpoint."""
    from checkpoints import save_checkpoint

    made: dict[str, Path] = {}

    def make(family: str, **options: object) -> Path:
        name = f"{family} {options}"
        if name not in made:
            made[name] = save_checkpoint(tmp_path_factory.mktemp(family) / "checkpoint", family, **options)
        return made[name]

    return make


# Generated inputs: few and the same in every run of `make test`, many and new ones in `make torture`.
hypothesis.settings.register_profile("quick", max_examples=20, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("torture", max_examples=500, deadline=None, database=None)
hypothesis.settings.load_profile("torture" if os.environ.get("EMBEDSTORE_TORTURE") else "quick")
