// Takes security event tokens of one source into its lane, however they arrived.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-server/lane_inputs/intake_gate.hpp"
#include "notp-server/lane_inputs/key_waits.hpp"
#include "notp-server/lane_inputs/security_event.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "notp-server/lane_inputs/source_stats.hpp"

namespace notp::lane_inputs {

// SourceState::tells of sources of security events.
inline constexpr const char* kSetTells =
    "logouts, changed credentials, disabled accounts, as far as the transmitter sends them; not: "
    "single tokens that were revoked (RFC 7009), new tokens";

// What became of one token.
struct SetOutcome {
  std::optional<SecurityEvent> event;  // set: it is done with
  // Otherwise. With rule_of(): it is refused for good; without: the transmitter is to send it
  // again. kOverloaded, kUnavailable, kTimeout.
  std::optional<Error> error;
  // The error is that its key is not known: whoever sent it has shown nothing of himself yet.
  bool awaits_key = false;

  bool is_done() const { return event.has_value(); }
  bool is_refused() const;
};

// Thread-safe.
class SetTaker {
 public:
  // Called for events about the stream itself, once they are verified.
  using OnStreamEvent = std::function<void(const SecurityEvent& event)>;

  SetTaker(SetRules rules, const SourceParts& parts, const std::string& source,
           std::shared_ptr<SourceStats> stats, OnStreamEvent on_stream_event = {});

  // The stream that was made has these (SSF 1.0 §8.1.1).
  void set_audiences(std::vector<std::string> audiences);
  const std::string& issuer() const { return issuer_; }
  // Whether one of the token's audiences is expected.
  bool expects_audience_of(const jose::Token& token) const;

  // Verifies all of them, hands over what follows at once, and waits for the commit; in their
  // order. At most kPollEventsMax.
  boost::asio::awaitable<std::vector<SetOutcome>> take(std::vector<Result<jose::Token>> tokens);

  void close() { gate_.close(); }

 private:
  SetRules rules() const;
  SetOutcome verify(const Result<jose::Token>& token, const SetRules& rules, Now now);
  SetOutcome outcome_of(Error error, const jose::Token& token, Now now);
  boost::asio::awaitable<void> commit(std::vector<SetOutcome>& outcomes);
  void count(const std::vector<SetOutcome>& outcomes);

  const std::string issuer_;
  const IssuerKeys issuer_keys_;
  const UnknownKey unknown_key_;
  const std::shared_ptr<SourceStats> stats_;
  const OnStreamEvent on_stream_event_;
  IntakeGate gate_;
  mutable Mutex mutex_;
  SetRules rules_ NOTP_GUARDED_BY(mutex_);
  KeyWaits waits_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::lane_inputs
