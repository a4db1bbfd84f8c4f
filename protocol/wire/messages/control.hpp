// Keep-alive messages and the end of a session.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "protocol/wire/frame_type.hpp"

namespace notp::wire {

struct Ping {
  static constexpr FrameType kFrame = FrameType::kPing;
  static constexpr std::string_view kName = "Ping";

  uint64_t nonce = 0;
};

struct Pong {
  static constexpr FrameType kFrame = FrameType::kPong;
  static constexpr std::string_view kName = "Pong";

  uint64_t nonce = 0;
};

struct ErrorMessage {
  static constexpr FrameType kFrame = FrameType::kError;
  static constexpr std::string_view kName = "Error";

  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  uint32_t retry_after_ms = 0;
};

struct Bye {
  static constexpr FrameType kFrame = FrameType::kBye;
  static constexpr std::string_view kName = "Bye";

  std::string reason;
  uint32_t retry_after_ms = 0;
};

}  // namespace notp::wire
