// Requests about pending releases, which wait for signatures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "protocol/wire/messages/done.hpp"
#include "protocol/wire/messages/publish.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct PendingRow {
  model::LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;
  std::string publisher;
  std::string message;
  TimeMs received_ms = 0;
  uint32_t signers = 0;
  uint32_t threshold = 0;
  Bytes envelope;
};

struct PendingPage {
  static constexpr std::string_view kName = "PendingPage";

  std::vector<PendingRow> rows;  // by PendingPlace, ascending
  bool more = false;
};

// A position in the order of pending releases: by ledger, then by hash.
struct PendingPlace {
  model::LedgerId ledger;
  Hash release_hash;
  auto operator<=>(const PendingPlace&) const = default;
};

struct PendingRequest {
  static constexpr std::string_view kName = "PendingRequest";
  static constexpr std::optional<Action> kAction = Action::kReview;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = PendingPage;

  std::optional<model::LedgerId> ledger = {};
  std::optional<PendingPlace> after = {};
};

struct Cosign {
  static constexpr std::string_view kName = "Cosign";
  static constexpr std::optional<Action> kAction = Action::kPublish;
  static constexpr RequestKind kKind = RequestKind::kPublish;
  using Response = PublishResult;

  model::LedgerId ledger;
  Hash release_hash;
  Bytes signature;
};

struct DropPending {
  static constexpr std::string_view kName = "DropPending";
  static constexpr std::optional<Action> kAction = Action::kPublish;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = Done;

  model::LedgerId ledger;
  Hash release_hash;
};

}  // namespace notp::wire
