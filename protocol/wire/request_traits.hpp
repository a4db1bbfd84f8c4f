// Properties of a request beside its fields: the right that it needs and its kind of work. The
// session and the registry use these instead of a list of requests.
#pragma once

#include <cstdint>

namespace notp::wire {

enum class Action : uint8_t {
  kRead,
  kPublish,
  kFleet,   // see what every node runs
  kTrust,   // publish a root
  kEnroll,  // let a new node in
  kReview,  // see what waits for signatures
  kRenew,   // get the next certificate of one's own identity
  kAudit,   // read recorded decisions
  kRecord,  // ship the log of one's own decisions
  kErase,   // hold and erase recorded decisions
  kRevoke,  // revoke tokens, and look one up
};

enum class RequestKind : uint8_t {
  kQuery,    // changes nothing
  kCommand,  // changes something, in a time that no peer can make long
  kPublish,  // may publish, and then validates a whole model first
  kAudit,    // searches recorded decisions: changes nothing, takes as long as kAuditPageMs
};

}  // namespace notp::wire
