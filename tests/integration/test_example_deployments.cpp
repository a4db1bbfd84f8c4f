// The example deployments: the agent accepts every configuration in them, and Kubernetes' ports,
// probes, files and volumes match the configuration.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <set>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

const std::string kAgent = "notp-agent";  // name of its container

// Runs `PROGRAM --check-config` on a configuration.
CommandResult check_config(const std::string& program, const std::string& text) {
  const TemporaryFolder folder;
  must(write_file(folder.path() / "config.yaml", text));
  const char* bin = std::getenv("NOTP_BIN");
  REQUIRE(bin != nullptr);
  return run_command({std::string(bin) + "/" + program, "--check-config", "--config",
                      (folder.path() / "config.yaml").string()});
}

void check_accepted(const std::string& text, const std::string& program = "notp-client") {
  const CommandResult good = check_config(program, text);
  CHECK_MESSAGE(good.status == 0, good.output);
  // The check does refuse a wrong one.
  const CommandResult wrong = check_config(program, text + "\nhealth_listens: 0.0.0.0:1\n");
  CHECK(wrong.status != 0);
  CHECK(wrong.output.contains("health_listens"));
}

std::string port_of(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// One file: its workload, the agent's container in it, and the configuration that it mounts.
class Deployment {
 public:
  explicit Deployment(const std::string& name) {
    for (YAML::Node object :
         YAML::LoadAll(samples::specification::source_text("tools/examples/kubernetes/" + name))) {
      for (const char* field : {"apiVersion", "kind"}) REQUIRE(object[field]);
      const auto kind = object["kind"].as<std::string>();
      REQUIRE_FALSE(objects_.contains(kind));
      REQUIRE(object["metadata"]["name"]);
      objects_.emplace(kind, object);
    }
    const YAML::Node pod = objects_.at("Deployment")["spec"]["template"];
    labels_ = pod["metadata"]["labels"];
    annotations_ = pod["metadata"]["annotations"];
    for (const char* list : {"initContainers", "containers"})
      for (const YAML::Node& container : pod["spec"][list])
        containers_.emplace(container["name"].as<std::string>(), container);
    for (const YAML::Node& volume : pod["spec"]["volumes"])
      volumes_.emplace(volume["name"].as<std::string>(), volume);
    config_ = YAML::Load(config_text());
  }

  std::string config_text() const {
    return objects_.at("ConfigMap")["data"]["agent.yaml"].as<std::string>();
  }
  // A value by its path, as in tls.key; empty when there is none.
  std::string config(const std::string& path) const {
    YAML::Node found = YAML::Clone(config_);
    std::istringstream names(path);
    for (std::string name; std::getline(names, name, '.');) {
      if (!found.IsMap() || !found[name]) return {};
      found.reset(found[name]);
    }
    return found.as<std::string>();
  }
  YAML::Node object(const std::string& kind) const { return objects_.at(kind); }
  YAML::Node container(const std::string& name) const { return containers_.at(name); }
  YAML::Node labels() const { return labels_; }
  std::string annotation(const std::string& name) const {
    return annotations_[name].as<std::string>();
  }

  // The volume that contains a path of a container; null when there is none.
  YAML::Node volume_of(const std::string& container, const std::string& path) const {
    for (const YAML::Node& mount : containers_.at(container)["volumeMounts"])
      if (path == mount["mountPath"].as<std::string>() ||
          path.starts_with(mount["mountPath"].as<std::string>() + "/"))
        return volumes_.at(mount["name"].as<std::string>());
    return {};
  }
  // A port by its name or number; empty when the agent does not have it.
  std::string agent_port(const std::string& name_or_number) const {
    for (const YAML::Node& port : containers_.at(kAgent)["ports"])
      if (port["name"].as<std::string>() == name_or_number ||
          port["containerPort"].as<std::string>() == name_or_number)
        return port["containerPort"].as<std::string>();
    return {};
  }
  // Every volume of the pod is mounted somewhere, and every mount is of a volume.
  void check_volumes() const {
    std::set<std::string> mounted, declared;
    for (const auto& [name, container] : containers_)
      for (const YAML::Node& mount : container["volumeMounts"])
        mounted.insert(mount["name"].as<std::string>());
    for (const auto& [name, volume] : volumes_) declared.insert(name);
    CHECK(mounted == declared);
  }

 private:
  std::map<std::string, YAML::Node> objects_, containers_, volumes_;  // by kind; by name
  YAML::Node labels_, annotations_, config_;
};

void check_files(const Deployment& deployment) {
  const std::string readme =
      samples::specification::source_text("tools/examples/kubernetes/README.md");
  for (const char* key : {"root", "tls.certificate", "tls.key", "tls.ca", "listen_tls.certificate",
                          "listen_tls.key", "listen_tls.client_ca"}) {
    const std::filesystem::path file = deployment.config(key);
    if (file.empty()) continue;
    const YAML::Node volume = deployment.volume_of(kAgent, file);
    REQUIRE_MESSAGE((volume && volume["secret"]), key);
    // The page shows how to make that Secret, with this file.
    const auto secret = volume["secret"]["secretName"].as<std::string>();
    const size_t line = readme.find("generic " + secret + " ");
    REQUIRE_MESSAGE(line != readme.npos, secret);
    CHECK_MESSAGE(readme.substr(line, readme.find('\n', line) - line)
                      .contains("--from-file=" + file.filename().string()),
                  file);
  }
  const YAML::Node store = deployment.volume_of(kAgent, deployment.config("data_dir"));
  CHECK((store && store["emptyDir"]));
  // Its command names the file of the ConfigMap.
  const auto arguments = deployment.container(kAgent)["args"].as<std::vector<std::string>>();
  REQUIRE(arguments.size() == 3);
  CHECK(std::filesystem::path(arguments[2]).filename() == "agent.yaml");
  const YAML::Node config = deployment.volume_of(kAgent, arguments[2]);
  REQUIRE(config);
  CHECK(config["configMap"]["name"].as<std::string>() ==
        deployment.object("ConfigMap")["metadata"]["name"].as<std::string>());
}

void check_probes(const Deployment& deployment) {
  const std::string health = port_of(deployment.config("health_listen"));
  const std::map<std::string, std::string> paths = {{"startupProbe", "/health/ready"},
                                                    {"readinessProbe", "/health/ready"},
                                                    {"livenessProbe", "/health/live"}};
  for (const auto& [probe, path] : paths) {
    const YAML::Node get = deployment.container(kAgent)[probe]["httpGet"];
    REQUIRE_MESSAGE(get, probe);
    CHECK(get["path"].as<std::string>() == path);
    CHECK(deployment.agent_port(get["port"].as<std::string>()) == health);
  }
  CHECK(deployment.annotation("prometheus.io/scrape") == "true");
  CHECK(deployment.annotation("prometheus.io/port") == health);
  CHECK(deployment.annotation("prometheus.io/path") == "/metrics");
}

void check_all(const Deployment& deployment) {
  check_accepted(deployment.config_text());
  deployment.check_volumes();
  check_files(deployment);
  check_probes(deployment);
  const YAML::Node selector = deployment.object("Deployment")["spec"]["selector"]["matchLabels"];
  CHECK(selector["app"].as<std::string>() == deployment.labels()["app"].as<std::string>());
}

TEST_CASE("Kubernetes: the agent beside an application, by a socket that both have") {
  const Deployment deployment("sidecar.yaml");
  check_all(deployment);
  const std::string socket = deployment.config("listen_unix.path");
  const YAML::Node at_agent = deployment.volume_of(kAgent, socket);
  REQUIRE(at_agent);
  CHECK(at_agent["emptyDir"]);
  const YAML::Node environment = deployment.container("payments")["env"][0];
  CHECK(environment["value"].as<std::string>() == socket);
  const YAML::Node at_application = deployment.volume_of("payments", socket);
  REQUIRE(at_application);
  CHECK(at_application["name"].as<std::string>() == at_agent["name"].as<std::string>());
}

TEST_CASE("Kubernetes: a central PDP behind a Service") {
  const Deployment deployment("central-pdp.yaml");
  check_all(deployment);
  const YAML::Node service = deployment.object("Service")["spec"];
  CHECK(service["selector"]["app"].as<std::string>() ==
        deployment.labels()["app"].as<std::string>());
  CHECK(deployment.agent_port(service["ports"][0]["targetPort"].as<std::string>()) ==
        port_of(deployment.config("listen_tls.address")));
}

TEST_CASE("a central PDP: the agent reads the example, and the front page shows a part of it") {
  const std::string config =
      samples::specification::source_text("tools/examples/central-pdp/agent.yaml");
  check_accepted(config);
  const std::string page = samples::specification::source_text("README.md");
  const size_t begin = config.find("listen_tls:"), end = config.find("\n\n# On this host");
  REQUIRE(begin != config.npos);
  REQUIRE(end != config.npos);
  std::string shown;
  for (const std::string& line :
       samples::specification::lines_of(config.substr(begin, end - begin)))
    shown += line.empty() ? "\n" : "    " + line + "\n";
  CHECK_MESSAGE(page.contains(shown), shown);
}

TEST_CASE("OpenID: registry and agent read the examples") {
  check_accepted(samples::specification::source_text("tools/examples/openid/registry.yaml"),
                 "notp-server");
  check_accepted(samples::specification::source_text("tools/examples/openid/agent.yaml"));
}

TEST_CASE("a token lane: registry and agents read the examples") {
  check_accepted(samples::specification::source_text("tools/examples/tokens/registry.yaml"),
                 "notp-server");
  for (const char* agent : {"agent.yaml", "agent-opa.yaml"})
    check_accepted(
        samples::specification::source_text(std::string("tools/examples/tokens/") + agent));
}

TEST_CASE("SPIRE: registry and agent read the examples, and give an id the same role") {
  const auto text = [](const std::string& name) {
    return samples::specification::source_text("tools/examples/spire/" + name + ".yaml");
  };
  check_accepted(text("registry"), "notp-server");
  check_accepted(text("agent"));
  const auto identities = [&](const std::string& name) {
    return YAML::Dump(YAML::Load(text(name))["identities"]);
  };
  CHECK(identities("registry") == identities("agent"));
  // The others' id for the registry has the role of a registry.
  const auto registry = YAML::Load(text("agent"))["registry_identity"].as<std::string>();
  CHECK(YAML::Load(text("publisher"))["registry_identity"].as<std::string>() == registry);
  CHECK(identities("agent").contains(registry));
}

}  // namespace
}  // namespace notp
