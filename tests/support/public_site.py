"""What the proofs with public packages share: a cache of packages, rows of results, and a site of a publisher, a
registry and an agent, with the commands that a person would type.

Needs: NOTP_BIN (the folder of the programs) and, for opa(), what tools/build-opa needs.
"""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import programs
from programs import BIN, SECONDS, SOURCE, free_port
from programs import run_to_end as run

DOMAIN = "clients.internal"


def cache(name):
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = pathlib.Path(os.environ.get("NOTP_CACHE") or home / "notp") / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def opa():
    return os.environ.get("NOTP_OPA") or run([SOURCE / "tools/build-opa"], seconds=600).stdout.strip()


def ask(url, body=None):
    """GET, or POST of a JSON body: status and text of the answer; 0 when there is none."""
    return programs.ask(url, None if body is None else json.dumps(body).encode())


def fetch_wheel(package, version, sha256):
    """The wheel of PyPI, once, and only when it has this hash. Nothing of it is run."""
    folder = cache("public-body")
    wheel = folder / f"{package}-{version}-{sha256[:16]}.whl"
    if not wheel.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            pin = pathlib.Path(place, "pin.txt")
            pin.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
            # Neither its dependencies nor the Python that it wants matter.
            run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
                 "--ignore-requires-python", "--only-binary", ":all:", "--require-hashes", "--dest", place,
                 "--requirement", pin], seconds=300)
            next(pathlib.Path(place).glob("*.whl")).rename(wheel)
    return wheel


def report(name, prove, *arguments):
    """Runs prove(folder, …), which returns its row of the table in tests/README.md; ends with 1 when it fails."""
    with tempfile.TemporaryDirectory(prefix=f"notp-{name}-") as folder:
        try:
            row = prove(pathlib.Path(folder), *arguments)
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as failure:
            sys.exit(f"{name} {arguments or ''}: {failure}{getattr(failure, 'stderr', None) or ''}")
    programs.report(row)


class Site(programs.Programs):
    """The folder has pki/, the keys, a configuration and a log of each program."""

    def __init__(self, folder, ledger):
        super().__init__(folder)
        self.ledger = ledger
        self.registry_health, self.agent_health = free_port(), free_port()
        self.registry = self.agent_url = self.connection = None

    def write(self, name, certificate, text):
        at = self.folder
        tls = ", ".join(f"{key}: {at}/pki/{file}" for key, file in
                        (("certificate", f"{certificate}.crt"), ("key", f"{certificate}.key"), ("ca", "ca.crt")))
        (at / f"{name}.yaml").write_text(f"trust_domain: {DOMAIN}\nroot: {at}/root.envelope\ntls: {{{tls}}}\n{text}")

    def start_registry(self):
        at = self.folder
        zone = self.ledger.split("/", maxsplit=1)[0]
        for words in (["pki", "init", at / "pki", "--trust-domain", DOMAIN], ["pki", "issue", at / "pki", "--registry", "main"],
                      ["pki", "issue", at / "pki", "--publisher", "alice"], ["pki", "issue", at / "pki", "--node", "edge"],
                      *(["keygen", "--out", at / key] for key in ("root", "alice", "freshness")),
                      ["root", "init", "--trust-domain", DOMAIN, "--root-key", at / "root.key", "--publisher",
                       f"{zone}/*={at}/alice.pub", "--freshness-key", at / "freshness.pub", "--out", at / "root.envelope"]):
            run([BIN / "notp", *words])
        self.write("registry", "main", f"listen: 127.0.0.1:0\nport_file: {at}/registry.port\ndata_dir: {at}/registry\n"
                   f"health_listen: 127.0.0.1:{self.registry_health}\nfreshness: {{private_key: {at}/freshness.key}}\nrights:\n"
                   '  - {identity: publisher/alice, ledgers: ["*/*"], actions: [read, publish]}\n'
                   '  - {identity: "node/*", ledgers: ["*/*"], actions: [read]}\n')
        self.start("registry", BIN / "notp-server", "--config", at / "registry.yaml")
        self.registry = self.port_of("registry")
        self.write("alice", "alice", f"registry: {self.registry}\nsigning_key: {at}/alice.key\n")

    def notp(self, *words, statuses=(0,)):
        """`notp …` of the publisher alice, with a home of her own."""
        return run(["env", f"HOME={self.folder}/home", f"XDG_STATE_HOME={self.folder}/state",
                    f"XDG_CACHE_HOME={self.folder}/cache", BIN / "notp", "--config", self.folder / "alice.yaml", *words],
                   statuses, seconds=300)

    def publish(self, model, message):
        """The version that it made."""
        return json.loads(self.notp("-o", "json", "publish", model, "--ledger", self.ledger, "-m", message).stdout)["version"]

    def start_agent(self, more=""):
        at = self.folder
        self.write("agent", "edge", f"registry: {self.registry}\ndata_dir: {at}/edge\nledgers: [{self.ledger}]\n"
                   f"listen: 127.0.0.1:0\nport_file: {at}/agent.port\nhealth_listen: 127.0.0.1:{self.agent_health}\n{more}")
        self.start("agent", BIN / "notp-client", "--config", at / "agent.yaml")
        self.agent_url = f"http://{self.port_of('agent')}"
        self.wait("agent", lambda: ask(f"{self.agent_url}/health?bundles")[0] == 200)

    def ask_agent(self, path, body):
        """As ask(), over one connection that is kept."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.agent_url.removeprefix("http://"), timeout=60)
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def wait_active(self, version):
        """Until the agent decides with it, by its PDP's word."""
        def is_active():
            status, text = ask(f"{self.agent_url}/v1/status")
            return status == 200 and json.loads(text)["ledgers"][0]["active_version"] == version
        self.wait("agent", is_active)
