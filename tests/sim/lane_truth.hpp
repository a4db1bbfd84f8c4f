// The tokens of a simulated provider, and what its sources say about them: added, changed, deleted,
// revoked by subject, session or number; late, twice, by two sources, in any order.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "notp-server/lane/intake.hpp"
#include "tests/sim/lane_pdp.hpp"
#include "tests/sim/lane_registry.hpp"

namespace notp::sim {

struct SimToken {
  feed::TokenId id;
  SimClaims claims;
  std::string audience;
  // A source has heard that it was taken, in this instance; zero: no.
  feed::TokenId deleted_in;
};

class LaneTruth {
 public:
  // `wall_ms`: the provider's clock, which is right.
  LaneTruth(LanePort& port, SimLaneRegistry& registry);

  // Plans the life of a new token.
  void make_token();
  // The same, deleted after `delay_ms` for certain.
  void make_token_deleted(TimeMs delay_ms);
  void revoke_subject();
  void publish_list(bool large);

  const std::vector<SimToken>& tokens() const { return tokens_; }
  std::vector<SimToken>& tokens() { return tokens_; }
  // The registry's clock is ahead: it may forget what was deleted, and take it again.
  void registry_is_ahead() {
    for (SimToken& token : tokens_) token.deleted_in = {};
  }
  // Events that wait for the registry.
  size_t waiting() const { return waiting_; }
  uint64_t sent() const { return sent_; }

 private:
  int64_t now_s() const { return (kLaneWallStartMs + port_.time_ms()) / 1'000; }
  SimToken& add_token();
  json::object attributes(const SimToken& token, const std::string& audience) const;
  // Through one source or two, once or more often, after some time.
  void tell(TimeMs delay_ms, const lane::IncomingEvent& event, Action taken = {});
  void send(const std::string& source, const lane::IncomingEvent& event, Action taken);

  LanePort& port_;
  SimLaneRegistry& registry_;
  std::vector<SimToken> tokens_;
  uint64_t numbers_ = 0;
  size_t waiting_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace notp::sim
