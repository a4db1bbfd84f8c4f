"""What the slow scripts share: commands, programs that run beside them, questions to those, and rows of results."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("NOTP_BIN") or SOURCE / "build/dev/bin")
SECONDS = 120  # how long anything may take


def require(holds, otherwise):
    if not holds:
        raise RuntimeError(otherwise)


def report(*rows):
    """Prints rows of the table in tests/README.md, and keeps them for it (tools/test --long)."""
    print(*rows, sep="\n")
    if os.environ.get("NOTP_RESULTS"):
        with open(os.environ["NOTP_RESULTS"], "a", encoding="utf-8") as file:
            file.writelines(row + "\n" for row in rows)


def run_to_end(command, statuses=(0,), folder=None, seconds=SECONDS, environment=None):
    """The process that has ended. RuntimeError with all that it printed when its status is not one of `statuses`."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, timeout=seconds, capture_output=True, text=True, check=False,
                          env={**os.environ, **(environment or {})})
    if done.returncode not in statuses:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def run(command, folder=None, seconds=SECONDS, environment=None):
    """What the command prints; RuntimeError when it fails."""
    return run_to_end(command, (0,), folder, seconds, environment).stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(url, body=None):
    """(status, text) of a GET, or of a POST of `body`; status 0 without an answer."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Programs:
    """Programs that run until close(), each with NAME.log in the folder."""

    def __init__(self, folder):
        self.folder, self.processes = folder, {}

    def start(self, name, *command):
        with open(self.log_file(name), "ab") as log:
            self.processes[name] = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, cwd=self.folder)

    def log_file(self, name):
        return self.folder / f"{name}.log"

    def wait(self, name, condition, what="is not ready"):
        """What the condition returns once that is true; RuntimeError with the log when it does not come."""
        until = time.monotonic() + SECONDS
        while not (result := condition()):
            if self.processes[name].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} {what}: {self.log_file(name).read_text()[-2000:]}")
            time.sleep(0.02)
        return result

    def port_of(self, name):
        file = self.folder / f"{name}.port"
        return self.wait(name, lambda: file.exists() and file.read_text().strip())

    def stop(self, name):
        process = self.processes.pop(name)
        process.terminate()
        process.wait(20)

    def close(self):
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(20)
        self.processes.clear()
