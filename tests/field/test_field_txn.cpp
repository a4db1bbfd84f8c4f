// Somebody follows tools/examples/txn/README.md: its commands, its models, its five steps.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
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

TEST_CASE("the example of transaction tokens: the five steps, and nothing is left running") {
  const TemporaryFolder home, temporary;
  Typist typist(source(), home.path());
  typist.substitute("./tools", fmt::format("TMPDIR={} ./tools", temporary.path().string()));
  const auto blocks =
      documented_blocks(source() / "tools/examples/txn/README.md",
                        "# A job that is done later, on behalf of somebody who has left");
  REQUIRE(blocks.size() == 1);
  const std::string output = typist.typed(blocks.front());
  for (const char* step :
       {"step 1: the service issued T1, and a grant", "step 2: the shop's PDP allows it with T1",
        "step 3: the broker has the job, and no token",
        "step 4: the service issued T2 for the grant", "step 5: the payer's PDP allows it with T2",
        "paid job=j-", "payer may refund.pay up to 200"})
    CHECK_MESSAGE(output.contains(step), step << " is not in\n" << output);
  CHECK_MESSAGE(output.contains("\"Sub\":\"ana\""), output);
  CHECK(fs::is_empty(temporary.path()));
}

}  // namespace
}  // namespace notp
