// How long what the registry has acknowledged is without a receipt of its tree. Pure. One thread.
#pragma once

#include <optional>
#include <string>

#include "common/clock.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::agent {

// A registry seals its tree every few seconds. What stays without a receipt for so long, while
// sessions are open, was perhaps never put into the tree.
inline constexpr TimeMs kReceiptOverdueMs = 5 * 60'000;

// What a node's log knows of its registry's tree.
struct TreeWitness {
  bool is_granted = false;  // the registry takes the log in this session
  bool is_known = false;    // a receipt was verified at some time: this registry has a tree
  record::Position acknowledged = 0, witnessed = 0;  // records of the log
  std::string refused;  // why the tree is refused, for a person; empty: it is not
};

class ReceiptWatch {
 public:
  // After each acknowledgement and each receipt. Time counts while the log is granted.
  void update(const TreeWitness& seen, TimeMs boot_ms);
  void session_ended(TimeMs boot_ms);
  // Boot clock; kNever: nothing waits, no session is open, or it was taken.
  TimeMs next_deadline() const;
  // Returns, once for each wait, below which position records wait for too long.
  std::optional<record::Position> take_overdue(TimeMs boot_ms);
  bool was_overdue() const { return was_overdue_; }

 private:
  std::optional<record::Position> waiting_below_;  // acknowledged, and not witnessed
  TimeMs waited_ms_ = 0;                           // in earlier sessions
  std::optional<TimeMs> since_ms_;                 // in this one
  bool was_overdue_ = false;
};

}  // namespace notp::agent
