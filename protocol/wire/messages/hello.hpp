// Messages that begin a session and change a client's wants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/decision_log.hpp"
#include "protocol/wire/messages/shared.hpp"

namespace notp::wire {

inline constexpr uint32_t kProtocolVersion = 1;

struct ResumeToken {
  Hash artifact;
  uint64_t offset = 0;
};

struct Want {
  model::LedgerId ledger;
  std::optional<Base> base;
  std::vector<Base> older;
  std::optional<ResumeToken> resume;
  uint64_t version = 0;
  bool heads_only = false;
  Hash pending_hash;                // zero: none; with version: that pending release, once
  std::vector<Hash> missing_blobs;  // contents that cannot be read any more
};

struct Hello {
  static constexpr FrameType kFrame = FrameType::kHello;
  static constexpr std::string_view kName = "Hello";

  std::vector<uint32_t> versions;
  std::string user_agent;
  uint64_t root_version = 0;
  uint64_t freshness_sequence = 0;
  std::vector<Want> wants;
  std::optional<LogOffer> log = {};
  bool class_freshness = false;      // understands Assignment and statements for a class
  uint64_t assignment_sequence = 0;  // of the last assignment that the client accepted; 0: none
};

struct Welcome {
  static constexpr FrameType kFrame = FrameType::kWelcome;
  static constexpr std::string_view kName = "Welcome";

  uint32_t version = kProtocolVersion;
  std::string server;
  std::string trust_domain;
  uint64_t root_version = 0;
  std::vector<trust::ReleaseRef> heads;
  std::vector<Refusal> refusals;
};

struct WantMore {
  static constexpr FrameType kFrame = FrameType::kWantMore;
  static constexpr std::string_view kName = "WantMore";

  std::vector<Want> wants;
};

}  // namespace notp::wire
