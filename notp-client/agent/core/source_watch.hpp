// What the registry says of the sources of keys, and the keys that this node misses. Pure. One
// thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "notp-client/agent/core/core_parts.hpp"

namespace notp::agent {

// The registry's word is unsigned: it is shown to policies and people, and decides nothing here but
// which issuers may be reported. It stays known when a session ends: its times tell its age. The
// next session's word replaces it.
//
// Of an issuer that the word lists, the newest unknown key is reported, at most once in
// kUnknownKeyPauseMs. Meanwhile, and while no session has given its word, it waits, but no longer
// than the node decides with the same release of the issuer's ledger. Other issuers are whatever a
// token says: they are not reported.
class SourceWatch {
 public:
  // Everything that `parts` names outlives this object.
  explicit SourceWatch(CoreParts parts) : parts_(parts) {}

  void begin_session() { has_word_ = false; }
  void end_session() { has_word_ = false; }
  void on_status(wire::SourceStatus status);
  void on_unknown_key(const wire::UnknownKey& key);

  // Boot clock.
  TimeMs next_deadline() const;
  void on_deadline(TimeMs boot_ms);

  // The last word; empty before the first one.
  const std::vector<wire::IssuerStatus>& known() const { return known_.issuers; }

 private:
  struct Waiting {
    std::string kid;
    uint64_t version = 0;  // of the active release of the issuer's ledger; 0: none
  };
  struct Report {
    TimeMs free_ms = 0;  // boot clock: when the next one may be sent
    std::optional<Waiting> waiting;
  };

  // Gives policies what is known, unless they were given something too short a time ago.
  void show(TimeMs boot_ms);
  void send(TimeMs boot_ms);
  uint64_t active_version(std::string_view issuer) const;
  const wire::IssuerStatus* find(std::string_view issuer) const;

  const CoreParts parts_;
  wire::SourceStatus known_;
  bool has_word_ = false;  // in this session
  std::optional<TimeMs> shown_at_ms_;
  TimeMs show_ms_ = kNever;                // when show() is due
  std::map<std::string, Report> reports_;  // by issuer; of those that are known
};

}  // namespace notp::agent
