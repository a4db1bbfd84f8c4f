// Requests about the fleet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/wire/messages/done.hpp"
#include "protocol/wire/messages/transfer.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct NodeLedger {
  model::LedgerId ledger;
  uint64_t version = 0;
  CommitState state = CommitState::kStored;
  uint64_t active_version = 0;
  uint32_t code = 0;
  std::string message;
  TimeMs since_ms = 0;
  uint64_t head_version = 0;
  trust::FreshnessState freshness = trust::FreshnessState::kUntracked;
  TimeMs vouched_ms = 0;
};

struct NodeRow {
  std::string identity;
  std::string user_agent;
  bool connected = false;
  TimeMs seen_ms = 0;
  std::vector<NodeLedger> ledgers;
  // Since when decision records of the node are missing at the registry, by the node's last word;
  // 0: none are; nullopt: it has never offered a log.
  std::optional<TimeMs> lag_since_ms = {};
};

struct NodesPage {
  static constexpr std::string_view kName = "NodesPage";

  std::vector<NodeRow> rows;  // by identity, ascending
  bool more = false;
};

struct NodesRequest {
  static constexpr std::string_view kName = "NodesRequest";
  static constexpr std::optional<Action> kAction = Action::kFleet;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = NodesPage;

  std::string after;
  uint32_t rows_max = 0;
};

// Of the nodes that were granted the ledger in the last session of each.
struct ReleaseStatus {
  static constexpr std::string_view kName = "ReleaseStatus";

  uint64_t nodes = 0;
  uint64_t connected = 0;  // with a session
  uint64_t active = 0;     // of these, that decide with the version or a later one
  // Not connected for a short time only (fleet::Fleet::kReconnectMs), and by their last report not
  // active with it: they may decide with an older release meanwhile. All others without a session
  // count as offline.
  uint64_t reconnecting = 0;
  bool operator==(const ReleaseStatus&) const = default;
};

// How far a release has come.
struct ReleaseStatusRequest {
  static constexpr std::string_view kName = "ReleaseStatusRequest";
  static constexpr std::optional<Action> kAction = Action::kRead;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = ReleaseStatus;

  model::LedgerId ledger;
  uint64_t version = 0;
};

// Lets a release go that the node's replay gate holds.
struct ReleaseHeldRequest {
  static constexpr std::string_view kName = "ReleaseHeldRequest";
  static constexpr std::optional<Action> kAction = Action::kPublish;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = Done;

  std::string node;  // identity
  model::LedgerId ledger;
  uint64_t version = 0;
};

// The same, to the node.
struct ReleaseHeld {
  static constexpr FrameType kFrame = FrameType::kReleaseHeld;
  static constexpr std::string_view kName = "ReleaseHeld";

  model::LedgerId ledger;
  uint64_t version = 0;
};

}  // namespace notp::wire
