// A service that is killed between the steps of its grants: a use that was answered is never made
// again, one that was not can be asked for again, and nothing is half done.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

constexpr const char* kFolderVariable = "NOTP_GRANTS_CHILD";
constexpr int kGrants = 40;

std::string number(int i) { return fmt::format("{:022}", i); }

Grant grant(int i) {
  Grant out;
  out.id = number(i);
  out.txns = {fmt::format("t{}", i)};
  out.sub = "ada";
  out.scopes = {"order:pay"};
  out.to = workload("*");
  out.origin = workload("a");
  out.chain = {workload("a")};
  out.made_ms = kStartMs;
  out.not_after_ms = kStartMs + 3'600'000;
  return out;
}

// A use of grant i. `attempt`: another jti, as by a message that is handled twice.
GrantUse use(int i, int attempt) {
  GrantUse out{number(i),
               workload("b"),
               fmt::format("j{}", attempt),
               sha256("r"),
               fmt::format("u{}-{}", i, attempt),
               {},
               std::nullopt};
  out.claims = {{"txn", out.txn}, {"exp", kStartS + 60}};
  Grant child = grant(i);
  child.id = number(1'000 + i);
  child.txns.push_back(out.txn);
  child.chain.push_back(workload("b"));
  out.passed_on = child;
  return out;
}

void report(std::string_view line) {
  const std::string text = fmt::format("{}\n", line);
  REQUIRE(::write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// The process that is killed: a line for each answer.
void serve_until_killed(const std::filesystem::path& folder) {
  const auto grants = SqliteGrants::open({.folder = folder}).value();
  if (grants->size() == 0) {
    std::vector<GrantChange> made;
    for (int i = 0; i < kGrants; ++i) made.emplace_back(grant(i));
    REQUIRE(grants->apply(made, kStartMs));
  }
  for (int i = 0; i < kGrants; ++i) {
    // Two at once, of which one may count.
    const std::vector<GrantChange> uses = {use(i, 1), use(i, 2)};
    const auto outcomes = grants->apply(uses, kStartMs).value();
    for (const auto& outcome : outcomes)
      if (outcome && !outcome->is_repeat)
        report(fmt::format("{} {}", i, outcome->token.claims.at("txn").as_string().c_str()));
    if (i % 10 == 9)
      static_cast<void>(grants->revoke({.grant = number(i), .txn = {}, .from = {}}, kStartMs));
  }
}

// Grant → the token that was answered.
using Answers = std::map<int, std::string>;

struct Served {
  Answers answers;
  bool was_killed = false;  // otherwise it did all its work
};

Served run_child(const std::filesystem::path& folder, const std::string& failpoint) {
  const CommandResult child =
      run_command({std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip", "--quiet",
                   "--test-case=the process that is killed"},
                  {{kFolderVariable, folder.string()}, {"NOTP_FAILPOINT", failpoint}});
  const std::string& text = child.output;
  Served out{.answers = {}, .was_killed = child.status == 137};
  CHECK((out.was_killed || child.status == 0));
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    const size_t space = text.find(' ', at);
    out.answers[std::atoi(text.c_str() + at)] = text.substr(space + 1, end - space - 1);
  }
  return out;
}

// What is in the file agrees with what was answered. Returns how many uses were not answered.
int check_file(const std::filesystem::path& folder, const Answers& answered) {
  const auto grants = SqliteGrants::open({.folder = folder}).value();
  size_t rows = 0;
  int unanswered = 0;
  for (int i = 0; i < kGrants; ++i) {
    const auto found = grants->find(number(i), workload("b"), "j1").value();
    const bool has_child = grants->find(number(1'000 + i), "", "").value().has_value();
    if (!found) {
      CHECK((!answered.contains(i) || i % 10 == 9));
      CHECK_FALSE(has_child);
      continue;
    }
    rows += has_child ? 2 : 1;
    CHECK(found->grant.used <= 1);
    CHECK(has_child == (found->grant.used == 1));
    CHECK(found->earlier.has_value() == (found->grant.used == 1));
    if (!answered.contains(i)) {
      unanswered += static_cast<int>(found->grant.used);
      continue;
    }
    CHECK(found->grant.used == 1);
    // Asked again, by the same message and by another.
    const std::vector<GrantChange> again = {use(i, 1), use(i, 2)};
    const auto outcomes = grants->apply(again, kStartMs + 1).value();
    REQUIRE(outcomes[0]);
    CHECK(outcomes[0]->is_repeat);
    CHECK(outcomes[0]->token.claims.at("txn") == json::value(answered.at(i)));
    CHECK(outcomes[0]->token.grant_id == number(1'000 + i));
    CHECK(outcomes[1].error().refusal == Refusal::kGrantUsed);
  }
  CHECK(grants->size() == rows);
  return unanswered;
}

TEST_CASE("the process that is killed" * doctest::skip()) {
  const char* folder = std::getenv(kFolderVariable);
  REQUIRE(folder != nullptr);
  serve_until_killed(folder);
  ::_exit(0);  // it did all its work
}

TEST_CASE("a use is durable before its answer, and whole, wherever the service is killed") {
  uint64_t kills = 0, open = 0;
  for (const char* failpoint :
       {"grants.before_commit", "grants.after_commit", "grants.before_revoke"}) {
    const int passes = std::string_view(failpoint) == "grants.before_revoke" ? 4 : 41;
    const TemporaryFolder folder;
    Answers answered;
    for (int pass = 1; pass <= passes; pass += 1 + pass % 5) {
      const TemporaryFolder fresh;
      const Served first = run_child(fresh.path(), fmt::format("{}:{}", failpoint, pass));
      CAPTURE(failpoint);
      CAPTURE(pass);
      CHECK((first.was_killed || pass == passes));  // the last one is beyond what is reached
      const int unanswered = check_file(fresh.path(), first.answers);
      CHECK(unanswered <= 1);
      open += static_cast<uint64_t>(unanswered);
      kills += first.was_killed ? 1 : 0;
    }
    // And again and again over the same file.
    for (int pass = 1; pass <= 4; ++pass) {
      const Served served = run_child(folder.path(), fmt::format("{}:{}", failpoint, pass));
      for (const auto& [i, txn] : served.answers) {
        CAPTURE(i);
        CHECK_FALSE(answered.contains(i));
        answered[i] = txn;
      }
      check_file(folder.path(), answered);
      kills += served.was_killed ? 1 : 0;
    }
  }
  // The control: some were killed after the mark and before the answer.
  CHECK(open > 0);
  record_result("grants of transaction tokens", fmt::format("{} kills", kills),
                "0 uses twice, 0 answers that were not durable");
}

}  // namespace
}  // namespace notp
