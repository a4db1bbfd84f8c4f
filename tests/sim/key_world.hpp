// A token service with its keys, the registry that publishes them and nodes that verify, under
// seeded randomness and virtual time.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "notp-client/txn/keys/ring_core.hpp"

namespace notp::txn {

struct KeyFaults {
  bool kills = false;      // of the service, between any two effects
  bool outages = false;    // nodes go away, and so does the registry
  bool rejecting = false;  // a node that never takes a release
  bool clocks = false;     // the wall clock of the service jumps
  bool revokes = false;
  bool lives_known = false;  // the service says how long tokens live
};

class KeyWorld {
 public:
  KeyWorld(uint64_t seed, KeyFaults faults);
  void run(int steps);
  // Everything is up, for long enough.
  void settle();

  std::vector<std::string> violations;
  uint64_t changes = 0, waited = 0, restarts = 0, removed = 0, revoked = 0, gaps = 0;

 private:
  struct Node {
    uint64_t active = 0;    // what it decides with
    uint64_t reported = 0;  // what the registry has heard
    bool connected = true;
    bool takes = true;
    TimeMs since_ms = 0;  // connected, or not
  };
  struct Answer {
    uint64_t version = 0;
    wire::ReleaseStatus status;
    TimeMs asked_ms = 0, due_ms = 0;
  };

  bool chance(int percent) { return pick(100) < static_cast<uint64_t>(percent); }
  uint64_t pick(uint64_t below) {
    return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_);
  }
  Now now() const { return {wall_ms_ + wall_shift_ms_, wall_ms_ - boot_at_ms_}; }
  void step(bool quiet);
  void registry_step(bool quiet);
  void nodes_step(bool quiet);
  void service_step(bool quiet);
  void start_service();
  void drive();
  bool run(const RingEffect& effect);
  void changed(const ring_effect::Changed& effect);
  void check();
  bool has(uint64_t version, const std::string& kid) const;
  wire::ReleaseStatus status_of(uint64_t version) const;
  std::set<std::string, std::less<>> served() const;
  void violate(const std::string& what);

  std::mt19937_64 random_;
  const KeyFaults faults_;
  TimeMs wall_ms_ = 1'000'000'000, wall_shift_ms_ = 0, boot_at_ms_ = 999'000'000;
  // The registry.
  std::vector<std::set<std::string, std::less<>>> releases_{{}};  // by version; 0: none
  TimeMs fetch_at_ms_ = 0, hint_free_ms_ = 0, registry_since_ms_ = 0;
  std::vector<Node> nodes_;  // the first one is the service's
  // The service.
  std::optional<RingCore> ring_;
  std::vector<KeyRecord> disk_;
  std::set<std::string> pems_;
  std::optional<Answer> answer_;
  TimeMs acked_asked_ms_ = 0;  // when the registry made the last answer
  bool revoking_ = false;
  std::set<std::string> may_be_gone_;  // their revocation was begun
  std::set<std::string> revoked_kids_;
  std::map<std::string, TimeMs> seen_ms_;     // a kid: since when this node decides with it
  std::map<std::string, TimeMs> token_ends_;  // by kid: the last one
  uint64_t made_ = 0;
  uint64_t shown_version_ = 0;  // that the ring was told of
};

}  // namespace notp::txn
