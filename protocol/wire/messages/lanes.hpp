// Token lanes (protocol/feed/README.md; protocol/session/README.md, "Token lanes").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/feed/lane_event.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/sources.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

// --- between node and registry

enum class LaneMode : uint8_t {
  kPush = 1,  // every token of the grant
  kAsk = 2,   // tokens when they are asked for; revocations always
};

// Where a node is in the history of a lane.
struct LanePosition {
  feed::TokenId instance;
  uint64_t grant = 0;
  uint64_t revision = 0;
  bool operator==(const LanePosition&) const = default;
};

// A node follows a lane from where it is. A later one of the session replaces it.
struct LaneSubscribe {
  static constexpr FrameType kFrame = FrameType::kLaneSubscribe;
  static constexpr std::string_view kName = "LaneSubscribe";

  std::string lane;
  LaneMode mode = LaneMode::kPush;
  std::optional<LanePosition> position;  // nullopt: it has nothing
  // It wants a snapshot: a new one, or, with a position, the rest of one whose as_of is at most the
  // position's revision.
  bool snapshot = false;
  std::optional<feed::EventKey> after;  // of a snapshot: what it has of it already
  bool operator==(const LaneSubscribe&) const = default;
};

// The registry's answer to LaneSubscribe, and when it changes.
struct LaneState {
  static constexpr FrameType kFrame = FrameType::kLaneState;
  static constexpr std::string_view kName = "LaneState";

  std::string lane;
  uint32_t code = 0;  // wire number of an ErrorCode: nothing follows; 0: granted
  std::string message;
  feed::TokenId instance;  // zero with a code
  uint64_t grant = 0;
  uint64_t head = 0;
  bool too_slow = false;  // the node reads too slowly: it goes on when it has caught up
  bool operator==(const LaneState&) const = default;
};

struct LaneStatement {
  static constexpr FrameType kFrame = FrameType::kLaneStatement;
  static constexpr std::string_view kName = "LaneStatement";

  feed::SealedStatement statement;
};

// A node asks for tokens; each id is answered with one LaneStatement.
struct LaneAsk {
  static constexpr FrameType kFrame = FrameType::kLaneAsk;
  static constexpr std::string_view kName = "LaneAsk";

  std::vector<feed::TokenId> ids;  // 1 … kLaneAskIdsMax
};

// By the age of what the registry said last.
enum class LaneAge : uint8_t { kLive = 1, kLagging = 2, kStale = 3 };

// A node's report: what it decides with, and keeps over a restart.
struct LaneApplied {
  static constexpr FrameType kFrame = FrameType::kLaneApplied;
  static constexpr std::string_view kName = "LaneApplied";

  uint64_t revision = 0;
  LaneAge age = LaneAge::kLive;
  uint64_t tokens = 0;  // that it holds
};

// --- between registry and administrator

struct LaneSourceRow {
  std::string name, kind;
  IssuerState state = IssuerState::kOk;
  TimeMs event_ms = 0;    // Unix time of the last event; 0: none yet
  TimeMs contact_ms = 0;  // of the last success in reaching it
  uint64_t events = 0, refused = 0;
  std::string tells;  // what it can tell, and what not
  std::string message;
};

struct LaneRow {
  std::string lane;
  feed::TokenId instance;
  uint64_t revision = 0;
  uint64_t tokens = 0, deleted = 0, marks = 0, lists = 0;
  uint64_t bytes = 0;  // of its database
  uint64_t tokens_max = 0;
  uint64_t nodes = 0;        // connected that follow it
  uint64_t too_slow = 0;     // of these, that read too slowly
  uint64_t applied_min = 0;  // the least revision that one of these has applied
  uint64_t events = 0, refused = 0;
  std::vector<LaneSourceRow> sources;
};

struct LanesPage {
  static constexpr std::string_view kName = "LanesPage";

  std::vector<LaneRow> rows;  // by name, ascending
  bool more = false;
};

struct LanesRequest {
  static constexpr std::string_view kName = "LanesRequest";
  static constexpr std::optional<Action> kAction = Action::kFleet;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = LanesPage;

  std::string lane;  // this one alone; empty: all
};

struct LaneChange {
  static constexpr std::string_view kName = "LaneChange";

  uint64_t revision = 0;  // that has it
  uint64_t nodes = 0;     // connected that follow the lane
  uint64_t applied = 0;   // of these, that have applied the revision
};

// What is revoked when it is not one token.
struct MarkTarget {
  feed::MarkKind kind = feed::MarkKind::kSubject;
  std::string issuer, value;
  int64_t not_before_s = 0;  // Unix seconds; 0: now
};

struct RevokeTokens {
  static constexpr std::string_view kName = "RevokeTokens";
  static constexpr std::optional<Action> kAction = Action::kRevoke;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = LaneChange;

  std::string lane;
  // One of the two; neither: nothing is revoked, and the response tells how far the nodes are with
  // `revision`.
  std::optional<feed::TokenId> id;
  std::optional<MarkTarget> mark;
  uint64_t revision = 0;
};

enum class TokenState : uint8_t { kAlive = 1, kDeleted = 2, kUnknown = 3 };

struct TokenRow {
  static constexpr std::string_view kName = "TokenRow";

  TokenState state = TokenState::kUnknown;
  uint64_t revision = 0;
  std::string source;
  int64_t until_s = 0;     // Unix time of its end, or of the end of what is kept about it
  std::string attributes;  // JSON object; empty: none
};

struct ShowToken {
  static constexpr std::string_view kName = "ShowToken";
  static constexpr std::optional<Action> kAction = Action::kRevoke;
  static constexpr RequestKind kKind = RequestKind::kQuery;
  using Response = TokenRow;

  std::string lane;
  feed::TokenId id;
};

}  // namespace notp::wire
