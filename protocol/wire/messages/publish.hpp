// A publisher offers a new release.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/telemetry/trace_context.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/shared.hpp"

namespace notp::wire {

struct Publish {
  static constexpr FrameType kFrame = FrameType::kPublish;
  static constexpr std::string_view kName = "Publish";

  uint64_t request = 0;
  model::LedgerId ledger;
  std::optional<Base> base;
  uint64_t version = 0;
  Hash expected_head_hash;  // zero: the ledger must not have a release
  uint64_t size = 0;
  std::string message;
  uint32_t stream = 0;
  bool pending = false;           // with too few signatures: keep it until there are enough
  bool break_dependants = false;  // also when heads that use this ledger no longer compile with it
  std::optional<TraceContext> trace = {};
};

struct Finding {
  std::string path;
  uint32_t line = 0;
  std::string rule;
  std::string message;
};

// The outcome of a Publish; in a Response, that of a Cosign.
struct PublishResult {
  static constexpr FrameType kFrame = FrameType::kPublishResult;
  static constexpr std::string_view kName = "PublishResult";

  uint64_t request = 0;
  uint64_t version = 0;
  Hash release_hash;
  std::string commit;
  uint32_t code = 0;  // 0: published; else the wire number of an ErrorCode
  std::string message;
  std::optional<trust::ReleaseRef> head;
  std::string head_publisher;
  TimeMs head_issued_ms = 0;
  std::vector<Finding> findings;
  uint32_t signers = 0;
  uint32_t threshold = 0;              // 0: it is published
  std::vector<Finding> warnings = {};  // with code 0: for a person's review
};

}  // namespace notp::wire
