// Limits of simultaneous connections at a server.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "protocol/serve/admission.hpp"
#include "protocol/serve/commit_counts.hpp"
#include "protocol/serve/handshake_turns.hpp"

namespace notp {
namespace {

using Ticket = serve::HandshakeTurns::Ticket;

std::vector<Ticket> begun(serve::HandshakeTurns& turns, TimeMs now_ms) {
  std::vector<Ticket> out;
  while (const auto ticket = turns.begin_next(now_ms)) out.push_back(*ticket);
  return out;
}

TEST_CASE("handshakes: who has sent nothing takes no turn, and is gone after a time") {
  serve::HandshakeTurns turns({.under_way_max = 2, .silent_ms = 100});
  for (int i = 0; i < 1'000; ++i) turns.arrive("stranger", i / 10);
  const Ticket honest = turns.arrive("node", 99);
  turns.has_sent(honest);
  CHECK(begun(turns, 99) == std::vector{honest});
  CHECK(turns.next_deadline() == 100);
  CHECK(turns.take_silent(99).empty());
  CHECK(turns.take_silent(100).size() == 10);
  CHECK(turns.next_deadline() == 101);
  CHECK(turns.take_silent(1'000).size() == 990);
  CHECK(turns.next_deadline() == kNever);
  CHECK(turns.waiting() == 0);
  CHECK(turns.under_way() == 1);
}

TEST_CASE("handshakes: first come, first served, and addresses take turns") {
  serve::HandshakeTurns turns({.under_way_max = 3});
  std::vector<Ticket> flood, own;
  for (int i = 0; i < 100; ++i) flood.push_back(turns.arrive("a", 0));
  for (int i = 0; i < 3; ++i) own.push_back(turns.arrive("b", 1));
  // It is the first word that counts, not the connection.
  for (auto it = flood.rbegin(); it != flood.rend(); ++it) turns.has_sent(*it);
  for (const Ticket ticket : own) turns.has_sent(ticket);
  CHECK(begun(turns, 2) == std::vector{flood[99], own[0], flood[98]});
  turns.end(own[0]);
  CHECK(begun(turns, 2) == std::vector{own[1]});
  turns.end(flood[99]);
  turns.end(flood[98]);
  turns.end(flood[97]);  // its client has gone before its turn
  CHECK(begun(turns, 2) == std::vector{own[2], flood[96]});
  turns.end(own[1]);
  turns.end(own[1]);
  CHECK(begun(turns, 2) == std::vector{flood[95]});
  CHECK(turns.under_way() == 3);
  CHECK(turns.waiting() == 95);
}

TEST_CASE("handshakes: one that does not go on makes way for one that waits, the oldest first") {
  serve::HandshakeTurns turns({.under_way_max = 2, .silent_ms = 5'000, .grace_ms = 100});
  const Ticket first = turns.arrive("a", 0), second = turns.arrive("a", 0);
  turns.has_sent(first);
  CHECK(begun(turns, 0) == std::vector{first});
  turns.has_sent(second);
  CHECK(begun(turns, 10) == std::vector{second});
  CHECK_FALSE(turns.displace(1'000));  // nobody waits
  CHECK(turns.next_deadline() == kNever);
  const Ticket third = turns.arrive("b", 1'000), fourth = turns.arrive("b", 1'000);
  turns.has_sent(third);
  turns.has_sent(fourth);
  CHECK(begun(turns, 1'000).empty());
  CHECK(turns.next_deadline() == 100);
  CHECK_FALSE(turns.displace(99));
  CHECK(turns.displace(1'000) == first);
  CHECK(begun(turns, 1'000) == std::vector{third});
  CHECK(turns.displace(1'000) == second);
  CHECK(begun(turns, 1'000) == std::vector{fourth});
  CHECK_FALSE(turns.displace(1'099));
  turns.end(third);
  CHECK_FALSE(turns.displace(1'100));  // there is a place
}

TEST_CASE("handshakes: a silent connection makes room, then the address that has most") {
  serve::HandshakeTurns turns;
  CHECK_FALSE(turns.give_way("a"));
  const Ticket first = turns.arrive("a", 0), second = turns.arrive("a", 1);
  turns.has_sent(first);
  CHECK(turns.give_way("b") == second);
  turns.has_sent(second);            // the word of one that is gone
  CHECK_FALSE(turns.give_way("b"));  // one each is fair
  const Ticket third = turns.arrive("a", 2), fourth = turns.arrive("b", 3);
  turns.has_sent(third);
  CHECK(turns.give_way("c") == fourth);
  CHECK_FALSE(turns.give_way("a"));
  CHECK(turns.give_way("c") == third);
  CHECK(begun(turns, 4) == std::vector{first});
  CHECK(turns.waiting() == 0);
}

TEST_CASE("admission: connections that wait and sessions share one limit") {
  serve::ServeCounters counters;
  const serve::Admission admission({.sessions_max = 3}, counters);
  counters.sessions = 1;
  counters.waiting = 1;
  CHECK(admission.may_wait());
  counters.waiting = 2;
  CHECK_FALSE(admission.may_wait());
  CHECK(admission.has_room());
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
