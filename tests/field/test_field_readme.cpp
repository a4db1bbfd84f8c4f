// The commands of README.md, which a new user types first, must work as printed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// The result of `tools/quickstart`: a registry, an agent with the ledger, the programs on PATH, and
// the user's configuration.
struct Quickstart {
  Stack stack;
  const fs::path home = stack.file("home"), work = stack.file("work");

  Quickstart() {
    stack.rights =
        json::array{json::object{{"identity", "publisher/alice"},
                                 {"ledgers", json::array{"*/*"}},
                                 {"actions", json::array{"read", "publish", "fleet", "trust"}}},
                    json::object{{"identity", "node/*"},
                                 {"ledgers", json::array{"*/*"}},
                                 {"actions", json::array{"read"}}}};
    stack.write_registry_config();
    stack.start_registry();
    must(make_folders(work));
    must(make_folders(home / ".config/notp"));
    fs::copy_file(stack.file("alice.cli.yaml"), home / ".config/notp/config.yaml");
  }
  CommandResult type(const std::string& command) const { return Typist(work, home).type(command); }
};

TEST_CASE("the five commands of README.md run as they are printed") {
  Quickstart quickstart;
  const std::vector<std::string> commands =
      lines_of(documented_blocks(quickstart.stack.source() / "README.md",
                                 "## The five commands of a working day")
                   .front());
  REQUIRE(commands.size() == 5);
  // The stack's publisher signs for one zone only; quickstart's is another.
  std::vector<std::string> typed = commands;
  for (std::string& command : typed)
    if (const size_t zone = command.find("100000000001/"); zone != std::string::npos)
      command.replace(zone, 12, "100000000000");
  Agent& agent =
      quickstart.stack.start_agent({.name = "edge-1", .ledgers = {"100000000000/my-model"}});
  std::vector<std::string> outputs;
  for (const std::string& command : typed) {
    const CommandResult result = quickstart.type(command);
    CHECK_MESSAGE(result.status == 0, command << "\n" << result.output);
    outputs.push_back(result.output);
  }
  CHECK_MESSAGE(outputs[1].contains("valid"), outputs[1]);
  CHECK_MESSAGE(outputs[2].contains("my_model/my_model.rego"), outputs[2]);
  CHECK_MESSAGE(outputs[3].contains("v1"), outputs[3]);
  CHECK_MESSAGE(outputs[4].contains("edge-1"), outputs[4]);
  CHECK(wait_until([&] { return agent.has_active("100000000000/my-model", 1); }));
  CHECK(agent.decide("my_model/allow",
                     json::object{{"user", json::object{{"roles", json::array{"viewer"}}}},
                                  {"action", "read"}}) == json::value(true));

  // As the README says: the workspace names the ledger, the user's file everything else.
  const CommandResult config = quickstart.type("notp config my-model");
  CHECK(config.status == 0);
  CHECK_MESSAGE(config.output.contains("100000000000/my-model"), config.output);
  CHECK_MESSAGE(config.output.contains(quickstart.home.string()), config.output);
}

TEST_CASE("a named configuration is completed by the workspace's, not hidden by it") {
  Quickstart quickstart;
  fs::rename(quickstart.home / ".config/notp/config.yaml", quickstart.work / "publisher.yaml");
  REQUIRE(quickstart.type("notp init my-model --ledger 100000000000/my-model").status == 0);
  const CommandResult plan = quickstart.type("notp --config publisher.yaml plan my-model");
  CHECK_MESSAGE(plan.status == 0, plan.output);
  CHECK_MESSAGE(plan.output.contains("100000000000/my-model"), plan.output);

  // The error for a mistake in any of the files names that file.
  must(write_file(quickstart.home / ".config/notp/config.yaml", "regsitry: here:1\n"));
  const CommandResult wrong = quickstart.type("notp --config publisher.yaml plan my-model");
  CHECK(wrong.status == 2);
  CHECK_MESSAGE(wrong.output.contains(".config/notp/config.yaml"), wrong.output);
  CHECK_MESSAGE(wrong.output.contains("regsitry"), wrong.output);
}

}  // namespace
}  // namespace notp
