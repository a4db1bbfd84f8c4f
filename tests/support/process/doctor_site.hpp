// `notp doctor` as a test runs it, and a registry with an agent in which each fault is made on
// purpose.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/vfs.h>

#include <functional>
#include <set>

#include "tests/support/process/command.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {

// statfs(2)
inline constexpr auto kOverlay = 0x794c7630, kMemory = 0x01021994;

struct Doctor {
  int status = -1;
  std::set<std::string> codes;
  json::value document;
  std::string text;
};

// A temporary folder of a container may lie on a file system that is a finding by itself.
inline bool is_on_plain_disk(const std::filesystem::path& folder) {
  struct statfs facts{};
  return ::statfs(folder.c_str(), &facts) == 0 && facts.f_type != kOverlay &&
         facts.f_type != kMemory;
}

inline Doctor examined(const Stack& stack, const std::vector<std::string>& arguments,
                       const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  std::vector<std::string> command{stack.program("notp"), "-o", "json", "doctor"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<std::pair<std::string, std::string>> variables{{"HOME", stack.file("home").string()}};
  variables.insert(variables.end(), environment.begin(), environment.end());
  const CommandResult ran = run_command(command, variables);
  Doctor out{.status = ran.status, .codes = {}, .document = {}, .text = ran.output};
  const auto document = parse_json(ran.output);
  if (!document || !document->is_object()) return out;
  out.document = *document;
  const json::value& findings = at(out.document, "findings");
  if (!findings.is_array()) return out;
  for (const json::value& finding : findings.get_array()) {
    const std::string code = text_at(finding, "code");
    // Wherever a test runs, its folders may be in memory.
    if (code == "file_system" && !is_on_plain_disk(stack.folder())) continue;
    out.codes.insert(code);
    for (const std::string part : {"what", "why", "command"})
      CHECK_MESSAGE(!text_at(finding, part).empty(), code, " has no ", part);
  }
  return out;
}

inline Doctor of_registry(const Stack& stack) {
  return examined(stack, {"--registry-config", stack.file("registry.yaml")});
}
inline Doctor of_agent(const Stack& stack, const std::filesystem::path& config) {
  return examined(stack, {"--agent-config", config});
}
inline Doctor of_client(const Stack& stack, const std::string& who,
                        const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  return examined(stack, {"--config", stack.file(who + ".cli.yaml")}, environment);
}
// As the administrator, with settings of which some are changed.
inline Doctor of_client_with(const Stack& stack, const json::object& changed) {
  json::value settings = must(parse_json(read_text(stack.file("eve.cli.yaml"))));
  for (const auto& [name, value] : changed) settings.as_object()[name] = value;
  must(write_file(stack.file("changed.cli.yaml"), json::serialize(settings)));
  return of_client(stack, "changed");
}

inline void finds(const Doctor& doctor, std::string_view code) {
  CHECK_MESSAGE(doctor.status == 1, doctor.text);
  CHECK_MESSAGE(doctor.codes.contains(std::string(code)), code, " in ", doctor.text);
}
inline void finds_nothing(const Doctor& doctor) {
  CHECK_MESSAGE(doctor.codes.empty(), doctor.text);
}

// A registry and an agent without a fault.
class Healthy {
 public:
  Healthy() {
    stack.registry_more["limits"] = json::object{{"sessions", 100}};
    stack.registry_more["deny_list"] = kDenyList;
    stack.registry_more["health_listen"] = fmt::format("127.0.0.1:{}", free_port());
    stack.write_registry_config();
    stack.start_registry();
    REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
    agent = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    REQUIRE(wait_until([&] { return agent->has_active(kShop, 1); }));
  }
  // The configuration of an agent with one thing changed.
  std::filesystem::path bent(const std::function<void(json::object&)>& bend) const {
    json::value config = must(parse_json(read_text(agent->config_file())));
    bend(config.as_object());
    const std::filesystem::path file = stack.file("bent.yaml");
    must(write_file(file, json::serialize(config)));
    return file;
  }
  std::filesystem::path with_certificate(const std::string& stem) const {
    return bent([&](json::object& config) {
      config["tls"].as_object()["certificate"] = stem + ".crt";
      config["tls"].as_object()["key"] = stem + ".key";
    });
  }
  std::filesystem::path with_registry(const std::string& address) const {
    return bent([&](json::object& config) { config["registry"] = address; });
  }

  Stack stack;
  Agent* agent = nullptr;
};

}  // namespace notp
