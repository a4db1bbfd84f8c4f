// Messages of the registry that keep a node's trust current.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/wire/frame_type.hpp"

namespace notp::wire {

// The next root of the chain.
struct RootUpdate {
  static constexpr FrameType kFrame = FrameType::kRootUpdate;
  static constexpr std::string_view kName = "RootUpdate";

  Bytes envelope;
};

struct FreshnessHead {
  model::LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release_hash;
  std::vector<Hash> withdrawn;
};

// A freshness statement relative to the one of its kind before it.
struct FreshnessUpdate {
  static constexpr FrameType kFrame = FrameType::kFreshnessUpdate;
  static constexpr std::string_view kName = "FreshnessUpdate";

  uint64_t sequence = 0;
  uint64_t base_sequence = 0;  // 0: none
  TimeMs issued_ms = 0;
  uint64_t lifetime_ms = 0;
  uint64_t root_version = 0;  // 0: that of the base
  std::vector<FreshnessHead> heads;
  std::vector<model::LedgerId> gone;
  Bytes signature;
  bool of_class = false;  // for the class that the client is assigned to
};

// Which class the client is in.
struct Assignment {
  static constexpr FrameType kFrame = FrameType::kAssignment;
  static constexpr std::string_view kName = "Assignment";

  Bytes envelope;
};

}  // namespace notp::wire
