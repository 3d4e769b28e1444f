"""The schedule of a cluster, against simulated workers and a simulated clock."""

from hypothesis import given
from hypothesis import strategies as st

from embedstore.cluster.schedule import Schedule

EVENTS = st.lists(st.sampled_from(["done", "done", "done", "die", "join", "late", "again", "wait"]), max_size=60)


def test_a_worker_has_at_most_two_tasks():
    schedule = Schedule([10] * 7)
    schedule.join(0)
    schedule.join(1)
    assert schedule.handed(0) == [(0, 0), (1, 1), (0, 2), (1, 3)]
    assert schedule.handed(0) == []
    assert schedule.finish(0, 0, 1)
    assert schedule.handed(1) == [(0, 4)]
    assert not schedule.finish(0, 0, 2)
    assert not schedule.finish(1, 4, 2)


def test_the_tasks_of_a_dead_worker_come_first_and_only_its_first_is_blamed():
    schedule = Schedule([10] * 5)
    for worker in range(3):
        schedule.join(worker)
        assert schedule.handed(0)[0] == (worker, 0)
        assert schedule.lose(worker) == (0 if worker == 2 else None)
    assert schedule.set_aside == [0]
    schedule.join(3)
    assert schedule.handed(0) == [(3, 1), (3, 2)]
    assert schedule.lose(3) is None  # 1 was never the first before
    assert schedule.left == 4


def test_a_result_of_a_lost_worker_does_not_count():
    schedule = Schedule([10])
    schedule.join(0)
    schedule.handed(0)
    schedule.lose(0)
    assert not schedule.finish(0, 0, 1)
    schedule.join(1)
    assert schedule.handed(1) == [(1, 0)]
    assert schedule.finish(1, 0, 2)
    assert schedule.left == 0


def test_deadlines_follow_the_slowest_rate():
    schedule = Schedule([100, 100, 1000, 1000, 1000])
    schedule.join(0)
    schedule.join(1)
    schedule.handed(0)
    assert schedule.late(1800) == []
    assert schedule.late(1801) == [0, 1]
    schedule.finish(0, 0, 100)  # 1 text a second
    assert schedule.late(1000) == []  # the first of worker 1 has 100 texts, the one of worker 0 has 1,000
    assert schedule.late(1001) == [1]
    schedule.finish(1, 1, 200)  # half a text a second
    assert schedule.late(20_100) == []
    assert schedule.late(20_101) == [0]


def test_a_deadline_can_be_given_and_small_tasks_have_a_minute():
    given_ = Schedule([10], timeout=5)
    given_.join(0)
    given_.handed(0)
    assert (given_.late(5), given_.late(5.1)) == ([], [0])
    small = Schedule([10, 10])
    small.join(0)
    small.handed(0)
    small.finish(0, 0, 0.001)
    assert (small.late(60), small.late(60.1)) == ([], [0])


@given(sizes=st.lists(st.integers(1, 100), min_size=1, max_size=12), events=EVENTS, seed=st.randoms())
def test_every_task_is_done_once_or_set_aside_after_three_workers(sizes, events, seed):
    schedule, now, next_worker = Schedule(sizes), 0.0, 0
    having: dict[int, list[int]] = {}
    done, ended = [], [0] * len(sizes)

    def lose(worker):
        tasks = having.pop(worker)
        if tasks:
            ended[tasks[0]] += 1
        aside = schedule.lose(worker)
        assert (aside is not None) == bool(tasks and ended[tasks[0]] == 3)

    for event in [*events, *["join", *["done"] * 3 * len(sizes)]]:
        now += seed.choice([0.1, 10, 5000])
        for worker, task in schedule.handed(now):
            having[worker].append(task)
            assert len(having[worker]) <= 2
        busy = [worker for worker, tasks in having.items() if tasks]
        if event == "join":
            schedule.join(next_worker)
            having[next_worker] = []
            next_worker += 1
        elif event == "die" and having:
            lose(seed.choice(list(having)))
        elif event == "late":
            for worker in schedule.late(now):
                lose(worker)
        elif event == "done" and busy:
            worker = seed.choice(busy)
            task = having[worker].pop(0)
            assert schedule.finish(worker, task, now)
            done.append(task)
        elif event == "again" and busy:
            worker = seed.choice(busy)
            schedule.again(worker, having[worker].pop(0), now)
        running = [task for tasks in having.values() for task in tasks]
        assert len(set(running)) == len(running)
        assert schedule.left == len(sizes) - len(done) - len(schedule.set_aside)
    while schedule.left:
        for worker, task in schedule.handed(now):
            having[worker].append(task)
        worker = next(worker for worker, tasks in having.items() if tasks)
        done.append(having[worker].pop(0))
        assert schedule.finish(worker, done[-1], now)
    assert sorted([*done, *schedule.set_aside]) == list(range(len(sizes)))
    assert all((ended[task] == 3) == (task in schedule.set_aside) for task in range(len(sizes)))
