// Requests about roots, and about the setup of a registry.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/wire/messages/done.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct RootsPage {
  static constexpr std::string_view kName = "RootsPage";

  std::vector<Bytes> root_chain;  // oldest first
  bool more = false;
};

struct RootsRequest {
  static constexpr std::string_view kName = "RootsRequest";
  static constexpr std::optional<Action> kAction = std::nullopt;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = RootsPage;

  uint64_t after_version = 0;
};

struct PublishRoot {
  static constexpr std::string_view kName = "PublishRoot";
  static constexpr std::optional<Action> kAction = Action::kTrust;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = Done;

  Bytes envelope;
};

struct TrustRow {
  static constexpr std::string_view kName = "TrustRow";

  uint64_t root_version = 0;
  std::optional<model::LedgerId> deny_list;
  uint64_t freshness_interval_ms = 0;
  std::string enroll_address;
};

struct TrustRequest {
  static constexpr std::string_view kName = "TrustRequest";
  static constexpr std::optional<Action> kAction = std::nullopt;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = TrustRow;
};

}  // namespace notp::wire
