// What an intake counts, since the start of the process.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

#include "common/result.hpp"

namespace notp::audit {

enum class FaultKind : uint8_t {
  kFork,      // two records at one place
  kGap,       // records are missing
  kInvalid,   // a segment or announcement that breaks its rules
  kForeign,   // another node's log, or too many
  kNotStored  // a commit failed; it is repeated
};
inline constexpr std::array<std::string_view, 5> kFaultKindNames = {"fork", "gap", "invalid",
                                                                    "foreign", "not_stored"};
inline FaultKind fault_kind(ErrorCode code) {
  switch (code) {
    case ErrorCode::kLogFork:
      return FaultKind::kFork;
    case ErrorCode::kLogGap:
      return FaultKind::kGap;
    case ErrorCode::kDenied:
      return FaultKind::kForeign;
    case ErrorCode::kIo:
      return FaultKind::kNotStored;
    default:
      return FaultKind::kInvalid;
  }
}

struct IntakeCounters {
  std::atomic<uint64_t> records = 0, segments = 0, bytes = 0;  // bytes of bodies
  std::function<void(FaultKind)> on_fault = [](FaultKind) {};  // set before the first one

  void count_fault(ErrorCode code) const { on_fault(fault_kind(code)); }
};

}  // namespace notp::audit
