// Effects: what the core of a token lane asks of its host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/rego/token_update.hpp"
#include "common/result.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/wire/messages/lanes.hpp"

namespace notp::lane {

using rego::LaneContact;
using rego::LaneMode;
using rego::LaneReadout;

// What is durable with the revocations of a lane.
struct LaneMarks {
  // All revocations up to it are durable; nullopt: it is not known which are missing.
  std::optional<wire::LanePosition> position;
  bool has_tokens = false;  // so are the tokens
  feed::LaneTerms terms;
  TimeMs signed_ms = 0;   // time of the newest statement
  TimeMs heard_ms = 0;    // the same of the newest one up to which nothing was missing
  TimeMs trusted_ms = 0;  // the latest trusted time that was seen
  bool operator==(const LaneMarks&) const = default;
};

namespace change {
// As TokenTable::apply().
struct Events {
  std::vector<feed::Event> events;
};
// As TokenTable::begin_snapshot(), apply_rows() and end_snapshot().
struct SnapshotBegins {
  uint64_t as_of = 0;
};
struct Rows {
  feed::Snapshot snapshot;
};
struct SnapshotEnds {};
// Answers that may not be used any longer. Of the table alone.
struct Forget {
  std::vector<feed::TokenId> ids;
};
}  // namespace change
using Change = std::variant<change::Events, change::SnapshotBegins, change::Rows,
                            change::SnapshotEnds, change::Forget>;

// How an ask ended.
enum class AskOutcome : uint8_t {
  kKnown,     // decisions use the answer now: the token lives, or is deleted
  kUnknown,   // the registry does not know the token
  kNotAsked,  // no lane is followed, or too many asks are open: what is there counts
};

// Conditions that raise one alarm while they last.
enum class LaneTopic : uint8_t {
  kKey,        // the root has no lane key, or another than the registry
  kRefused,    // the registry does not let this node follow the lane
  kStatement,  // a statement failed its checks
  kHistory,    // the registry's history is behind this node's
  kStore,      // what arrives is not durable
};

namespace effect {
struct Subscribe {
  wire::LaneSubscribe subscribe;
};
struct Ask {
  wire::LaneAsk ask;
};
struct Report {
  wire::LaneApplied applied;
};
// Change the table and, in one transaction with `marks`, the store; give the PDP the table's
// update. Answer with on_durable() and on_decided(), or on_persist_failed(). In the order of their
// numbers.
struct Take {
  uint64_t number = 0;  // 1, 2, 3 …
  // The failures of the store that the core knows of. After one more, `marks.position` does not
  // count: what was not stored would be missing.
  uint64_t losses = 0;
  Change change;
  LaneMarks marks;
};
// The table's readout from now on: give it to the PDP, after the changes before it.
struct Show {
  LaneReadout readout;
};
// Free what has ended.
struct Expire {
  int64_t now_s = 0;  // trusted time
};
struct Resolved {
  feed::TokenId id;
  AskOutcome outcome = AskOutcome::kNotAsked;
};
struct Alarm {
  LaneTopic topic = LaneTopic::kKey;
  Error error;
};
struct AlarmOver {
  LaneTopic topic = LaneTopic::kKey;
};
// Names as of lane_state_name(): for the log.
struct StateChanged {
  std::string_view before, after;
};
// A statement was dropped: for the log and the metrics. Many may follow each other.
struct Refused {
  Error error;
};
// Messages dropped, or a gap: the node follows again. For the log.
struct FollowsAgain {
  std::string why;
};
}  // namespace effect

using LaneEffect =
    std::variant<effect::Subscribe, effect::Ask, effect::Report, effect::Take, effect::Show,
                 effect::Expire, effect::Resolved, effect::Alarm, effect::AlarmOver,
                 effect::StateChanged, effect::Refused, effect::FollowsAgain>;
using LaneEffects = std::vector<LaneEffect>;

}  // namespace notp::lane
