// Somebody follows tools/examples/tokens/README.md: its commands, its files, its policy.
#include <doctest/doctest.h>

#include "common/json/yaml.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/lane_opa.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kInvoices = "100000000000/invoices";

json::value example_file(const char* name) {
  const fs::path folder = fs::path(std::getenv("NOTP_SOURCE")) / "tools/examples/tokens";
  return must(parse_yaml(read_text(folder / name)));
}

// The example's zone, hosts and folders are others than those of a test.
class TokensExample {
 public:
  TokensExample() : typist_(work(), work()) {
    fs::copy(example() / "invoices", work() / "invoices", fs::copy_options::recursive);
    fs::copy(stack.file("pki"), work() / "pki", fs::copy_options::recursive);
    fs::copy_file(stack.file("eve.cli.yaml"), config_folder() / "config.yaml");
    fs::copy_file(stack.root_file(), work() / "root.envelope");
    fs::copy_file(stack.file("root-key.key"), work() / "root-key.key");
    substitute("100000000001/", "100000000000/");
    substitute("https://registry.core-platform.internal:7445",
               fmt::format("https://127.0.0.1:{}", port_));
    substitute("\"$TOKEN\"", token);
    substitute("$TOKEN", token);
    pki::LeafOptions leaf = stack.leaf("registry", "main");
    leaf.addresses = {"127.0.0.1"};
    stack.issue("main", stack.authority(), leaf);
    for (const char* action : {"publish", "trust", "revoke"}) stack.grant("admin", action);
    stack.write_registry_config();
  }

  std::string block(std::string_view heading, size_t number) const {
    const auto blocks = documented_blocks(example() / "README.md", heading);
    REQUIRE(blocks.size() > number);
    return blocks[number];
  }
  std::string type(std::string_view heading, size_t number) {
    return typist_.typed(block(heading, number));
  }
  // One line of a block.
  std::string type_line(std::string_view heading, size_t number, size_t line) {
    return typist_.typed(lines_of(block(heading, number)).at(line));
  }
  void substitute(std::string text, std::string with) {
    typist_.substitute(std::move(text), std::move(with));
  }
  // The example's section, with the files and the port of this test.
  json::object lanes() const {
    json::object section = example_file("registry.yaml").at("lanes").as_object();
    section["key"] = (work() / "lane.key").string();
    section["listen"] = json::object{{"address", fmt::format("127.0.0.1:{}", port_)},
                                     {"certificate", stack.file("pki/main.crt").string()},
                                     {"key", stack.file("pki/main.key").string()},
                                     {"client_ca", stack.authority_file().string()}};
    return section;
  }
  static json::object agent_lane(const char* file) {
    return {{"lane", example_file(file).at("lane")}};
  }

  const std::string token = "2YotnFZFEjr1zCsicMWpAA";
  Stack stack;

 private:
  static fs::path example() {
    return fs::path(std::getenv("NOTP_SOURCE")) / "tools/examples/tokens";
  }
  fs::path work() const {
    must(make_folders(stack.file("work")));
    return stack.file("work");
  }
  fs::path config_folder() const {
    must(make_folders(work() / ".config/notp"));
    return work() / ".config/notp";
  }

  const int port_ = free_port();
  Typist typist_;
};

template <typename Node>
bool reads(const Node& node, const std::string& token) {
  const auto answer =
      node.decide("invoices/decision", json::object{{"method", "GET"}, {"token", token}});
  return answer && at(*answer, "allow") == json::value(true);
}

TEST_CASE("the example of a token lane: its commands, its files, its policy, at both PDPs") {
  TokensExample example;
  Stack& stack = example.stack;
  const std::string& token = example.token;
  const std::string validated = example.type("## Trying the policy", 0);
  CHECK_MESSAGE(validated.contains("tests"), validated);

  stack.start_registry();
  const std::string root = example.type("## Once: a key for the lane", 0);
  CHECK_MESSAGE(root.contains("Published root 1 -> 2"), root);
  stack.stop_registry();
  stack.registry_more["lanes"] = example.lanes();
  stack.write_registry_config();
  stack.start_registry();
  example.type("## The registry", 0);  // a certificate of the source
  example.type("## The agent", 0);     // publishes

  const Agent& agent = stack.start_agent(
      {.name = "edge-1", .ledgers = {kInvoices}, .more = TokensExample::agent_lane("agent.yaml")});
  LaneOpa opa(stack);
  const Agent& fed = stack.start_agent({.name = "edge-2",
                                        .ledgers = {kInvoices},
                                        .pdp = "opa",
                                        .opa_port = opa.port(),
                                        .more = TokensExample::agent_lane("agent-opa.yaml")});
  opa.start(fed);
  REQUIRE(stack.becomes_active(agent, kInvoices, 1));
  REQUIRE(stack.becomes_active(fed, kInvoices, 1));
  example.substitute("http://127.0.0.1:8282", agent.url());

  constexpr std::string_view kLife = "## A token comes and goes";
  example.type_line(kLife, 0, 0);
  const std::string added = example.type_line(kLife, 0, 1);
  CHECK_FALSE(added.contains(token));
  REQUIRE(wait_until([&] { return reads(agent, token) && reads(opa, token); }));
  const std::string answered = example.type_line(kLife, 0, 2);
  CHECK_MESSAGE(answered.contains("\"allow\":true"), answered);
  const std::string shown = example.type_line(kLife, 1, 0);
  CHECK_MESSAGE(shown.contains("ana"), shown);
  example.type_line(kLife, 0, 3);
  example.type_line(kLife, 0, 4);
  REQUIRE(wait_until([&] { return !reads(agent, token) && !reads(opa, token); }));

  // What a person revokes is revoked at both when the command ends.
  for (size_t line = 1; line < 4; ++line) {
    const std::string output = example.type_line(kLife, 1, line);
    CHECK_FALSE_MESSAGE(output.contains(token), output);
  }

  // README.md shows the same commands.
  const auto front = documented_blocks(stack.source() / "README.md", "### The token lane");
  REQUIRE(front.size() == 2);
  for (const std::string& line : lines_of(front.at(1)))
    CHECK_MESSAGE(example.block(kLife, 1).contains(line), line);
}

}  // namespace
}  // namespace notp
