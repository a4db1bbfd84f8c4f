// Somebody follows tools/examples/txn/README.md: its commands, its models, its five steps.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/documented_commands.hpp"
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
