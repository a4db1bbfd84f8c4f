#!/usr/bin/env python3
"""The Kubernetes bases: built by kustomize, valid for the API, true of the programs and of the manual.

Needs: NOTP_BIN (the folder of the programs), what tools/build-kustomize needs, and pip for the API's schemas (both once).
Overlays are those of the manual. The registry and the agents run with the configurations, variables and arguments of the
bases, with what the manual's commands put into the Secrets; folders and addresses are those of this machine.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BASES, MANUAL, VERSIONS, block_with, built, parsed, schema_findings, secrets  # noqa: E402
from programs import BIN, SOURCE, Programs, ask, free_port, run, run_to_end  # noqa: E402

# The one container that may be root, and what for.
ROOT = {"folders": ["CHOWN", "FOWNER"]}
# Kinds of the Prometheus operator, which the API's schemas do not have: the keys that these bases use of each.
OPERATOR = {
    "ServiceMonitor": {"selector", "endpoints"},
    "PodMonitor": {"namespaceSelector", "selector", "podMetricsEndpoints"},
    "PrometheusRule": {"groups"},
}
RULE_KEYS = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
APPLICATION = """\
apiVersion: apps/v1
kind: {kind}
metadata:
  name: {name}
  labels: {{notp-agent: {label}}}
spec:{more}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - {{name: till, image: till}}
"""


def overlays(folder):
    """What kustomize builds: of a site, by the manual's overlay, and of an application with the manual's component."""
    site, application = folder / "site", folder / "application"
    for one in (site, application):
        one.mkdir()
        (one / "bases").symlink_to(os.path.relpath(BASES, one.resolve()))
    (site / "kustomization.yaml").write_text(block_with("kind: Kustomization"))
    shutil.copy(BASES / "registry/server.yaml", site)
    shutil.copy(BASES / "agent-sidecar/client.yaml", application)
    (application / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [pods.yaml]\n" + block_with("components:"))
    (application / "pods.yaml").write_text("---\n".join(
        APPLICATION.format(kind=kind, name=name, label=label, more=more)
        for kind, name, label, more in (("Deployment", "till", "sidecar", ""), ("Deployment", "other", "none", ""),
                                        ("StatefulSet", "ledger", "sidecar", "\n  serviceName: till"))))
    return {"site": built(site), "application": built(application)}


def setUpModule():  # pylint: disable=invalid-name
    global FOLDER, OVERLAYS
    FOLDER = tempfile.TemporaryDirectory(prefix="notp-kubernetes-")
    OVERLAYS = overlays(pathlib.Path(FOLDER.name).resolve())


def tearDownModule():  # pylint: disable=invalid-name
    FOLDER.cleanup()


def everything():
    return [one for resources in OVERLAYS.values() for one in resources]


def only(kind, name=None):
    """The resource of a kind, and of a name without the hash that kustomize adds."""
    found = [one for one in everything() if one["kind"] == kind and
             name in (None, re.sub("-[a-z0-9]{10}$", "", one["metadata"]["name"]))]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} resources {kind} {name or ''}")
    return found[0]


def workloads():
    return [one for one in everything() if one["kind"] in ("Deployment", "StatefulSet", "DaemonSet")]


def containers(workload):
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def our_containers():
    return [(workload, one) for workload in workloads() for one in containers(workload) if "notp-" in one["image"]]


def container(workload, name):
    return next(one for one in containers(workload) if one["name"] == name)


def sidecars():
    return [(one, container(one, "notp-agent")) for one in OVERLAYS["application"]
            if one["kind"] in ("Deployment", "StatefulSet") and one["metadata"]["name"] != "other"]


def agents():
    daemonset = only("DaemonSet")
    return [*sidecars(), (daemonset, container(daemonset, "notp-agent"))]


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        one["operator"] == "Exists" and one["key"] in labels for one in selector.get("matchExpressions", []))


def port_of(address):
    return int(address.rpartition(":")[2])


def configuration(name):
    """(text, document) of the file in a ConfigMap."""
    text = next(iter(only("ConfigMap", name)["data"].values()))
    return text, parsed(text)[0]


def variables():
    return only("ConfigMap", "notp-agent")["data"]


class Resources(unittest.TestCase):
    def test_every_resource_is_what_the_api_takes(self):
        checked = 0
        for version in VERSIONS:
            for one in everything():
                with self.subTest(kind=one["kind"], name=one["metadata"]["name"], version=version):
                    finding = schema_findings(one, version)
                    if finding is None:
                        self.assertIn(one["kind"], OPERATOR)
                    else:
                        self.assertEqual(finding, "")
                        checked += 1
        self.assertGreaterEqual(checked, 2 * 13)
        # The check does refuse: a key that there is not, a value of another type.
        wrong = json.loads(json.dumps(only("StatefulSet", "notp-registry")))
        wrong["spec"]["template"]["spec"]["containers"][0]["port"] = []
        self.assertIn("port", schema_findings(wrong, VERSIONS[0]))
        wrong = json.loads(json.dumps(only("PodDisruptionBudget")))
        wrong["spec"]["selector"] = "all"
        self.assertIn("selector", schema_findings(wrong, VERSIONS[0]))

    def test_kinds_of_the_prometheus_operator_have_their_keys(self):
        found = {one["kind"]: one for one in everything() if one["kind"] in OPERATOR}
        self.assertEqual(set(found), set(OPERATOR))
        for kind, one in found.items():
            self.assertEqual(one["apiVersion"], "monitoring.coreos.com/v1")
            self.assertEqual(set(one["spec"]), OPERATOR[kind], kind)
        for group in found["PrometheusRule"]["spec"]["groups"]:
            self.assertEqual(set(group), {"name", "rules"})
            for rule in group["rules"]:
                self.assertLessEqual(set(rule), RULE_KEYS)
                self.assertTrue({"record", "expr"} <= set(rule) or {"alert", "expr"} <= set(rule))

    def test_the_rules_are_those_of_prometheus(self):
        run([sys.executable, "-B", BASES / "monitoring/make-rules", "--check"])
        rules = parsed((SOURCE / "tools/packaging/prometheus/rules.yml").read_text())[0]
        self.assertEqual(only("PrometheusRule")["spec"], rules)

    def test_the_overlay_names_namespace_and_images_and_each_base_is_whole_without_one(self):
        for one in OVERLAYS["site"]:
            self.assertEqual(one["metadata"]["namespace"], "notp", one["kind"])
        for _, one in our_containers():
            self.assertRegex(one["image"], r"^images\.core-platform\.internal/notp-(server|client):\d+\.\d+\.\d+-1$")
        for base in ("registry", "agent-daemonset", "monitoring"):
            self.assertTrue(built(BASES / base))


class Pods(unittest.TestCase):
    def test_no_container_has_more_rights_than_it_needs(self):
        seen = set()
        for workload, one in our_containers():
            with self.subTest(workload=workload["metadata"]["name"], container=one["name"]):
                seen.add(one["name"])
                pod = workload["spec"]["template"]["spec"]
                context = {**pod.get("securityContext", {}), **one["securityContext"]}
                self.assertEqual(context["allowPrivilegeEscalation"], False)
                self.assertEqual(context["readOnlyRootFilesystem"], True)
                self.assertEqual(context["capabilities"]["drop"], ["ALL"])
                self.assertEqual(context["capabilities"].get("add", []), ROOT.get(one["name"], []))
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertEqual(context["runAsNonRoot"], one["name"] not in ROOT)
                self.assertEqual(context["runAsUser"] == 0, one["name"] in ROOT)
                self.assertIn("limits", one["resources"])
                for key in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertNotIn(key, pod)
                if workload in OVERLAYS["site"]:
                    self.assertEqual((pod["automountServiceAccountToken"], pod["enableServiceLinks"]), (False, False))
        self.assertEqual(seen, {"notp-server", "notp-agent", "folders"})

    def test_the_component_changes_what_has_its_label_and_nothing_else(self):
        self.assertEqual({workload["kind"] for workload, _ in sidecars()}, {"Deployment", "StatefulSet"})
        other = only("Deployment", "other")
        self.assertEqual(containers(other), [{"name": "till", "image": "till"}])
        for workload, agent in sidecars():
            template = workload["spec"]["template"]
            self.assertEqual(template["metadata"]["labels"]["app"], workload["metadata"]["name"])
            self.assertEqual(template["spec"]["containers"], [{"name": "till", "image": "till"}])
            self.assertEqual(agent["restartPolicy"], "Always")
            self.assertEqual(agent["startupProbe"]["httpGet"]["path"], "/health/ready")

    def test_users_are_those_of_the_images(self):
        recipe = (SOURCE / "tools/packaging/container/build").read_text()
        ids = dict(re.findall(r"\[(notp[\w-]*)\]=(\d+)", recipe))
        manual = dict(re.findall(r"^\| `(notp[\w-]*)`[^|]*\| (\d{5}) \|", MANUAL.read_text(), re.MULTILINE))
        self.assertEqual(manual, ids)
        for workload, one in our_containers():
            if one["name"] in ROOT:
                self.assertEqual(one["command"][-3::2], [ids["notp-client"]] * 2)
                continue
            context = {**workload["spec"]["template"]["spec"].get("securityContext", {}), **one["securityContext"]}
            image = "notp-server" if one["name"] == "notp-server" else "notp-client"
            self.assertIn(image, one["image"])
            self.assertEqual([str(context["runAsUser"]), str(context["runAsGroup"])], [ids[image]] * 2)
            self.assertIn(context.get("fsGroup", context["runAsGroup"]), [context["runAsGroup"]])

    def test_volumes_are_mounted_and_what_they_name_exists(self):
        known = {one["metadata"]["name"] for one in everything() if one["kind"] == "ConfigMap"}
        named = set()
        for workload in workloads():
            pod = workload["spec"]["template"]["spec"]
            volumes = {one["name"]: one for one in pod.get("volumes", [])}
            claimed = {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])}
            mounted = {mount["name"] for one in containers(workload) for mount in one.get("volumeMounts", [])}
            self.assertEqual(mounted, set(volumes) | claimed)
            for one in volumes.values():
                if "configMap" in one:
                    self.assertIn(one["configMap"]["name"], known)
                if "secret" in one:
                    named.add(one["secret"]["secretName"])
            for one in containers(workload):
                for source in one.get("envFrom", []):
                    self.assertIn(source["configMapRef"]["name"], known)
        self.assertEqual(named, set(secrets()))

    def test_files_of_the_configurations_are_keys_of_the_secrets(self):
        manual = {name: {pathlib.PurePath(file).name for file in files} for name, files in secrets().items()}
        registry = configuration("notp-registry")[1]
        self.assertEqual(set(files_below(registry, "/etc/notp/keys")), manual["notp-registry-keys"])
        sidecar = configuration("notp-agent-sidecar")[1]
        self.assertEqual(set(files_below(sidecar, "/etc/notp/identity")), manual["notp-agent-identity"])
        server = container(only("StatefulSet", "notp-registry"), "notp-server")
        pods = [(server, "notp-registry", registry["data_dir"], "/etc/notp/keys")]
        pods += [(agent, "notp-agent-sidecar", sidecar["data_dir"], "/etc/notp/identity") for _, agent in sidecars()]
        for one, config_map, state, keys in pods:
            mounts = {mount["mountPath"]: mount for mount in one["volumeMounts"]}
            self.assertTrue(mounts[keys]["readOnly"])
            self.assertIn(str(pathlib.PurePath(state).parent), mounts)
            config = pathlib.PurePath(one["args"][1])
            self.assertTrue(mounts[str(config.parent)]["readOnly"])
            self.assertEqual([config.name], list(only("ConfigMap", config_map)["data"]))


def files_below(document, folder):
    values = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    if isinstance(document, str) and document.startswith(folder + "/"):
        return [document.removeprefix(folder + "/")]
    return [file for one in values for file in files_below(one, folder)]


class Ports(unittest.TestCase):
    def test_ports_are_those_of_the_configurations_and_of_the_manual(self):
        config = configuration("notp-registry")[1]
        registry = container(only("StatefulSet", "notp-registry"), "notp-server")
        ports = {one["name"]: one["containerPort"] for one in registry["ports"]}
        self.assertEqual(ports, {"sessions": port_of(config["listen"]), "enroll": port_of(config["enroll"]["listen"]),
                                 "health": port_of(config["health_listen"])})
        sidecar = configuration("notp-agent-sidecar")[1]
        for _, agent in agents():
            self.assertEqual(agent["ports"], [{"name": "notp-health", "containerPort": port_of(sidecar["health_listen"])}])
        self.assertEqual(port_of(variables()["NOTP_CLIENT_HEALTH_LISTEN"]), port_of(sidecar["health_listen"]))
        rows = dict(re.findall(r"^\| (\d{4}) \| \w+: `(\w[\w.]*)`", MANUAL.read_text(), re.MULTILINE))
        self.assertEqual(rows[str(ports["sessions"])], "listen")
        self.assertEqual(rows[str(ports["enroll"])], "enroll.listen")
        for health in (ports["health"], port_of(sidecar["health_listen"])):
            self.assertEqual(rows[str(health)], "health_listen")
        # What nodes are told is the Service, in the namespace of the manual's overlay.
        service = only("Service", "notp-registry")
        where = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
        for address in (config["enroll"]["address"], config["enroll"]["registry"], sidecar["registry"]):
            self.assertEqual(address.partition(":")[0], where)
        self.assertIn(f"--address {where}", MANUAL.read_text())
        self.assertEqual({f"{where}:{one['port']}" for one in service["spec"]["ports"]},
                         {config["enroll"]["address"], config["enroll"]["registry"]})

    def test_services_policies_and_monitors_select_what_there_is(self):
        pods = [(one["spec"]["template"]["metadata"]["labels"],
                 {port["name"]: port["containerPort"] for each in containers(one) for port in each.get("ports", [])})
                for one in workloads()]
        services = [one for one in everything() if one["kind"] == "Service"]
        for one in workloads():
            self.assertTrue(matches(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"]))
        for service in services:
            [(_, ports)] = [pod for pod in pods if matches({"matchLabels": service["spec"]["selector"]}, pod[0])]
            for port in service["spec"]["ports"]:
                self.assertEqual(ports[port["targetPort"]], port["port"])
        self.assertIn(only("StatefulSet", "notp-registry")["spec"]["serviceName"], [one["metadata"]["name"] for one in services])
        for policy in (one for one in everything() if one["kind"] == "NetworkPolicy"):
            [(_, ports)] = [pod for pod in pods if matches(policy["spec"]["podSelector"], pod[0])]
            self.assertEqual({port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}, set(ports))
        self.assertEqual(len([pod for pod in pods if matches(only("PodDisruptionBudget")["spec"]["selector"], pod[0])]), 1)

        monitor = only("ServiceMonitor")["spec"]
        scraped = [one["name"] for service in services if matches(monitor["selector"], service["metadata"]["labels"])
                   for one in service["spec"]["ports"] if one["name"] == monitor["endpoints"][0]["port"]]
        self.assertEqual(scraped, ["health"])
        monitor = only("PodMonitor")["spec"]
        found = [ports for labels, ports in pods if matches(monitor["selector"], labels)]
        self.assertEqual(len(found), len(agents()))
        for ports in found:
            self.assertIn(monitor["podMetricsEndpoints"][0]["port"], ports)


class Configurations(unittest.TestCase):
    def check(self, program, text, environment=None):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "config.yaml")
            file.write_text(text)
            return run_to_end([BIN / program, "--check-config", "--config", file], (0, 2), environment=environment)

    def test_the_programs_take_the_configurations(self):
        for program, name in (("notp-server", "notp-registry"), ("notp-client", "notp-agent-sidecar")):
            text = configuration(name)[0]
            self.assertEqual(self.check(program, text).returncode, 0)
            wrong = self.check(program, text + "\nhealth_listens: 0.0.0.0:1\n")
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("health_listens", wrong.stderr)

    def test_the_agent_takes_the_variables(self):
        text = configuration("notp-agent-sidecar")[0]
        self.assertEqual(self.check("notp-client", text, variables()).returncode, 0)
        for name in variables():
            wrong = self.check("notp-client", text, {**variables(), name: "wrong"})
            self.assertEqual(wrong.returncode, 2, name)
            self.assertRegex(wrong.stderr, f"{name}|{name.removeprefix('NOTP_CLIENT_').lower()}")


class Running(unittest.TestCase):
    """Without containers: what the bases say to the programs, by their arguments, files and variables."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="notp-pods-")
        self.addCleanup(self.place.cleanup)
        self.at = pathlib.Path(self.place.name).resolve()
        self.programs = Programs(self.at)
        self.addCleanup(self.programs.close)
        self.ports = {port: free_port() for port in (7443, 7444, 7449, 8282, 8283)}

    def here(self, text):
        """With the folders and addresses of this machine."""
        text = text.replace("/etc/notp/", f"{self.at}/etc/").replace("/var/lib/", f"{self.at}/").replace("/run/notp/", f"{self.at}/")
        return re.sub(r"[\w.-]+:(\d{4})\b", lambda found: f"127.0.0.1:{self.ports[int(found[1])]}", text)

    def secret(self, name, folder):
        """What the manual's command would put into it, run in the folder that `notp setup` made."""
        folder.mkdir(parents=True)
        for file in secrets()[name]:
            shutil.copy(self.at / "setup" / file, folder)

    def probe(self, name, one, port):
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = one[kind]["httpGet"]["path"]
            url = f"http://127.0.0.1:{port}{path}"
            self.programs.wait(name, lambda url=url: ask(url)[0] == 200, f"does not answer {path}")

    def notp(self, who, *words):
        environment = {"HOME": str(self.at), "XDG_STATE_HOME": str(self.at / "home")}
        return run([BIN / "notp", "--config", f"setup/{who}/notp.yaml", "--registry", f"127.0.0.1:{self.ports[7443]}", *words],
                   folder=self.at, environment=environment)

    def start(self, name, one, environment=None):
        words = [self.here(word.replace("$(NODE_NAME)", "machine-1")) for word in one["args"]]
        program = "notp-server" if one["name"] == "notp-server" else "notp-client"
        settings = [f"{key}={self.here(value)}" for key, value in (environment or {}).items()]
        self.programs.start(name, "env", *settings, BIN / program, *words)

    def test_registry_daemonset_and_sidecar(self):
        run([BIN / "notp", "setup", "--trust-domain", "core-platform.internal", "--address", "notp-registry.notp.svc",
             "--dir", "setup", "--yes"], folder=self.at, environment={"HOME": str(self.at)})
        self.secret("notp-registry-keys", self.at / "etc/keys")
        (self.at / "etc/config").mkdir()
        for name, file in (("notp-registry", "server.yaml"), ("notp-agent-sidecar", "client.yaml")):
            (self.at / "etc/config" / file).write_text(self.here(configuration(name)[0]))
        (self.at / "notp-server").mkdir()
        registry = container(only("StatefulSet", "notp-registry"), "notp-server")
        self.start("registry", registry)
        self.probe("registry", registry, self.ports[7449])
        self.notp("publisher", "publish", "setup/models/access", "-m", "First release")

        # The DaemonSet's agent: its token as the manual's command writes it.
        more = re.search(r'-o json node enroll "\$machine"(.*) \| jq -r .token > ', MANUAL.read_text())[1].split()
        (self.at / "etc/tokens").mkdir()
        token = json.loads(self.notp("admin", "-o", "json", "node", "enroll", "machine-1", *more))["token"]
        (self.at / "etc/tokens/machine-1").write_text(token + "\n")
        daemonset = container(only("DaemonSet"), "notp-agent")
        (self.at / "notp-client").mkdir()
        for _ in ("joins", "has joined"):
            self.start("daemonset", daemonset, variables())
            self.probe("daemonset", daemonset, self.ports[8283])
            answer = run(["curl", "-sf", "--unix-socket", self.at / "pdp.sock", "--json",
                          '{"input": {"user": {"roles": ["editor"]}, "action": "write"}}', "http://pdp/v1/data/access/allow"])
            self.assertIs(json.loads(answer)["result"], True)
            process = self.programs.processes["daemonset"]
            self.programs.stop("daemonset")
            self.assertEqual(process.returncode, 0)

        # The sidecar's: a certificate as the manual says.
        setup = self.at / "setup"
        run([BIN / "notp", "pki", "issue", setup / "offline", "--node", "till"])
        for suffix in ("crt", "key"):
            shutil.move(setup / f"offline/till.{suffix}", setup / f"node.{suffix}")
        self.secret("notp-agent-identity", self.at / "etc/identity")
        _, sidecar = sidecars()[0]
        self.start("sidecar", sidecar)
        self.probe("sidecar", sidecar, self.ports[8283])
        status, text = ask(f"http://127.0.0.1:{self.ports[8282]}/v1/data/access/allow",
                           b'{"input": {"user": {"roles": ["editor"]}, "action": "write"}}')
        self.assertEqual((status, json.loads(text)["result"]), (200, True))


if __name__ == "__main__":
    unittest.main()
