// How far the registry's copy of each node's decision records is behind what the node has.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/clock.hpp"

namespace notp::fleet {

// What is missing is known from two sources: what the node says with its offer and with each
// segment (the age of the oldest sealed record that is not acknowledged), and the segments that
// have arrived and are not stored. So a node without anything to send has no lag, however long it
// is silent; what it records while it is away is not known before its next offer; and what it had
// to send when it went is missing, and gets older, until it comes back.
//
// A lag is kept as the time since which records are missing, by the registry's wall clock: 0 when
// none are. One thread at a time; no I/O.
class LogLags {
 public:
  // A node offered its log. `oldest_age_ms` is what it says; 0: it knows of nothing missing.
  void offered(const std::string& node, uint64_t oldest_age_ms, TimeMs now_ms);
  // What the registry has of the offered log: everything, or less than the node has.
  void compared(const std::string& node, bool has_all, TimeMs now_ms);
  void arrived(const std::string& node, TimeMs arrived_ms);
  // The segment that arrived then is durable, or was not taken.
  void stored(const std::string& node, TimeMs arrived_ms, uint64_t oldest_age_ms);
  void not_stored(const std::string& node, TimeMs arrived_ms);

  // nullopt: the node has never offered a log.
  std::optional<TimeMs> since_ms(const std::string& node) const;
  // Of the node that is furthest behind; 0: nothing is missing of any node.
  TimeMs oldest_since_ms() const;

  // What the database has. A lag that begins or ends is to be written; one that moves is, when the
  // node departs. A crash in between makes a node look further behind, and segments that were
  // arriving are not counted.
  void restore(const std::string& node, TimeMs since_ms);
  bool is_to_be_written(const std::string& node, bool has_departed) const;
  void written(const std::string& node);
  void forget(const std::string& node) { nodes_.erase(node); }

 private:
  struct Node {
    TimeMs said_ms = 0;  // since when records are missing, as the node says; 0: none are
    std::multiset<TimeMs> unstored;  // when segments arrived
    std::optional<TimeMs> written_ms;

    TimeMs since_ms() const;
  };

  std::map<std::string, Node> nodes_;
};

}  // namespace notp::fleet
