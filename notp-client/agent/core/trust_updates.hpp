// Roots, assignments, freshness statements and what is said of key sources, as it arrives in a
// session: verifies what is signed, makes it durable, reports it. Pure. One thread.
#pragma once

#include <optional>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/dial_plan.hpp"
#include "notp-client/agent/core/freshness_watch.hpp"
#include "notp-client/agent/core/source_watch.hpp"

namespace notp::agent {

class TrustUpdates {
 public:
  // All arguments outlive this object.
  TrustUpdates(CoreParts parts, DialPlan& dial, FreshnessWatch& watch);

  void begin_session() {
    is_attested_ = false;
    sources_.begin_session();
  }
  // These return why the session has to end: the registry is rejected, as in DialPlan. Updates of a
  // rejected registry are ignored. take() passes an event on, and ignores those of others.
  std::optional<Error> take(session::ClientEvent& event);
  std::optional<Error> on_root(ByteView envelope);
  std::optional<Error> on_assignment(ByteView envelope);
  std::optional<Error> on_freshness(const wire::FreshnessUpdate& update);
  SourceWatch& sources() { return sources_; }
  const SourceWatch& sources() const { return sources_; }

 private:
  void tell_lane(decltype(effect::LaneInput::what) what);
  void keep(Result<std::optional<store::change::KeepAssignment>> taken);
  void accept(store::FreshnessKeep keep);
  std::optional<Error> refuse(const Error& error);

  const CoreParts parts_;
  DialPlan& dial_;
  FreshnessWatch& watch_;
  SourceWatch sources_;
  bool is_attested_ = false;  // in this session; a failure to store it would have ended the session
};

}  // namespace notp::agent
