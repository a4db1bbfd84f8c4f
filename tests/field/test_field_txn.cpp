// Somebody follows tools/examples/txn/README.md: its commands, its models, its five steps.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const fs::path& source() {
  static const fs::path kSource = std::getenv("NOTP_SOURCE");
  return kSource;
}
std::string block(std::string_view heading, size_t number) {
  const auto blocks = documented_blocks(source() / "tools/examples/txn/README.md", heading);
  REQUIRE(blocks.size() > number);
  return blocks[number];
}

TEST_CASE("the example of transaction tokens: its models") {
  const TemporaryFolder home;
  Typist typist(source() / "tools/examples/txn", home.path());
  const std::string validated = typist.typed(block("## The models", 0));
  CHECK_MESSAGE(validated.contains("tests"), validated);
}

TEST_CASE("the example of transaction tokens: certificates of workloads") {
  const TemporaryFolder home;
  Typist typist(home.path(), home.path());
  typist.typed("notp pki init pki --trust-domain core-platform.internal");
  const std::string issued = typist.typed(block("## What is where", 0));
  CHECK_MESSAGE(issued.contains("spiffe://core-platform.internal/workload/shop"), issued);
}

// As tools/setup.sh has it: what the build has put there is not built again for a new home.
fs::path cache() {
  if (const char* own = std::getenv("NOTP_CACHE")) return own;
  const char* const of_user = std::getenv("XDG_CACHE_HOME");
  return fs::path(of_user != nullptr ? fs::path(of_user)
                                     : fs::path(std::getenv("HOME")) / ".cache") /
         "notp";
}

// What is missing is said before the unit is started.
TEST_CASE("the packaged configuration of a token service, as its folders are after the setup") {
  Stack stack;
  stack.write_registry_config();
  stack.start_registry();
  const fs::path etc = stack.file("etc"), var = stack.file("var");
  must(make_folders(etc));
  must(make_folders(var));
  const std::string node = stack.issue("node", "tts");
  must(write_file(var / "node.pem", read_text(node + ".crt") + read_text(node + ".key"), 0600));
  pki::LeafOptions leaf = stack.leaf("node", "txn-tokens");
  leaf.uris = {fmt::format("spiffe://{}/workload/txn-tokens", kStackDomain)};
  leaf.dns_names = {"txn-tokens.core-platform.internal"};
  leaf.server_auth = true;
  const std::string listener = stack.issue("listener", stack.authority(), leaf);
  fs::copy(listener + ".crt", etc / "txn-tokens.crt");
  fs::copy(listener + ".key", etc / "txn-tokens.key");
  fs::copy(stack.authority_file(), etc / "ca.crt");
  fs::copy(stack.authority_file(), var / "ca.crt");
  fs::copy(stack.root_file(), var / "root.envelope");

  std::string packaged = read_text(source() / "tools/packaging/txn.yaml");
  for (const auto& [text, with] :
       {std::pair<std::string, std::string>{"/etc/notp", etc},
        {"/var/lib/notp-txn", var},
        {"registry.core-platform.internal:7443", stack.registry_address()},
        {"0.0.0.0:7446", "127.0.0.1:0"},
        {"127.0.0.1:8292", "127.0.0.1:0"}}) {
    REQUIRE_MESSAGE(packaged.contains(text), text);
    for (size_t at = 0; (at = packaged.find(text, at)) != std::string::npos; at += with.size())
      packaged.replace(at, text.size(), with);
  }
  const auto checked = [&](const std::string& text) {
    must(write_file(stack.file("txn.yaml"), text));
    return run_command(
        {stack.program("notp-client"), "--config", stack.file("txn.yaml"), "--check"});
  };
  const auto changed = [&](const std::string& text, const std::string& with) {
    std::string out = packaged;
    REQUIRE_MESSAGE(out.contains(text), text);
    return out.replace(out.find(text), text.size(), with);
  };
  const CommandResult good = checked(packaged);
  CHECK_MESSAGE(good.status == 0, good.output);
  CHECK_MESSAGE(good.output.contains("the configuration is valid"), good.output);

  for (const auto& [text, with, said] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {", \"100000000001/txn-keys\"", "", "100000000001/txn-keys"},
           {", \"100000000001/denied\"", "", "deny_list"},
           {"txn-tokens.key", "no.key", "no.key"},
           {"issuer: https://txn-tokens", "issuer: http://txn-tokens", "issuer"}}) {
    const CommandResult refused = checked(changed(text, with));
    CHECK_MESSAGE(refused.status == 2, refused.output);
    CHECK_MESSAGE(refused.output.contains(said), refused.output);
  }
}

// Types a command of the page, and leaves nothing running or lying about.
std::string played(const std::string& command) {
  const TemporaryFolder home, temporary;
  Typist typist(source(), home.path());
  typist.substitute("./tools", fmt::format("TMPDIR={} NOTP_CACHE={} ./tools",
                                           temporary.path().string(), cache().string()));
  std::string output = typist.typed(command);
  CHECK(fs::is_empty(temporary.path()));
  for (const char* step :
       {"step 1: the service issued T1, and a grant", "step 2: the shop's PDP allows it with T1",
        "step 3: the broker has the job, and no token",
        "step 4: the service issued T2 for the grant", "step 5: the payer's PDP allows it with T2",
        "paid job=j-", "payer may refund.pay up to 200", "\"Sub\":\"ana\""})
    CHECK_MESSAGE(output.contains(step), step << " is not in\n" << output);
  return output;
}
TEST_CASE("the example of transaction tokens: the five steps, and nothing is left running") {
  const auto blocks =
      documented_blocks(source() / "tools/examples/txn/README.md",
                        "# A job that is done later, on behalf of somebody who has left");
  REQUIRE(blocks.size() == 1);
  played(blocks.front());
}

TEST_CASE("the example of transaction tokens: another broker, and a job that is handed on") {
  const auto ways = lines_of(block("## Other ways to play it", 0));
  REQUIRE(ways.size() == 3);
  CHECK(played(ways[0]).contains("place=\"sha256 "));
  const std::string output = played(ways[1]);
  for (const char* step :
       {"step 6: the broker has the job for the next one, and no token",
        "step 7: the service issued T3 for the grant", "step 8: the payer's PDP allows it with T3"})
    CHECK_MESSAGE(output.contains(step), step << " is not in\n" << output);
}

TEST_CASE("the example of transaction tokens: one host, three namespaces") {
  const auto ways = lines_of(block("## Other ways to play it", 0));
  REQUIRE(ways.size() == 3);
  const std::string name = fmt::format("notp-may-{}", ::getpid());
  const bool may = run_command({"ip", "netns", "add", name}).status == 0;
  run_command({"ip", "netns", "del", name});
  if (!may) {
    MESSAGE("skipped: no right to make network namespaces");
    return;
  }
  played(ways[2] + " --bank");
  CHECK_FALSE(run_command({"ip", "netns", "list"}).output.contains("notp-"));
}

}  // namespace
}  // namespace notp
