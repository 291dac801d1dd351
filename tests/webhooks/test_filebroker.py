"""The broker made of files, used by several processes at once."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty

import kombu
import pytest

from tests.processes import ROOT

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


def connect(folder: Path) -> kombu.Connection:
    return kombu.Connection(
        "filesystem://",
        transport="webhooks.filebroker:Transport",
        transport_options={
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.01,
        },
    )


@pytest.fixture
def run(folder: Path) -> Run:
    """`run(script, ...)`: another process, with `connection` and its arguments in `words`."""

    def start(script: str, *words: object) -> subprocess.Popen[str]:
        head = """
            import sys
            from pathlib import Path
            from queue import Empty
            from tests.webhooks.test_filebroker import connect
            words = sys.argv[2:]
            connection = connect(Path(sys.argv[1]))
        """
        whole = textwrap.dedent(head) + textwrap.dedent(script)
        command = [sys.executable, "-c", whole, str(folder), *map(str, words)]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def outcome(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_each_message_of_many_writers_reaches_one_of_many_readers_whole(
    run: Run, folder: Path
) -> None:
    write = """
        with connection.SimpleQueue("q") as queue:
            for number in range(200):
                queue.put({"from": words[0], "number": number, "padding": "x" * 20_000})
    """
    # The last messages, one for each reader, are not for printing.
    read = """
        with connection.SimpleQueue("q") as queue:
            while (message := queue.get(timeout=60)).payload["from"] != "the end":
                print(message.payload["from"], message.payload["number"], flush=True)
                message.ack()
    """
    readers = [run(read) for _ in range(2)]
    writers = [run(write, name) for name in ("a", "b")]
    for writer in writers:
        outcome(writer)
    with connect(folder) as connection, connection.SimpleQueue("q") as queue:
        for _ in readers:
            queue.put({"from": "the end"})
    lines = [line for reader in readers for line in outcome(reader).splitlines()]
    assert sorted(lines) == sorted(f"{name} {n}" for name in ("a", "b") for n in range(200))


def test_processes_that_start_together_lose_none_of_their_queues(run: Run, folder: Path) -> None:
    bind = """
        exchange = __import__("kombu").Exchange("shared", type="fanout")
        with connection.channel() as channel:
            for number in range(40):
                name = f"{words[0]}{number}"
                __import__("kombu").Queue(name, exchange)(channel).declare()
    """
    for process in [run(bind, name) for name in ("a", "b", "c")]:
        outcome(process)
    table = json.loads((folder / "control" / "shared.exchange").read_text())
    assert {row[2] for row in table} == {f"{name}{n}" for name in "abc" for n in range(40)}


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A queue's: kombu remembers for a whole process which ones it has declared."""
    return tmp_path.name


def test_messages_come_in_the_order_of_writing(folder: Path, name: str) -> None:
    with connect(folder) as connection, connection.SimpleQueue(name) as queue:
        for number in range(30):
            queue.put(number)
        assert [queue.get(timeout=60).payload for _ in range(30)] == list(range(30))


@pytest.mark.parametrize("content", [b"", b'{"half', b"\xff"], ids=["empty", "half", "no text"])
def test_a_broken_file_is_dropped_and_does_not_stop_the_rest(
    folder: Path, name: str, content: bytes
) -> None:
    (folder / "queue" / f"0_0.{name}.msg").write_bytes(content)
    (folder / "control" / f"{name}.exchange").write_bytes(content)
    with connect(folder) as connection, connection.SimpleQueue(name) as queue:
        queue.put("whole")
        message = queue.get(timeout=60)
        assert message.payload == "whole"
        message.ack()
        with pytest.raises(Empty):
            queue.get(timeout=0.05)
    assert not any((folder / "queue").iterdir())


def test_a_deleted_queue_gets_nothing_more(folder: Path, name: str) -> None:
    table = folder / "control" / f"{name}.exchange"
    with connect(folder) as connection, connection.SimpleQueue(name) as queue:
        queue.put("before")
        assert [row[2] for row in json.loads(table.read_text())] == [name]
        queue.queue.delete()
    assert json.loads(table.read_text()) == []
    assert not any((folder / "queue").iterdir())


def leave_behind(folder: Path, queue: str, count: int) -> None:
    """`count` messages that nobody has read yet."""
    with connect(folder) as connection, connection.SimpleQueue(queue) as simple:
        simple.put(0)
        [written] = (folder / "queue").glob(f"*.{queue}.msg")
        content = written.read_bytes()
        for number in range(1, count):
            (folder / "queue" / f"{time.time_ns():020}_{number}.{queue}.msg").write_bytes(content)


def cost_of_a_message(folder: Path, queue: str) -> float:
    """Seconds of CPU for each message, while a second queue is looked at as a worker does."""
    costs = []
    with (
        connect(folder) as connection,
        connection.SimpleQueue(queue) as simple,
        connection.SimpleQueue(f"{queue}-second") as second,
    ):
        for _ in range(5):
            start = time.process_time()
            for _ in range(60):
                simple.get(timeout=60).ack()
                with pytest.raises(Empty):
                    second.get_nowait()
            costs.append((time.process_time() - start) / 60)
    return statistics.median(costs)


def test_a_message_costs_the_same_however_many_wait(folder: Path, name: str) -> None:
    costs = []
    for count in (500, 5000):
        (folder / str(count)).mkdir()
        for sub in ("queue", "control"):
            (folder / str(count) / sub).mkdir()
        leave_behind(folder / str(count), f"{name}{count}", count)
        costs.append(cost_of_a_message(folder / str(count), f"{name}{count}"))
    few, many = costs
    assert many < 4 * few


def test_an_idle_reader_does_not_list_what_waits_for_others(
    run: Run, folder: Path, name: str
) -> None:
    leave_behind(folder, f"{name}-other", 50)
    read = """
        import time
        listed = 0
        def watch(event, arguments):
            global listed
            listed += event in ("os.listdir", "os.scandir")
        sys.addaudithook(watch)
        with connection.SimpleQueue(words[0]) as queue:
            deadline = time.monotonic() + 60
            quiet = 0
            while quiet < 40 and time.monotonic() < deadline:
                before = listed
                try:
                    queue.get(timeout=0.02)
                except Empty:
                    pass
                quiet = quiet + 1 if listed == before else 0
            print("quiet" if quiet == 40 else "lists again and again", flush=True)
            print(queue.get(timeout=60).payload, flush=True)
    """
    reader = run(read, name)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "quiet\n"
    # What comes then is seen: this file and the folder's other changes are told apart.
    with connect(folder) as connection, connection.SimpleQueue(name) as queue:
        queue.put("news")
    assert outcome(reader) == "news\n"


def take(queue: kombu.simple.SimpleQueue, count: int) -> list[object]:
    taken = []
    for _ in range(count):
        message = queue.get(timeout=60)
        message.ack()
        taken.append(message.payload)
    return taken


def test_what_waits_for_others_stays_and_keeps_its_order(folder: Path, name: str) -> None:
    with (
        connect(folder) as connection,
        connection.SimpleQueue(name) as queue,
        connection.SimpleQueue(f"{name}-other") as other,
    ):
        for number in range(20):
            queue.put(number)
            other.put(number)
        assert take(queue, 10) == list(range(10))
        other.put(20)
        with connect(folder) as second, second.SimpleQueue(name) as faster:
            assert take(faster, 5) == list(range(10, 15))
        # Names that were listed and are gone by now are passed over.
        assert take(queue, 5) == list(range(15, 20))
        with pytest.raises(Empty):
            queue.get(timeout=0.05)
        assert take(other, 21) == list(range(21))
