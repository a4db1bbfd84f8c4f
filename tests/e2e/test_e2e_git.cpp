// A registry's ledgers as seen by stock Git, and publishers who compete for one ledger.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "common/storage/files.hpp"
#include "tests/support/process/git.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

std::string shown(Stack& stack, const std::string& reference, const std::string& name) {
  const CliResult result = stack.notp("alice", {"show", reference});
  REQUIRE_MESSAGE(result.status == 0, result.error);
  return text_at(result.document, name);
}

// Computed by a program that is based on the specification only.
std::string content_root_of(const Stack& stack, const fs::path& repository,
                            const std::string& version) {
  const fs::path archive = stack.file("archive-" + version + ".tar");
  git(repository, {"archive", "--format=tar", "-o", archive, version});
  CommandResult result =
      run_command({"python3", stack.source() / "tests/support/content_root.py", archive});
  REQUIRE_MESSAGE(result.status == 0, result.output);
  while (result.output.ends_with('\n')) result.output.pop_back();
  return result.output;
}

TEST_CASE("stock git reads a ledger, and its content hashes to what was signed") {
  Stack stack;
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  REQUIRE(stack.published(payments, kPayments) == 1);
  stack.apply_example_change(payments, "lower-single-approval-limit");
  const CliResult second = stack.publish(payments, kPayments, "lower the limit");
  REQUIRE_MESSAGE(second.status == 0, second.error);
  const fs::path repository = stack.repository(kPayments);

  CHECK(run_git(repository, {"fsck", "--strict", "--full"}).status == 0);
  git(stack.folder(), {"clone", "-q", repository, "clone"});
  const fs::path clone = stack.file("clone");
  CHECK(git(clone, {"rev-parse", "HEAD"}) == text_at(second.document, "commit"));
  CHECK(git(clone, {"rev-list", "--count", "main"}) == "2");
  CHECK(git(clone, {"log", "-1", "--format=%B"}).contains("lower the limit"));
  CHECK(git(clone, {"log", "-1", "--format=%an %ae"}).contains("alice"));
  CHECK(git(clone, {"tag", "--list"}) == "v1\nv2");
  const std::string difference = git(clone, {"diff", "--unified=0", "v1", "v2"});
  CHECK(difference.contains("-single_approval_max: 100000"));
  CHECK(difference.contains("+single_approval_max: 50000"));
  CHECK(git(clone, {"diff", "--name-only", "v1", "v2"}) == "payments/limits/data.yaml");
  CHECK(read_text(clone / "payments/limits/data.yaml") ==
        read_text(payments / "payments/limits/data.yaml"));

  for (const std::string version : {"v1", "v2"})
    CHECK(content_root_of(stack, repository, version) ==
          shown(stack, kPayments + "@" + version, "content_root"));
}

