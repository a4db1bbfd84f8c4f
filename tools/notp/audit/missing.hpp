// Whether decisions that someone else has a list of, such as the application that asked, are
// recorded.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tools/notp/audit/audit_port.hpp"
#include "tools/notp/audit/log_history.hpp"

namespace notp::cli {

enum class IdState : uint8_t { kRecorded, kLost, kUnknown, kForeign };
// "recorded", "lost", "unknown", "foreign".
std::string_view id_state_name(IdState state);

struct IdAnswer {
  std::string id;
  IdState state = IdState::kUnknown;
  std::string why;  // empty: recorded, and readable
};

// What stands at an address.
struct PlaceSeen {
  enum class What : uint8_t {
    kBeyond,  // the registry's log ends before it
    kDecision,
    kOther,    // a record of another kind
    kClosed,   // a record that the caller may not read
    kDropped,  // its body is gone
  };
  What what = What::kBeyond;
  uint32_t run = 0;  // of the record, if it was read
};

// What is known of one log.
struct LogFacts {
  wire::LogRow row;
  LogHistory history;
  std::string successor;  // id of the log that says that it follows this one; empty: none does
};

// Lost: the id's run ended at a gap at or below its position, the log ended below it, or the body
// is gone. Pure.
IdAnswer classify(const record::DecisionAddress& address, const LogFacts& log,
                  const PlaceSeen& seen);

// Answers in the order of the ids. `looked_at` is called after each one. An id that is no address
// (an OPA's own) is searched for.
Result<std::vector<IdAnswer>> find_ids(AuditPort& port, std::span<const std::string> ids,
                                       const std::function<void(size_t count)>& looked_at);

}  // namespace notp::cli
