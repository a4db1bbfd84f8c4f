// What a collector's answer to a batch of spans means (OpenTelemetry Protocol, "OTLP/HTTP
// Response"). Pure.
#pragma once

#include "common/clock.hpp"
#include "common/http/message.hpp"
#include "common/result.hpp"

namespace notp {

// A collector that asks for a longer pause gets the batch after this one: it must not silence the
// program for days.
inline constexpr TimeMs kExportPauseMsMax = 60'000;

struct ExportVerdict {
  enum class Kind : uint8_t { kTaken, kRefused, kRetry };
  Kind kind = Kind::kRefused;
  uint64_t rejected = 0;  // with kTaken: spans that it refused all the same
  TimeMs pause_ms = 0;    // with kRetry: as asked for; 0: it did not say
  std::string why;        // for a person; empty with kTaken
};

// 200 is taken; 429, 502, 503 and 504 are worth another attempt; all else is not. A connection that
// fails, or a request that takes too long, is.
ExportVerdict judge_export(const Result<http::Response>& answer, TimeMs now_wall_ms);

}  // namespace notp