TEST_CASE("every acknowledged publish is there after the registry was killed") {
  Stack stack;
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  for (int64_t version = 1; version <= 3; ++version) {
    set_single_approval_max(payments, version * 1'000);
    REQUIRE(stack.published(payments, kPayments) == version);
    stack.kill_registry();
    stack.start_registry();
    CHECK(run_git(stack.repository(kPayments), {"fsck", "--strict", "--full"}).status == 0);
    const CliResult history = stack.notp("alice", {"history", kPayments});
    REQUIRE_MESSAGE(history.status == 0, history.error);
    const json::array& releases = history.document.at("releases").as_array();
    REQUIRE(releases.size() == static_cast<size_t>(version));
    CHECK(number_at(releases.front(), "version") == version);
    for (const json::value& release : releases) CHECK(release.at("verified").as_bool());
  }
}

TEST_CASE("a publish that the registry dies under is there whole or not at all") {
  Stack stack;
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  REQUIRE(stack.published(payments, kPayments) == 1);
  const fs::path repository = stack.repository(kPayments);
  const auto files_in = [](const fs::path& folder) {
    std::error_code ignored;
    return std::distance(fs::directory_iterator(folder, ignored), {});
  };
  int64_t head = 1;
  for (int round = 0; round < 9; ++round) {
    set_single_approval_max(payments, 1'000 + round);
    const size_t sessions = stack.count_events("session_opened");
    const auto packs = files_in(repository / "objects/pack");
    const std::string tip = read_text(repository / "refs/heads/main");
    Process publisher = stack.start_notp("alice", {"publish", payments, "--ledger", kPayments},
                                         "cut-" + std::to_string(round));
    // Early, while the release is written, and shortly before it is acknowledged.
    const std::function<bool()> moments[] = {
        [&] { return stack.count_events("session_opened") > sessions; },
        [&] { return files_in(repository / "objects/pack") > packs; },
        [&] { return read_text(repository / "refs/heads/main") != tip; }};
    REQUIRE(wait_until([&] { return moments[round % 3]() || !publisher.is_running(); }));
    stack.kill_registry();
    const std::optional<int> status = publisher.wait();
    REQUIRE(status.has_value());
    CAPTURE(publisher.error());

    stack.start_registry();
    CHECK(stack.count_events("ledger_damaged") == 0);
    CHECK(run_git(repository, {"fsck", "--strict", "--full"}).status == 0);
    const CliResult history = stack.notp("alice", {"history", kPayments});
    REQUIRE_MESSAGE(history.status == 0, history.error);
    const int64_t now = number_at(history.document.at("releases").as_array().front(), "version");
    CHECK((now == head || now == head + 1));
    if (*status == 0) CHECK(now == head + 1);
    if (*status != 0) CHECK(*status == 6);

    // The same folder again: published now, or found to be there already. The folder does not know
    // of a release whose acknowledgement was lost, so the publisher names the expected base.
    const CliResult again = stack.notp("alice", {"publish", payments, "--ledger", kPayments,
                                                 "--expect-version", std::to_string(now)});
    REQUIRE_MESSAGE(again.status == 0, again.error);
    CHECK(number_at(again.document, "version") == head + 1);
    CHECK(git(repository, {"rev-list", "--count", "main"}) == std::to_string(head + 1));
    ++head;
  }
}

TEST_CASE("a publish over a head that has moved is refused and says who moved it") {
  Stack stack;
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  REQUIRE(stack.published(payments, kPayments) == 1);
  const fs::path bobs = stack.file("bobs-folder");
  const CliResult cloned = stack.notp("bob", {"clone", kPayments, bobs});
  REQUIRE_MESSAGE(cloned.status == 0, cloned.error);
  stack.apply_example_change(bobs, "lower-single-approval-limit");
  const CliResult moved = stack.notp("bob", {"publish", bobs, "--ledger", kPayments});
  REQUIRE_MESSAGE(moved.status == 0, moved.error);

  must(write_file(payments / "payments/accounts/data.json", R"({"frozen": {}})"));
  const CliResult refused = stack.publish(payments, kPayments);
  CHECK(refused.status == 4);
  CHECK(refused.error_code() == "conflict");
  CHECK(refused.error_message().contains("publisher/bob"));
  CHECK(refused.error_message().contains("v2"));
  CHECK(git(stack.repository(kPayments), {"rev-list", "--count", "main"}) == "2");
}

TEST_CASE("of two publishers at once one wins and the other is told") {
  Stack stack;
  stack.start_registry();
  const fs::path first = stack.copy_example("payments");
  REQUIRE(stack.published(first, kPayments) == 1);
  const fs::path second = stack.file("second");
  REQUIRE(stack.notp("bob", {"clone", kPayments, second}).status == 0);
  for (int64_t round = 1; round <= 5; ++round) {
    const auto change = [&](const fs::path& folder, const char* who) {
      must(write_file(folder / "payments/accounts/data.json",
                      fmt::format(R"({{"frozen": {{"{}": "{}"}}}})", round, who)));
    };
    change(first, "alice");
    change(second, "bob");
    const std::string stem = "race-" + std::to_string(round);
    Process alice =
        stack.start_notp("alice", {"publish", first, "--ledger", kPayments}, stem + "-alice");
    Process bob =
        stack.start_notp("bob", {"publish", second, "--ledger", kPayments}, stem + "-bob");
    const std::optional<int> a = alice.wait(), b = bob.wait();
    REQUIRE(a.has_value());
    REQUIRE(b.has_value());
    CAPTURE(alice.error());
    CAPTURE(bob.error());
    REQUIRE(std::min(*a, *b) == 0);
    REQUIRE(std::max(*a, *b) == 4);
    const bool alice_won = *a == 0;
    CHECK((alice_won ? bob : alice)
              .error()
              .contains(alice_won ? "publisher/alice" : "publisher/bob"));

    const fs::path repository = stack.repository(kPayments);
    CHECK(git(repository, {"rev-list", "--count", "main"}) == std::to_string(round + 1));
    CHECK(git(repository, {"show", "main:payments/accounts/data.json"})
              .contains(alice_won ? "alice" : "bob"));
    // The loser starts again from the head.
    const fs::path& loser = alice_won ? second : first;
    fs::remove_all(loser);
    REQUIRE(stack.notp(alice_won ? "bob" : "alice", {"clone", kPayments, loser}).status == 0);
  }
}

}  // namespace
}  // namespace notp
