// The own form of events: lines of JSON (notp-server/lane_inputs/README.md, "Own form"). Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane_inputs {

struct EventLine {
  size_t number = 0;  // from 1, blank lines included
  Result<lane::IncomingEvent> event;
};

// Reads the lines of a body; blank ones are left out. Tokens are hashed at once, and no error
// repeats one. `issuers`: of whose subjects revocations, and of whose tokens adds may tell; empty:
// any. kLimit: more than kEventLinesMax lines. A line by itself is refuse()d with one of
//   line.too-long, line.not-json; line.op: unknown; line.member: one that the op does not have, or
//   lacks, or of another type; line.id: neither one id nor one token; line.time: not a whole number
//   of seconds; subject.other-issuer.
Result<std::vector<EventLine>> read_event_lines(ByteView body, std::span<const std::string> issuers,
                                                TimeMs now_ms);

}  // namespace notp::lane_inputs
