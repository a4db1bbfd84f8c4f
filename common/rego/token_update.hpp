// What the engine's workers get of a token lane, and when. common/rego/worker/README.md, "Tokens".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/rego/shared_bytes.hpp"

namespace notp::rego {

// What the agent knows of its lane. A policy's `lane.state` follows from it and the age: "live",
// "lagging" and "stale" while it is kHeard.
enum class LaneContact : uint8_t {
  kUnknown = 0,      // nothing was ever heard of it
  kHeard = 1,        // `heard_ms` says when
  kUnsupported = 2,  // the registry does not know lanes
  kDenied = 3,       // the registry, or this node, refuses it
};
enum class LaneMode : uint8_t { kPush = 0, kAsk = 1 };

struct LaneReadout {
  std::string lane;  // its name; empty: there is no lane
  uint64_t revision = 0;
  LaneContact contact = LaneContact::kUnknown;
  LaneMode mode = LaneMode::kPush;
  // Since its start or before it, the table had all revocations. False: nothing is known of what is
  // missing, so `revoked` is always true.
  bool is_complete = false;
  TimeMs heard_ms = 0;  // time of the newest statement; the age is the trusted time since then
  uint64_t hard_s = 0;  // an older lane is stale
  bool serves = false;  // a stale lane still answers; false: lookups are undefined, all is revoked
  // The age clock: the node's trusted time, and CLOCK_BOOTTIME at that moment. A policy's time is
  // the later one of the wall clock and what follows from these.
  TimeMs trusted_ms = 0, boot_ms = 0;
  bool operator==(const LaneReadout&) const = default;
};

// One of the files of a table, and what has changed since it was written.
struct TokenShard {
  SharedBytesPtr base;                 // a segment; null: empty
  std::shared_ptr<const Bytes> delta;  // a segment; null: empty
};

// Where a shard belongs: tokens and marks, or status lists, whose id begins with these 6 bits.
struct ShardKey {
  enum class Kind : uint8_t { kTokens = 0, kLists = 1 };
  static constexpr uint8_t kCount = 64;  // of each kind
  Kind kind = Kind::kTokens;
  uint8_t index = 0;
  auto operator<=>(const ShardKey&) const = default;
};

// Replaces the readout and the shards that it names. It may be shared by threads.
struct TokenUpdate {
  bool is_whole = false;  // shards that it does not name are empty; false: they stay
  LaneReadout readout;
  std::map<ShardKey, TokenShard> shards;
};

}  // namespace notp::rego
