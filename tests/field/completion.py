#!/usr/bin/env python3
"""Completion of `notp` and the daemons in the real shells, at a terminal, with the TAB key, beside a running registry.

Needs: NOTP_BIN (the folder of the programs), bash, zsh, fish and bash-completion. What a line became is
asked of the shell itself: printf is put before it, and prints each of its words.
"""

import os
import pathlib
import pty
import re
import select
import signal
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import BIN, Programs, free_port, run  # noqa: E402

SECONDS = 60  # for one answer of a shell
LEDGER = "100000000001/access"
CONFIG = "trust/admin/notp.yaml"
PROMPT = "READY> "
PROGRAMS = ["notp", "notp-server", "notp-client"]
COMMON = [
    # what is typed, what it becomes; TAB is pressed at the end
    ("notp dec", ["notp", "decisions"]),
    ("notp decisions mis", ["notp", "decisions", "missing"]),
    ("notp decisions search --outc", ["notp", "decisions", "search", "--outcome"]),
    ("notp decisions search --outcome unde", ["notp", "decisions", "search", "--outcome", "undefined"]),
    ("notp -o json root set-ep", ["notp", "-o", "json", "root", "set-epoch"]),
    ("notp -o te", ["notp", "-o", "text"]),
    ("notp plan --det", ["notp", "plan", "--detailed-exitcode"]),
    ("notp node enroll edge-1 --registry-a", ["notp", "node", "enroll", "edge-1", "--registry-address"]),
    ("notp completion f", ["notp", "completion", "fish"]),
    ("notp publish mode", ["notp", "publish", "models/"]),
    ("notp --config trust/adm", ["notp", "--config", "trust/admin/"]),
    ("notp decisions missing --ids ask", ["notp", "decisions", "missing", "--ids", "asked by.txt"]),
    (f"notp --config {CONFIG} history 1000", ["notp", "--config", CONFIG, "history", LEDGER]),
    (f"notp --config {CONFIG} nodes --ledger 1", ["notp", "--config", CONFIG, "nodes", "--ledger", LEDGER]),
    ("notp-server --check-c", ["notp-server", "--check-config"]),
    ("notp-server --config trust/reg", ["notp-server", "--config", "trust/registry/"]),
    ("notp-server verify", ["notp-server", "verify-backup"]),
    ("notp-client enr", ["notp-client", "enroll"]),
    ("notp-client enroll --token-f", ["notp-client", "enroll", "--token-file"]),
    ("notp-client store verify -o js", ["notp-client", "store", "verify", "-o", "json"]),
]  # fmt: skip
EQUALS = ("notp history --output=js", ["notp", "history", "--output=json"])


class Shell:
    """A shell at a terminal of its own."""

    def __init__(self, folder, command, prepare):
        self.text, self.answers = "", 0
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8",
                       "XDG_CONFIG_HOME": str(folder / ".config"), "XDG_DATA_HOME": str(folder / ".local/share")}
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self.send(prepare + "\n")
        self.wait_for(PROMPT + r"$")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern):
        until = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.text)):
            if not select.select([self.terminal], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError(f"no {pattern!r} within {SECONDS} s in {self.text!r}")
            self.text += os.read(self.terminal, 65536).decode(errors="replace")
        return found

    def completed(self, line):
        """The words that the line consists of after TAB."""
        self.answers += 1
        self.text = ""
        # ^A goes to the beginning of the line.
        self.send(f"{line}\t\x01printf '<%s>' {self.answers}begin \x05 {self.answers}end; echo\n")
        found = self.wait_for(rf"<{self.answers}begin>(.*?)<{self.answers}end>")
        self.wait_for(re.escape(found[0]) + rf"[\s\S]*{PROMPT}")
        return re.findall(r"<(.*?)>", found[1])

    def close(self):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.terminal)


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        port, enroll, health = free_port(), free_port(), free_port()
        home = {"HOME": folder.name}
        run([BIN / "notp", "setup", "--dir", "trust", "--trust-domain", "core.internal", "--address", "127.0.0.1",
             "--listen", "127.0.0.1", "--port", port, "--enroll-port", enroll, "--health-port", health, "--yes"],
            folder=folder.name, environment=home)  # fmt: skip
        cls.programs = Programs(cls.folder)
        cls.addClassCleanup(cls.programs.close)
        cls.programs.start("registry", BIN / "notp-server", "--config", "trust/registry/registry.yaml")

        def publish():
            try:
                return run([BIN / "notp", "--config", "trust/publisher/notp.yaml", "publish", "trust/models/access",
                            "-m", "first"], folder=folder.name, environment=home)  # fmt: skip
            except RuntimeError as error:
                if "ended with 6" in str(error):
                    return None
                raise

        cls.programs.wait("registry", publish)
        (cls.folder / "models").mkdir()
        (cls.folder / "asked by.txt").touch()
        scripts = {"bash": "{}", "zsh": "_{}", "fish": "{}.fish"}
        for shell, file in scripts.items():
            (cls.folder / shell).mkdir()
            for program in PROGRAMS:
                script = run([BIN / "notp", "completion", shell, "--program", program], environment=home)
                (cls.folder / shell / file.format(program)).write_text(script)

    def check(self, command, prepare, cases):
        shell = Shell(self.folder, command, prepare)
        self.addCleanup(shell.close)
        for line, words in cases:
            with self.subTest(f"{command[0]}: {line}"):
                self.assertEqual(shell.completed(line), words)

    def test_bash(self):
        prepare = f"PS1='{PROMPT[:-2]}''> '; bind 'set enable-bracketed-paste off'; "
        self.check(["bash", "--norc", "--noprofile", "-i"], prepare + "for script in bash/*; do source $script; done",
                   [*COMMON, EQUALS])  # fmt: skip

    def test_bash_completion_loads_it_when_it_is_needed(self):
        prepare = f"PS1='{PROMPT[:-2]}''> '; bind 'set enable-bracketed-paste off'; "
        prepare += "mkdir -p .local/share/bash-completion/completions; "
        prepare += "cp bash/* .local/share/bash-completion/completions; "
        prepare += "source /usr/share/bash-completion/bash_completion"
        self.check(["bash", "--norc", "--noprofile", "-i"], prepare, [*COMMON, EQUALS])

    def test_zsh_with_the_installed_function(self):
        prepare = "PS1='READY''> '; unsetopt zle_bracketed_paste; unset zle_bracketed_paste; unsetopt auto_remove_slash; bindkey -e; "
        prepare += "fpath=($PWD/zsh $fpath); autoload -Uz compinit; compinit -u -D"
        self.check(["zsh", "-f", "-i"], prepare, [*COMMON, EQUALS])

    def test_zsh_with_a_script_that_is_read(self):
        prepare = "PS1='READY''> '; unset zle_bracketed_paste; unsetopt auto_remove_slash; bindkey -e; "
        prepare += "autoload -Uz compinit; compinit -u -D; source zsh/_notp"
        self.check(["zsh", "-f", "-i"], prepare, COMMON[:4])

    def test_fish(self):
        prepare = "function fish_prompt; echo -n 'READY''> '; end; set fish_greeting; set -g fish_autosuggestion_enabled 0; "
        prepare += "for script in fish/*; source $script; end"
        self.check(["fish", "--no-config", "-i"], prepare, [*COMMON, EQUALS])


if __name__ == "__main__":
    unittest.main()
