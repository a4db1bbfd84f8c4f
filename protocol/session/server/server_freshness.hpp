// Roots and freshness statements of one registry's session. protocol/session/README.md, "Roots" and
// "Freshness on a session".
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// One thread.
class ServerFreshness {
 public:
  explicit ServerFreshness(ServerContext& context);

  // Reads the peer's state from its Hello: its newest root, whether it understands classes, and the
  // sequences of its last statement and assignment.
  void on_hello(const wire::Hello& hello);
  // The peer has subscribed: statements list this ledger from now on.
  void add(const model::LedgerId& ledger);
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
  // What the peer knows of the class that its session is in.
  struct Membership {
    std::shared_ptr<ReaderClass> in;   // null: none
    uint64_t sent = 0;                 // sequence of the last statement for it in this session
    TimeMs assigned_ms = 0;            // wall time of the assignment to it; 0: none was sent
    uint64_t assignment_sequence = 0;  // of the peer's last assignment, to any class
  };

  Result<void> send_statement(Now now);
  // Sends a statement for the peer alone.
  void send_own(Now now);
  // Sends the assignment to the class, if one is due, and its statement, if the peer has not got
  // it. false: the peer cannot be assigned.
  bool send_shared(const ClassStatementPtr& statement, Now now);
  // Whether the roots that a statement rests on are the newest that the peer has, after sending
  // those that it lacks.
  bool send_roots_for(uint64_t root_version);
  // Puts the session into the class that its reader is in by now.
  void join_class();
  bool is_assigned(Now now) const;
  // Returns the targets of the peer.
  std::vector<trust::FreshHead> heads() const;
  // Returns the next time after `boot_ms` that belongs to this peer within the interval.
  TimeMs renewal_after(TimeMs boot_ms) const;

  ServerContext& context_;
  const uint64_t spread_;   // offset of this peer among all, for deadlines
  FollowedPtr followed_;    // of a class: shared by its sessions
  uint64_t root_sent_ = 0;  // the newest root that the peer has
  size_t roots_sent_ = 0;   // number sent in this session
  uint64_t sequence_ = 0;   // of the peer's last statement
  TimeMs deadline_ = kNever;
  TimeMs not_before_ms_ = 0;  // boot time of the first statement at the earliest
  bool understands_classes_ = false;
  Membership class_;
  std::shared_ptr<const trust::Freshness> last_own_;  // sent in this session for the peer alone
};

}  // namespace notp::session
