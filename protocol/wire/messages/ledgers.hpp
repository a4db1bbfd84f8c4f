// Requests about ledgers and their releases.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "protocol/wire/messages/shared.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct HistoryRow {
  uint64_t version = 0;
  Hash release_hash;
  Hash content_root;
  std::string publisher;
  std::string message;
  TimeMs issued_ms = 0;
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
  std::string commit;
  Bytes envelope;
  std::string withdrawn;  // empty: not withdrawn
};

struct HistoryPage {
  static constexpr std::string_view kName = "HistoryPage";

  std::vector<HistoryRow> rows;  // newest first
  bool more = false;
};

struct HistoryRequest {
  static constexpr std::string_view kName = "HistoryRequest";
  static constexpr std::optional<Action> kAction = Action::kRead;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = HistoryPage;

  model::LedgerId ledger;
  uint64_t below_version = 0;
  uint32_t rows_max = 0;
};

struct LedgersPage {
  static constexpr std::string_view kName = "LedgersPage";

  std::vector<trust::ReleaseRef> heads;
  std::vector<Refusal> damaged;  // existing ledgers that cannot be served
  bool more = false;
};

struct LedgersRequest {
  static constexpr std::string_view kName = "LedgersRequest";
  static constexpr std::optional<Action> kAction = std::nullopt;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = LedgersPage;

  std::optional<model::LedgerId> after = {};
};

// Its response has the row of the release.
struct Withdraw {
  static constexpr std::string_view kName = "Withdraw";
  static constexpr std::optional<Action> kAction = Action::kPublish;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = HistoryPage;

  model::LedgerId ledger;
  uint64_t version = 0;
  std::string reason;
};

}  // namespace notp::wire
