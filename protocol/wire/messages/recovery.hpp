// A registry that has lost releases gets them from the nodes that hold them:
// protocol/session/README.md, "Recovery".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/done.hpp"
#include "protocol/wire/messages/shared.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

// --- between registry and node

// What does the node hold above this release and this root?
struct HeldRequest {
  static constexpr FrameType kFrame = FrameType::kHeldRequest;
  static constexpr std::string_view kName = "HeldRequest";

  model::LedgerId ledger;
  uint64_t above_version = 0;
  uint64_t root_version = 0;
};

// Answers HeldRequest with what is signed: it needs no trust in the node.
struct Held {
  static constexpr FrameType kFrame = FrameType::kHeld;
  static constexpr std::string_view kName = "Held";

  model::LedgerId ledger;
  std::vector<Bytes> releases;  // envelopes, by version, ascending
  std::vector<Bytes> roots;     // envelopes, by version, ascending
  Bytes freshness;              // the envelope of the last statement; empty: none
};

// The registry wants one release, with its content.
struct ReturnRequest {
  static constexpr FrameType kFrame = FrameType::kReturnRequest;
  static constexpr std::string_view kName = "ReturnRequest";

  uint64_t request = 0;
  model::LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;
  uint64_t base_version = 0;  // 0: full content
};

// Answers ReturnRequest. The artifact follows as Chunk frames on `stream`.
struct Return {
  static constexpr FrameType kFrame = FrameType::kReturn;
  static constexpr std::string_view kName = "Return";

  uint64_t request = 0;
  std::optional<Base> base;  // absent: full content
  uint64_t size = 0;         // 0, with a code: nothing follows
  uint32_t stream = 0;
  uint32_t code = 0;  // wire number of an ErrorCode: why there is no artifact
  std::string message;
};

// --- between registry and administrator

enum class RecoveryState : uint8_t {
  kLost = 1,       // nodes have releases that the registry lacks
  kFetching = 2,   // they are being fetched
  kRecovered = 3,  // fetched since the start
  kFork = 4,       // nodes have another release of a version than the registry
};

struct RecoveryRow {
  model::LedgerId ledger;
  uint64_t head_version = 0;    // of the registry
  uint64_t newest_version = 0;  // of the nodes
  uint32_t holders = 0;         // nodes that hold the newest one
  RecoveryState state = RecoveryState::kLost;
  uint64_t missing = 0;          // versions in between that no connected node holds
  std::string missing_versions;  // of these the first, for people: "v43, v45"
  std::string message;           // of the last error
};

struct RecoveryStatus {
  static constexpr std::string_view kName = "RecoveryStatus";

  TimeMs restored_ms = 0;  // when a backup was restored; 0: none was, or it is confirmed
  TimeMs backup_ms = 0;    // when that backup was made
  uint64_t root_version = 0;
  uint64_t newest_root = 0;               // of the nodes
  uint64_t nodes = 0;                     // that the registry knows
  uint64_t silent = 0;                    // of these, not heard since the registry began to look
  std::vector<std::string> silent_nodes;  // identities of the first ones
  bool is_running = false;
  std::vector<RecoveryRow> rows;  // by ledger, ascending
  bool more = false;
};

struct RecoveryRequest {
  static constexpr std::string_view kName = "RecoveryRequest";
  static constexpr std::optional<Action> kAction = Action::kFleet;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = RecoveryStatus;

  std::optional<model::LedgerId> after = {};
};

// Begins to fetch what RecoveryStatus shows.
struct Recover {
  static constexpr std::string_view kName = "Recover";
  static constexpr std::optional<Action> kAction = Action::kTrust;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = Done;

  bool accept_silent = false;   // although nodes have not been heard
  bool accept_missing = false;  // although no node holds some of the releases in between
};

}  // namespace notp::wire
