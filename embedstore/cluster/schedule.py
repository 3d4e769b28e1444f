"""Who gets which task: workers that die or are late, and tasks that end their workers. It knows no clock and no Ray."""

from collections import Counter, deque
from collections.abc import Sequence

__all__ = ["Schedule"]

_GENEROUS = 10.0  # times the time that a task takes at the slowest rate seen
_SHORTEST, _UNMEASURED = 60.0, 1800.0  # seconds: the shortest deadline, and the one before a task is done


class Schedule:
    """The tasks of a run, by number, and the workers that have them, by number too.

    A worker computes its tasks one after another. The first of them is the one that it is at: if it dies or is late,
    that one counts as what ended it. Its tasks go to any other worker.

    Parameters
    ----------
    sizes : sequence of int
        The number of texts of each task.
    in_flight : int
        Tasks that a worker has at most; with two of them it waits for nobody between them.
    most_ended : int
        Workers that a task may end before it is set aside.
    timeout : float, optional
        Seconds that a task may take; by default ten times what the slowest worker so far would need.

    Attributes
    ----------
    set_aside : list of int
        The tasks that ended too many workers.
    """

    def __init__(
        self, sizes: Sequence[int], *, in_flight: int = 2, most_ended: int = 3, timeout: float | None = None
    ) -> None:
        self._sizes = sizes
        self._in_flight = in_flight
        self._most_ended = most_ended
        self._timeout = timeout
        self._waiting = deque(range(len(sizes)))
        self._tasks: dict[int, list[int]] = {}  # of each worker, the one that it is at first
        self._since: dict[int, float] = {}  # when a worker began its first task
        self._ended: Counter[int] = Counter()
        self._slowest: dict[int, float] = {}  # the lowest rate of each worker in texts a second
        self._done: set[int] = set()
        self.set_aside: list[int] = []

    @property
    def workers(self) -> list[int]:
        """The workers that can get tasks."""
        return list(self._tasks)

    @property
    def left(self) -> int:
        """The number of tasks that are neither done nor set aside."""
        return len(self._sizes) - len(self._done) - len(self.set_aside)

    def join(self, worker: int) -> None:
        """Give tasks to a worker from now on."""
        self._tasks[worker] = []

    def handed(self, now: float) -> list[tuple[int, int]]:
        """Return what is to be sent now, as pairs of a worker and a task; those with the fewest tasks come first."""
        found = []
        while self._waiting and self._tasks:
            worker = min(self._tasks, key=lambda one: len(self._tasks[one]))
            if len(self._tasks[worker]) >= self._in_flight:
                break
            if not self._tasks[worker]:
                self._since[worker] = now
            task = self._waiting.popleft()
            self._tasks[worker].append(task)
            found.append((worker, task))
        return found

    def finish(self, worker: int, task: int, now: float) -> bool:
        """Take a task from its worker as done; return False if it is not the worker's any more."""
        if not self._take(worker, task, now):
            return False
        self._done.add(task)
        return True

    def again(self, worker: int, task: int, now: float) -> None:
        """Take a task from its worker as not done: its result can't be used."""
        if self._take(worker, task, now):
            self._waiting.appendleft(task)

    def _take(self, worker: int, task: int, now: float) -> bool:
        if task not in self._tasks.get(worker, ()):
            return False
        seconds = max(now - self._since[worker], 1e-9)
        rate = self._sizes[task] / seconds
        self._slowest[worker] = min(rate, self._slowest.get(worker, rate))
        self._tasks[worker].remove(task)
        self._since[worker] = now
        return True

    def lose(self, worker: int) -> int | None:
        """Give the tasks of a worker that is no more to the others; return the task that is set aside, if one is."""
        tasks = self._tasks.pop(worker, [])
        aside = None
        if tasks:
            self._ended[tasks[0]] += 1
            if self._ended[tasks[0]] >= self._most_ended:
                aside = tasks.pop(0)
                self.set_aside.append(aside)
        self._waiting.extendleft(reversed(tasks))
        return aside

    def late(self, now: float) -> list[int]:
        """Return the workers whose first task takes longer than its deadline."""
        return [
            worker
            for worker, tasks in self._tasks.items()
            if tasks and now - self._since[worker] > self._limit(tasks[0])
        ]

    def _limit(self, task: int) -> float:
        if self._timeout is not None:
            return self._timeout
        if not self._slowest:
            return _UNMEASURED
        return max(_SHORTEST, _GENEROUS * self._sizes[task] / min(self._slowest.values()))
