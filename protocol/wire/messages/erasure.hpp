// Requests that hold and erase recorded decisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/messages/audit.hpp"

namespace notp::wire {

// What it covers is neither deleted by rule nor erased, while it is in force.
struct Hold {
  std::string id;
  DecisionFilter filter;
  std::string reason;
  std::string by;  // identity
  TimeMs placed_ms = 0;
  TimeMs lifted_ms = 0;  // 0: in force
  uint64_t index = 0;    // of its newest leaf in the registry's tree
};

struct HoldsPage {
  static constexpr std::string_view kName = "HoldsPage";

  std::vector<Hold> rows;  // ascending by id
  bool more = false;
};

struct HoldsRequest {
  static constexpr std::string_view kName = "HoldsRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = HoldsPage;

  std::string after;  // id of the last row of the page before
};

// The response has the hold as it is then.
struct PutHold {
  static constexpr std::string_view kName = "PutHold";
  static constexpr std::optional<Action> kAction = Action::kErase;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = HoldsPage;

  std::string id;  // chosen by who places it
  DecisionFilter filter;
  std::string reason;
  bool lift = false;  // the hold ends; `filter` is not looked at
};

struct Erased {
  static constexpr std::string_view kName = "Erased";

  uint64_t records = 0;   // erased; of a dry run, that would be
  uint64_t segments = 0;  // that held them
  uint64_t held = 0;      // not erased: a hold covers them
  uint64_t young = 0;     // not erased: their release wants them kept longer
  bool more = false;
  Bytes cursor;  // with more
};

// One page of the work; the caller asks on with the cursor. Erased is what the pages before did,
// also when a later one fails.
struct EraseRequest {
  static constexpr std::string_view kName = "EraseRequest";
  static constexpr std::optional<Action> kAction = Action::kErase;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = Erased;

  DecisionFilter filter;
  std::vector<std::string> ids;  // decision ids; with them the filter is not looked at
  std::string reason;
  bool dry_run = false;
  Bytes cursor;
};

}  // namespace notp::wire
