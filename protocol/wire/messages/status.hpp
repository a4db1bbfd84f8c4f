// What a registry does now, for a screen that is refreshed each second: counters since its start,
// and one row for each ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct LedgerStatus {
  model::LedgerId ledger;
  uint64_t head_version = 0;
  TimeMs published_ms = 0;  // when this registry stored it; 0: before its start
  uint64_t nodes = 0;       // that report about the ledger
  uint64_t current = 0;     // of these, connected and active with the head
  uint64_t older = 0;       // connected and active with another release, or none
  uint64_t rejected = 0;    // connected, and rejected the head
  uint64_t away = 0;        // not connected
  TimeMs slowest_ms = 0;    // of the head: the longest from publish, or later session, to ACTIVE
};

struct RegistryStatus {
  static constexpr std::string_view kName = "RegistryStatus";

  TimeMs started_ms = 0, now_ms = 0;
  uint64_t sessions = 0;     // open now
  uint64_t publishes = 0;    // releases stored
  uint64_t offers = 0;       // artifacts sent
  uint64_t sent_bytes = 0;   // of artifacts
  uint64_t activations = 0;  // releases that nodes reported as active, repeats not counted
  uint64_t rejections = 0;
  uint64_t records = 0;  // decision records stored
  uint64_t lag_ms = 0;   // age of the oldest record that a node has and the registry lacks
  uint64_t nodes = 0, connected = 0, stale = 0;  // stale: connected, a release is not fresh
  std::vector<LedgerStatus> ledgers;             // by ledger, ascending
  bool more = false;
};

struct StatusRequest {
  static constexpr std::string_view kName = "StatusRequest";
  static constexpr std::optional<Action> kAction = Action::kFleet;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = RegistryStatus;

  std::optional<model::LedgerId> after = {};
  uint32_t rows_max = 0;
};

}  // namespace notp::wire
