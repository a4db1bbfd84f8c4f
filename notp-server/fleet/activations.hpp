// How long releases take from their publish to the nodes that decide with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::fleet {

// The time counts from the publish, or from the node's session if that began later: what a node was
// away for is not the registry's delay. By the registry's wall clock; never below 0. Releases that
// were published before the registry started are not measured. One thread at a time; no I/O.
class Activations {
 public:
  // Of a release; 0: it is not measured, or no node has it active.
  struct Times {
    TimeMs published_ms = 0;
    TimeMs slowest_ms = 0;  // the longest that a node took
  };
  // Of each ledger; older ones are no longer measured.
  static constexpr size_t kReleasesMax = 3;

  // The first call for a version counts.
  void published(const model::LedgerId& ledger, uint64_t version, TimeMs now_ms);
  void connected(const std::string& node, TimeMs now_ms) { since_ms_[node] = now_ms; }
  void departed(const std::string& node) { since_ms_.erase(node); }

  // A node that has just made the release active. nullopt: it is not measured.
  std::optional<TimeMs> took_ms(const std::string& node, const model::LedgerId& ledger,
                                uint64_t version, TimeMs now_ms) const;
  // A node took so long.
  void took(const model::LedgerId& ledger, uint64_t version, TimeMs took_ms);
  Times times(const model::LedgerId& ledger, uint64_t version) const;

 private:
  struct Release {
    uint64_t version = 0;
    Times times;
  };

  const Release* find(const model::LedgerId& ledger, uint64_t version) const;

  std::map<model::LedgerId, std::vector<Release>> published_;
  std::unordered_map<std::string, TimeMs> since_ms_;  // of nodes with a session
};

}  // namespace notp::fleet
