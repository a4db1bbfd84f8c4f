// What security events do to a lane: one row for each type of CAEP 1.0, RISC 1.0 and the Shared
// Signals Framework 1.0. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/feed/token_id.hpp"

namespace notp::lane_inputs {

enum class EventEffect : uint8_t {
  kIgnore,        // taken, and nothing follows
  kRevoke,        // what its subject names is revoked
  kVerification,  // answers a request to verify a stream
  kStreamUpdated  // the transmitter has changed the stream's status
};

struct EventType {
  std::string_view uri;
  EventEffect effect = EventEffect::kIgnore;
  // What an opaque subject by itself names (CAEP 1.0 §3.1.2: a session).
  feed::MarkKind bare = feed::MarkKind::kSubject;
  // The session is over: whatever it is about is revoked, when ever it was issued.
  bool ends_session = false;
  // Nothing follows when `change_type` is this.
  std::string_view harmless_change = {};
};

std::span<const EventType> event_types();
// nullptr for a type that is not in the table.
const EventType* find_event_type(std::string_view uri);
// Whether a type of the table has this as its last part, as in "credential-change".
bool is_event_name(std::string_view name);
// Returns the last part of a type.
std::string_view event_name(std::string_view uri);

}  // namespace notp::lane_inputs
