// A user or a script sets up a node: the token comes by file, variable or standard input; missing
// values are asked for at a terminal, and named in the error without one.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/command.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

struct Site {
  Stack stack;

  Site() {
    stack.allow_joins();
    stack.write_registry_config();
    stack.start_registry();
  }
  std::string token_file(const std::string& node) {
    const CliResult token = stack.notp("eve", {"node", "enroll", node});
    REQUIRE_MESSAGE(token.status == 0, token.error);
    const auto file = stack.file(node + ".token");
    must(write_file(file, text_at(token.document, "token") + "\n", 0600));
    return file;
  }
  std::vector<std::string> join(const std::string& folder, std::vector<std::string> more) const {
    more.insert(more.begin(),
                {stack.program("notp-client"), "enroll", "--dir", stack.file(folder)});
    return more;
  }
  std::string config(const std::string& folder) const { return stack.file(folder) / "client.yaml"; }
};

TEST_CASE("without a terminal and without ledgers a node joins, and hears what is missing") {
  Site site;
  const CommandResult joined =
      run_command(site.join("edge-1", {"--token-file", site.token_file("edge-1")}));
  REQUIRE_MESSAGE(joined.status == 0, joined.output);
  CHECK_MESSAGE(joined.output.contains("missing: ledgers"), joined.output);
  CHECK(joined.output.contains(site.config("edge-1")));
  const CommandResult checked = run_command(
      {site.stack.program("notp-client"), "--check", "--config", site.config("edge-1")});
  CHECK(checked.status == 2);
  CHECK_MESSAGE(checked.output.contains("ledgers"), checked.output);
}

TEST_CASE("on a terminal the ledgers are asked for until they can be read") {
  Site site;
  const auto answers = site.stack.file("answers");
  must(write_file(answers, "shop\n" + kShop + " " + kPayments + "\n"));
  const std::string command =
      fmt::format("'{}' enroll --dir '{}' --token-file '{}'", site.stack.program("notp-client"),
                  site.stack.file("edge-1").string(), site.token_file("edge-1"));
  // script(1) gives the command a terminal.
  const CommandResult joined = run_command(
      {"script", "--quiet", "--return", "--command", command, "/dev/null"}, {}, answers);
  REQUIRE_MESSAGE(joined.status == 0, joined.output);
  CHECK_MESSAGE(joined.output.contains("Which ledgers"), joined.output);
  CHECK_FALSE(joined.output.contains("missing: ledgers"));
  const std::string config = read_text(site.config("edge-1"));
  CHECK_MESSAGE(config.contains("- \"" + kShop + "\""), config);
  CHECK_MESSAGE(config.contains("- \"" + kPayments + "\""), config);
}

TEST_CASE("a token comes by variable or standard input, and its absence is named") {
  Site site;
  const CommandResult no_token = run_command(site.join("edge-1", {"--ledger", kShop}));
  CHECK(no_token.status == 2);
  for (const char* way : {"--token-file", "NOTP_JOIN_TOKEN", "notp node enroll"})
    CHECK_MESSAGE(no_token.output.contains(way), no_token.output);

  std::string token = read_text(site.token_file("edge-1"));
  token.pop_back();
  const CommandResult by_variable =
      run_command(site.join("edge-1", {"--ledger", kShop}), {{"NOTP_JOIN_TOKEN", token}});
  CHECK_MESSAGE(by_variable.status == 0, by_variable.output);
  const CommandResult by_input = run_command(
      site.join("edge-2", {"--ledger", kShop, "--token-file", "-"}), {}, site.token_file("edge-2"));
  CHECK_MESSAGE(by_input.status == 0, by_input.output);
}

}  // namespace
}  // namespace notp
