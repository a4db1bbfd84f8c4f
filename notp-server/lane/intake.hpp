// What the inputs of a lane hand to it, and what they say of themselves.
// notp-server/lane/README.md.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/json/json.hpp"
#include "common/result.hpp"
#include "protocol/feed/lane_event.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::lane {

// --- events of a source, before the rules of the lane are applied

// A token lives. `attributes` has the members of RFC 7662 and RFC 9068 under their own names;
// `client_id` is read as `client`. `exp` is required unless the lane has a life_max, which then
// counts from now. Members that are not on the lane's list are dropped here, and never stored.
struct TokenAdded {
  feed::TokenId id;
  json::object attributes;
};

// A token is revoked, known or not.
struct TokenDeleted {
  feed::TokenId id;
  int64_t exp_s = 0;  // Unix time; 0: unknown, the longest life of a token counts
};

// What `issuer` issued to a subject, session, … at or before `not_before_s` is revoked. More than
// kMarkAheadMsMax ahead is refused, save kAnyIssueTime of what is not a subject.
struct Revoked {
  feed::MarkKind kind = feed::MarkKind::kSubject;
  std::string issuer, value;
  int64_t not_before_s = 0;  // Unix time
};

// A token status list, whose signature was verified.
struct ListFetched {
  std::string uri;
  uint32_t bits = 1;    // 1, 2, 4 or 8 for each token
  Bytes zlib;           // RFC 1950, at most kStatusListBytesMax
  int64_t until_s = 0;  // Unix time of its `exp`, or the end of its `ttl`
};

struct IncomingEvent {
  // One event of a source, for kKeyLifeS: `jti`, or "id:op". Empty: it may be taken twice.
  std::string key;  // at most kSourceKeyBytesMax
  std::variant<TokenAdded, TokenDeleted, Revoked, ListFetched> what;
};

struct IntakeOutcome {
  uint64_t revision = 0;  // of the lane after these events
  // One for each event, in their order; nullopt: it was taken, now or earlier. kMessage: it never
  // can be. kLimit: the lane is full of tokens.
  std::vector<std::optional<Error>> refused;
};

// A token of a source that is not deleted.
struct LivingToken {
  feed::TokenId id;
  int64_t exp_s = 0;    // Unix time; it may have passed
  int64_t taken_s = 0;  // Unix time at which its add was taken
};

struct LivingPage {
  std::vector<LivingToken> tokens;
  std::optional<feed::TokenId> next;  // go on above it; nullopt: that was all
};

// One lane. Thread-safe.
class LaneIntake {
 public:
  using Done = std::function<void(Result<IntakeOutcome>)>;

  virtual ~LaneIntake() = default;

  // Takes at most kIntakeEventsMax events. `done` is called once, on any thread and perhaps before
  // this returns; a success: after the events are durable. It must not block.
  // kOverloaded: the source is faster than its rate, or too much waits; kUnavailable: the lane's
  // store does not write, or it stops. Nothing was taken then: the source tries again.
  virtual void take(const std::string& source, std::vector<IncomingEvent> events, Done done) = 0;

  // What the lane has of `source` above `after`, by ascending id, of kLivingPageMax tokens of
  // whatever source. Blocking: reads the store. kIo, kCorrupt; kUnavailable: it stops.
  virtual Result<LivingPage> living(const std::string& source,
                                    const feed::TokenId& after) const = 0;
};

// --- inputs

// What an input says of itself: rows of `notp tokens stats`, metrics, health.
struct SourceState {
  enum class State : uint8_t { kOk, kLate, kFailing };
  std::string name, kind;
  State state = State::kLate;
  TimeMs last_event_ms = 0;          // wall time; 0: none yet
  TimeMs last_contact_ms = 0;        // wall time at which the source last answered; 0: never
  uint64_t events = 0, refused = 0;  // since the start
  std::string tells;                 // "logout, new password; not: revoked tokens"
  std::string message;               // of a state that is not kOk
};

// One configured input. It owns its work on the executor or thread that it was given. Thread-safe.
class LaneSource {
 public:
  virtual ~LaneSource() = default;
  virtual void start() = 0;
  // Ends its work, and calls the intake no more. Blocking; a second call does nothing.
  virtual void stop() = 0;
  virtual SourceState state() const = 0;
};

// Resolves a token at its provider.
class TokenResolver {
 public:
  virtual ~TokenResolver() = default;
  // nullopt: it does not live.
  virtual boost::asio::awaitable<Result<std::optional<TokenAdded>>> resolve(std::string token) = 0;
};

}  // namespace notp::lane
