// Roots and freshness statements of one registry's session. protocol/session/README.md, "Roots" and
// "Freshness on a session".
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// One thread.
class ServerFreshness {
 public:
  explicit ServerFreshness(ServerContext& context);

  // Reads the peer's state from its Hello: its newest root, and the sequence of its last statement.
  void on_hello(const wire::Hello& hello);
  // The peer has subscribed: statements list this ledger from now on.
  void add(const model::LedgerId& ledger) { ledgers_.insert(ledger); }
  // Called after Welcome: sends the roots that the peer lacks, and the first statement. With
  // `holds_more`, which the peer says, that one waits for the first renewal after kHeldAnswerMs: by
  // then it is known what is true of it. kDenied when the right to a subscribed ledger was
  // withdrawn.
  Result<void> start(Now now, bool holds_more);
  // Sends every root that the peer lacks. Called before each statement and release, because they
  // depend on roots.
  void send_roots();
  // Schedules the next statement within kFreshnessSoonMs, spread by peer so that a fleet does not
  // ask for all signatures at once. Before start() it does nothing.
  void hasten(Now now);

  // Boot time of the next statement; kNever: none.
  TimeMs next_deadline() const { return deadline_; }
  void on_deadline(Now now);

 private:
  Result<void> send_statement(Now now);
  // Returns the targets of the peer. kDenied.
  Result<std::vector<trust::FreshHead>> heads() const;
  // Returns the next time at or after `boot_ms` that belongs to this peer within the interval.
  TimeMs renewal_after(TimeMs boot_ms) const;

  ServerContext& context_;
  const uint64_t spread_;  // offset of this peer among all, for deadlines
  std::set<model::LedgerId> ledgers_;
  uint64_t root_sent_ = 0;  // the newest root that the peer has
  size_t roots_sent_ = 0;   // number sent in this session
  uint64_t sequence_ = 0;   // of the peer's last statement
  TimeMs deadline_ = kNever;
  TimeMs not_before_ms_ = 0;  // boot time of the first statement at the earliest
  std::optional<trust::Freshness> last_statement_;  // sent in this session
};

}  // namespace notp::session
