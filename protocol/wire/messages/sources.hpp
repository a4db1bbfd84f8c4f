// Sources of key sets: OpenID providers whose keys the registry fetches and publishes
// (protocol/session/README.md, "Key sources").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/shared.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

// --- between registry and node

// A node met a token of a configured issuer whose key is not in the issuer's key set.
struct UnknownKey {
  static constexpr FrameType kFrame = FrameType::kUnknownKey;
  static constexpr std::string_view kName = "UnknownKey";

  std::string issuer;  // `iss` of the token
  std::string kid;     // of its header
};

enum class IssuerState : uint8_t {
  kOk = 1,
  kLate = 2,     // nothing was fetched yet, or a fetch or a publish failed
  kFailing = 3,  // that has lasted long
  kSuspect = 4,  // an answer of the provider is not taken: the last good set stays
};

struct IssuerStatus {
  std::string name;    // its folder below keys/
  std::string issuer;  // its identifier, a URL
  model::LedgerId ledger;
  IssuerState state = IssuerState::kOk;
  TimeMs good_ms = 0;  // Unix time of the last good fetch; 0: none yet
  bool operator==(const IssuerStatus&) const = default;
};

// The issuers whose keys are in ledgers of this session: all of them, each time.
struct SourceStatus {
  static constexpr FrameType kFrame = FrameType::kSourceStatus;
  static constexpr std::string_view kName = "SourceStatus";

  std::vector<IssuerStatus> issuers;  // by name, ascending, each once
  bool operator==(const SourceStatus&) const = default;
};

// --- between registry and administrator

struct SourceRow {
  IssuerStatus status;
  TimeMs fetched_ms = 0;  // Unix time of the last attempt; 0: none yet
  TimeMs next_ms = 0;     // of the next one
  uint32_t code = 0;      // of the last attempt: wire number of an ErrorCode; 0: it succeeded
  std::string message;
  uint64_t version = 0;           // of the release that has these keys; 0: none yet
  uint64_t fetches = 0;           // since the registry's start
  uint64_t unknown_keys = 0;      // reports of nodes since then
  std::string jwks_uri;           // as discovered; empty: not yet
  std::vector<std::string> kids;  // of its keys in that release; "" for a key without one
};

struct SourcesPage {
  static constexpr std::string_view kName = "SourcesPage";

  std::vector<SourceRow> rows;  // by name, ascending
  bool more = false;
};

struct SourcesRequest {
  static constexpr std::string_view kName = "SourcesRequest";
  static constexpr std::optional<Action> kAction = std::nullopt;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = SourcesPage;

  std::string name;  // this one alone; empty: all of ledgers that the client may read
};

// Fetches now, unless the last fetch was too short a time ago.
struct RefreshSource {
  static constexpr std::string_view kName = "RefreshSource";
  static constexpr std::optional<Action> kAction = Action::kPublish;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = SourcesPage;

  model::LedgerId ledger;
  std::string name;
};

}  // namespace notp::wire
