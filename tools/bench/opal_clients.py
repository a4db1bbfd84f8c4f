"""Drives the control "OPAL" of notp-bench: OPAL's server as a process, and many of OPAL's own clients here.

    opal_clients.py PORT CLIENTS ROUNDS BYTES

Each client is an opal_client DataUpdater with its subscription to the server's WebSocket; in the place of OPA's
API it has a store that notes when an entry came. The entry is in the update itself, so that no client fetches
anything. Prints one line of JSON. Runs with the Python of
tools/bench/opal-environment.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from importlib.metadata import version

PORT, CLIENTS, ROUNDS, BYTES = (int(word) for word in sys.argv[1:5])
START_S, ROUND_S = 120, 60
SERVER = f"http://127.0.0.1:{PORT}"
os.environ["OPAL_SERVER_URL"] = SERVER

import aiohttp  # noqa: E402
from opal_client.data.updater import DataUpdater  # noqa: E402
from opal_client.policy_store.mock_policy_store_client import MockPolicyStoreClient  # noqa: E402
from opal_client.logger import logger  # noqa: E402

logger.remove()  # the clients write no log


class Round:
    def __init__(self) -> None:
        self.number = -1
        self.times: list[float] = []
        self.done = asyncio.Event()

    def begin(self, number: int) -> None:
        self.number, self.times = number, []
        self.done.clear()

    def add(self, entry: dict) -> None:
        if entry["number"] != self.number:
            return
        self.times.append(time.monotonic())
        if len(self.times) == CLIENTS:
            self.done.set()


class Store(MockPolicyStoreClient):
    """What a client writes to."""

    def __init__(self, current: Round) -> None:
        super().__init__()
        self.current = current

    async def set_policy_data(self, policy_data, path="", transaction_id=None) -> None:
        self.current.add(policy_data)


def start_server() -> subprocess.Popen:
    environment = os.environ | {
        "OPAL_REPO_WATCHING_ENABLED": "false",
        "OPAL_STATISTICS_ENABLED": "false",
        "OPAL_LOG_LEVEL": "ERROR",
    }
    words = ["-m", "uvicorn", "opal_server.main:app", "--host", "127.0.0.1", "--port", str(PORT)]
    return subprocess.Popen(
        [sys.executable, *words, "--log-level", "error", "--no-access-log"],
        env=environment,
        stdout=sys.stderr,
    )


def processor_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def await_server(session: aiohttp.ClientSession, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            async with session.get(f"{SERVER}/healthcheck") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("OPAL's server does not serve")
        await asyncio.sleep(0.1)


async def publish(session: aiohttp.ClientSession, number: int) -> None:
    entry = {"number": number, "text": "x" * BYTES}
    update = {
        "reason": f"round {number}",
        "entries": [{"url": "", "topics": ["policy_data"], "dst_path": "/limits", "data": entry}],
    }
    async with session.post(f"{SERVER}/data/config", json=update) as answer:
        if answer.status != 200:
            sys.exit(f"OPAL's server does not take an update: {await answer.text()}")


async def measure(server: subprocess.Popen) -> dict:
    current = Round()
    async with aiohttp.ClientSession() as session:
        await await_server(session, server)
        updaters = [
            DataUpdater(
                pubsub_url=f"ws://127.0.0.1:{PORT}/ws",
                data_topics=["policy_data"],
                fetch_on_connect=False,
                policy_store=Store(current),
                should_send_reports=False,
                opal_client_id=f"client-{number}",
            )
            for number in range(CLIENTS)
        ]
        for updater in updaters:
            await updater.start()
        deadline = time.monotonic() + START_S
        for updater in updaters:
            while updater._client is None:
                await asyncio.sleep(0.01)
            await asyncio.wait_for(updater._client.wait_until_ready(), deadline - time.monotonic())
        fetched, server_s, client_s = [], 0.0, 0.0
        for number in range(ROUNDS + 1):  # the first one is not counted
            current.begin(number)
            server_before, client_before = processor_s(server.pid), own_processor_s()
            begin = time.monotonic()
            await publish(session, number)
            await asyncio.wait_for(current.done.wait(), ROUND_S)
            if number == 0:
                continue
            fetched.append([(then - begin) * 1e3 for then in current.times])
            server_s += processor_s(server.pid) - server_before
            client_s += own_processor_s() - client_before
    return {
        "version": version("opal-server"),
        "fetched_ms": fetched,
        "server_s": server_s,
        "client_s": client_s,
    }


def main() -> None:
    server = start_server()
    status = 1
    try:
        print(json.dumps(asyncio.run(measure(server))), flush=True)
        status = 0
    except Exception as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        status = 1
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    os._exit(status)  # OPAL's clients would try to connect again


main()
