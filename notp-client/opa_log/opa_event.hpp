// One event of OPA's decision log (EventV1 of OPA's v1/plugins/logs) as the content of a record.
//
// OPA writes the same event in two forms. An element of the array that it posts to /logs has its
// `error` as an object, and "<", ">" and "&" escaped. A line of file_logger begins with the members
// of Go's log/slog ("time", "level", "msg", "type"), has its `error` as a text, and may be of
// another kind than a decision. Everything that OPA says twice is equal in both.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "notp-client/opa_log/event_key.hpp"
#include "protocol/record/record.hpp"

namespace notp::opa_log {

// A line of file_logger; the maximum of a write that file_logger accepts with our configuration.
inline constexpr size_t kEventBytesMax = 16 << 20;
// Longer ones are no event of OPA.
inline constexpr size_t kEventNameBytesMax = 256;       // ids, labels, addresses
inline constexpr size_t kEventPathBytesMax = 64 << 10;  // longer paths and queries are cut
// For all members beside input, result and the cache, in a record of kRecordBytesMax.
inline constexpr size_t kEventExtrasBytesMax = 512 << 10;

struct OpaEvent {
  EventKey key;
  std::string instance;  // labels.id: one process of OPA; empty: not said
  std::string revision;  // of the bundle "notp"; empty: none was active
  int64_t time_ns = 0;   // when the decision had been made
  // Whether OPA's counters count its request: it is an answer of the handlers that decide.
  bool is_counted = true;
  // The model's data.system.log.drop held: only counted, by path and outcome.
  bool is_dropped = false;
  // The module in OPA has taken something out of it, by the manifests' rules.
  bool is_masked = false;
  std::vector<std::string> path;  // segments of the data path, unescaped
  record::DecisionContent content;
};

// An element of the array at /logs. kMessage: not an event.
Result<OpaEvent> parse_event(ByteView text);
// All elements. One that is not an event is left out and counted in `damaged`; kMessage: not an
// array.
struct OpaEvents {
  std::vector<OpaEvent> events;
  size_t damaged = 0;
  std::string first_damage;  // for a person
};
Result<OpaEvents> parse_events(ByteView array);

// A line of file_logger, without its end. nullopt: not about a decision. When OPA was killed within
// a line, the next process has written its first line behind the part: the part is skipped.
// kMessage.
Result<std::optional<OpaEvent>> parse_line(ByteView line);

// The event of a line that is too long to be read, by its first bytes: what stands before the
// input. nullopt: not even that can be read.
std::optional<OpaEvent> parse_long_line(ByteView head);

// Withholds input and result, and leaves out further members, until the record's encoding is at
// most kRecordBytesMax. Call it again after a mask.
void fit(record::DecisionContent& content);

}  // namespace notp::opa_log
