// Roots and freshness statements that arrive in a session: verifies them, makes them durable,
// reports them. Pure. One thread.
#pragma once

#include <optional>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/dial_plan.hpp"
#include "notp-client/agent/core/freshness_watch.hpp"

namespace notp::agent {

class TrustUpdates {
 public:
  // All arguments outlive this object.
  TrustUpdates(CoreParts parts, DialPlan& dial, FreshnessWatch& watch);

  void begin_session() { is_attested_ = false; }
  // These return why the session has to end: the registry is rejected, as in DialPlan. Updates of a
  // rejected registry are ignored.
  std::optional<Error> on_root(ByteView envelope);
  std::optional<Error> on_freshness(const wire::FreshnessUpdate& update);

 private:
  void accept(store::FreshnessKeep keep);
  std::optional<Error> refuse(const Error& error);

  const CoreParts parts_;
  DialPlan& dial_;
  FreshnessWatch& watch_;
  bool is_attested_ = false;  // in this session; a failure to store it would have ended the session
};

}  // namespace notp::agent
