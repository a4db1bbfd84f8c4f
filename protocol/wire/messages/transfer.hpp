// An artifact on its way to a node, and the node's report about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/telemetry/trace_context.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/shared.hpp"

namespace notp::wire {

// A base that is a part of a release.
struct PartialBase {
  Hash content_root;
  Bytes excluded_leaves;  // leaves, as partial_base() reads them
};

// An offer names its ledger, or is short: for a subscription of the session, by its number.
struct Offer {
  static constexpr FrameType kFrame = FrameType::kOffer;
  static constexpr std::string_view kName = "Offer";

  uint32_t stream = 0;
  model::LedgerId ledger;  // zone 0: it is short
  uint64_t version = 0;
  std::optional<Base> base;  // in a short one the content root is zero: its reader knows it
  Hash artifact;             // zero: the reader of a short one derives it
  uint64_t size = 0;
  uint64_t offset = 0;
  Hash content_root;
  uint32_t subscription = 0;   // in a short one
  uint64_t base_distance = 0;  // in a short one: its base is version - base_distance; 0: none
  std::optional<PartialBase> partial = {};  // never in a short one
  uint32_t encoding_tier = 0;               // as in artifact_id()
  std::optional<TraceContext> trace = {};

  bool is_short() const { return ledger.zone == 0; }
};

// Raw payload: stream (varint) ‖ bytes. Chunks of one stream follow each other without gaps.
struct Chunk {
  static constexpr FrameType kFrame = FrameType::kChunk;
  static constexpr std::string_view kName = "Chunk";

  uint32_t stream = 0;
  ByteView bytes;  // into the parser's buffer, valid until its next call
};

enum class CommitState : uint8_t { kStored = 1, kActive = 2, kRejected = 3 };

// "stored", "active", "rejected": for logs and tables.
constexpr std::string_view commit_state_name(CommitState state) {
  switch (state) {
    case CommitState::kStored:
      return "stored";
    case CommitState::kActive:
      return "active";
    case CommitState::kRejected:
      return "rejected";
  }
  return "unknown";
}

// A report names its ledger, or is short, like an Offer.
struct Commit {
  static constexpr FrameType kFrame = FrameType::kCommit;
  static constexpr std::string_view kName = "Commit";

  model::LedgerId ledger;  // zone 0: it is short
  uint64_t version = 0;
  CommitState state = CommitState::kStored;
  uint32_t code = 0;  // wire number of an ErrorCode: with kRejected, or kQuarantined with kActive
  std::string message;
  Hash content_root;  // of the active release; zero: none
  // nullopt: as in the ledger's previous Commit.
  std::optional<trust::FreshnessState> freshness = {};
  uint32_t subscription = 0;  // in a short one

  bool is_short() const { return ledger.zone == 0; }
};

}  // namespace notp::wire
