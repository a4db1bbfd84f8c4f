// Limits of simultaneous connections at a server.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "protocol/serve/admission.hpp"
#include "protocol/serve/commit_counts.hpp"

namespace notp {
namespace {

TEST_CASE("admission: one handshake too many ends the oldest one, once") {
  serve::ServeCounters counters;
  serve::Admission admission(
      {.sessions_max = 1, .handshakes_max = 2, .sessions_per_identity_max = 1}, counters);
  std::vector<int> displaced;
  const auto begin = [&](int which) {
    return admission.handshake_began([&displaced, which] { displaced.push_back(which); });
  };
  begin(1);
  const uint64_t second = begin(2);
  CHECK(displaced.empty());
  begin(3);
  CHECK(displaced == std::vector{1});
  admission.handshake_ended(second);
  begin(4);
  CHECK(displaced == std::vector{1});
  begin(5);
  CHECK(displaced == std::vector{1, 3});
  CHECK(counters.handshakes_displaced == 2);
}

TEST_CASE("admission: sessions are bounded by identity and in all, and are given back") {
  serve::ServeCounters counters;
  serve::Admission admission({.sessions_max = 3, .sessions_per_identity_max = 2}, counters);
  CHECK(admission.admit("a"));
  CHECK(admission.admit("a"));
  CHECK(admission.admit("a").error().code == ErrorCode::kOverloaded);
  CHECK(admission.admit("b"));
  CHECK(admission.admit("c").error().code == ErrorCode::kOverloaded);
  CHECK_FALSE(admission.depart("a"));
  CHECK(admission.depart("a"));
  CHECK(admission.admit("c"));
  CHECK(admission.admit("a"));
}

TEST_CASE("admission: the end of the last connection is waited for, within a time") {
  serve::ServeCounters counters;
  serve::Admission admission({}, counters);
  admission.wait_for_end(60'000);
  admission.connection_began();
  const auto start = std::chrono::steady_clock::now();
  admission.wait_for_end(20);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(20));
  std::thread ending([&] { admission.connection_ended(); });
  admission.wait_for_end(60'000);
  ending.join();
}

wire::Commit report(uint64_t version, wire::CommitState state, std::string message = {}) {
  wire::Commit commit;
  commit.ledger = {.zone = 100'000'000'000, .name = "payments"};
  commit.version = version;
  commit.state = state;
  commit.message = std::move(message);
  return commit;
}

TEST_CASE("commits: a release at many nodes is one line of the log for each state") {
  constexpr uint64_t kNodes = 20'000;
  serve::CommitCounts commits;
  for (uint64_t i = 0; i < kNodes; ++i) {
    commits.add(report(7, wire::CommitState::kStored));
    commits.add(i % 2'000 == 0 ? report(7, wire::CommitState::kRejected, "disk full")
                               : report(7, wire::CommitState::kActive));
  }
  const serve::CommitCounts::Taken taken = commits.take();
  REQUIRE(taken.counts.size() == 3);
  CHECK(taken.counts[0].count == kNodes);
  CHECK(taken.counts[1].state == wire::CommitState::kActive);
  CHECK(taken.counts[1].count == kNodes - 10);
  CHECK(taken.counts[2].count == 10);
  CHECK(taken.counts[2].message == "disk full");
  CHECK(taken.beyond == 0);
  CHECK(commits.take().counts.empty());
}

TEST_CASE("commits: a node that invents versions does not make the log longer than its limit") {
  serve::CommitCounts commits;
  for (uint64_t version = 1; version <= serve::kCommitKindsMax + 5; ++version)
    commits.add(report(version, wire::CommitState::kActive));
  const serve::CommitCounts::Taken taken = commits.take();
  CHECK(taken.counts.size() == serve::kCommitKindsMax);
  CHECK(taken.beyond == 5);
  CHECK(commits.take().beyond == 0);
}

}  // namespace
}  // namespace notp
