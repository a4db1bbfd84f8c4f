// Traces of releases that the registry pushes with a trace: receive, store, activate, each below
// the registry's span of the push.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/telemetry/span.hpp"
#include "notp-client/agent/core/agent_effect.hpp"

namespace notp::agent {

// At most one release of a ledger is traced: a newer one takes its place. All on the agent's
// thread.
class AgentTraces {
 public:
  // `tracer` outlives it.
  explicit AgentTraces(const Tracer& tracer) : tracer_(tracer) {}

  // This node's identity and the kind of its PDP, for the spans.
  void set_node(std::string identity) { node_ = std::move(identity); }
  void set_pdp(std::string_view kind) { pdp_ = kind; }

  // A release with a trace begins to arrive.
  void offered(const effect::TracedOffer& offer);
  // A release is whole, and goes into the store.
  void install_began(const model::LedgerId& ledger, uint64_t version);
  void install_ended(const Result<store::StoredRelease>& outcome);
  // The PDP gets these releases. One that it had no trace of before begins to be activated.
  void activation_began(const DesiredState& desired);
  void activation_ended(const DesiredState& desired, const std::optional<Error>& rejected);
  // A release is active or rejected: its trace ends with the Commit that says so.
  void changed(const effect::Changed& change);
  // The session has ended: what has not arrived is offered anew.
  void disconnected();

 private:
  struct Release {
    uint64_t version = 0;
    TraceContext push;
    Span receive, store, activate;
    bool is_stored = false;
  };

  Span begin(std::string_view name, SpanKind kind, const model::LedgerId& ledger,
             const Release& release) const;
  Release* find(const model::LedgerId& ledger, uint64_t version);

  const Tracer& tracer_;
  std::string node_, pdp_;
  std::map<model::LedgerId, Release> releases_;
  std::optional<std::pair<model::LedgerId, uint64_t>> installing_;
};

}  // namespace notp::agent
