// Effects: the requests of the agent's core to its host.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "notp-client/agent/core/content_scan.hpp"
#include "notp-client/agent/core/desired_state.hpp"
#include "notp-client/agent/core/give_back.hpp"
#include "notp-client/agent/core/install.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::agent {

// A release to hand to a PDP. Its statement has been verified.
struct ActivatedRelease {
  store::StoredRelease stored;
  trust::FreshnessStatus freshness_status;
  std::vector<std::string> data_roots;
  // The PDP already decides with it: its loaded content is reused and the store is not read, so a
  // damaged store cannot keep an expired release in force.
  bool is_active = false;
  // It has to pass the gate of its manifest first (gate_rules.hpp).
  bool is_gated = false;
};

namespace effect {
// Dial the registry; answer with on_connected() or on_connect_failed().
struct Connect {};
// A release that the registry traces begins to arrive: for the host's spans.
struct TracedOffer {
  model::LedgerId ledger;
  uint64_t version = 0;
  uint64_t bytes = 0;  // of its artifact
  TraceContext trace;
};
// Run install_release(); answer with on_installed().
struct Install {
  InstallRequest request;
};
// Run scan_content(); answer with on_content_scan().
struct ScanContent {
  ScanRequest request;
};
// Run make_return(); answer with on_returned(). Installations and the PDP go first.
struct GiveBack {
  ReturnJob job;
};
// Judge the gated releases, then hand all of them to the PDP; the outcome comes back through
// on_pdp(): kGateHeld when a gate holds one. A later Activate replaces this one, also while a gate
// judges; meanwhile the PDP decides as before.
struct Activate {
  DesiredState desired;
  std::map<model::LedgerId, ActivatedRelease> releases;    // of the desired state
  TimeMs as_of_ms = 0;                                     // trusted time of their freshness
  std::shared_ptr<const wire::SourceStatus> sources = {};  // as in LocalReleases
};
// Run apply_change() on the store before the work of any later effect. A failure comes back through
// on_persist_failed().
struct Persist {
  store::StoreChange change;
};
// A condition for the operator: logged, and shown by the health endpoint while it lasts.
struct Alarm {
  Error error;
};
// A ledger's state changed: for the log and the metrics.
struct Changed {
  model::LedgerId ledger;
  uint64_t version = 0;
  wire::CommitState state = wire::CommitState::kStored;
  std::string message;
};
// An active release got older, was attested again, or was withdrawn: for the log.
struct Aged {
  model::LedgerId ledger;
  uint64_t version = 0;
  trust::FreshnessStatus freshness_status;
};
// The state of a key source changed, or became known: for the log.
struct SourceChanged {
  wire::IssuerStatus issuer;
};
// The root nears its expiry, has expired, or was replaced by one that has not: for the log. An
// expired root raises an Alarm as well.
struct RootAged {
  trust::Root root;
  TimeMs at_ms = 0;  // trusted time
};
// The registry's answer to ask().
struct Answered {
  wire::Response response;
};
// The registry granted, acknowledged or refused the log that was offered; what the host makes of it
// comes back through Alarms::on_log_shipped().
struct LogGranted {
  wire::LogGrant grant;
};
// What the node's token lane has to know: a session is welcome, the registry's words about the
// lane, a newer root, and that trusted time was set back to `now_ms`.
struct LaneInput {
  struct Welcomed {};
  struct NewRoot {
    std::optional<PublicKey> lane_key;
  };
  struct ClockSetBack {
    TimeMs now_ms = 0;
  };
  std::variant<Welcomed, wire::LaneState, feed::SealedStatement, NewRoot, ClockSetBack> what;
};
// A receipt of the registry's tree arrived; what the host makes of it comes back through
// Alarms::on_tree().
struct ReceiptArrived {
  wire::LogReceipt receipt;
};
}  // namespace effect

using AgentEffect =
    std::variant<effect::Connect, effect::TracedOffer, effect::Install, effect::ScanContent,
                 effect::GiveBack, effect::Activate, effect::Persist, effect::Alarm,
                 effect::Changed, effect::Aged, effect::SourceChanged, effect::RootAged,
                 effect::Answered, effect::LogGranted, effect::LaneInput, effect::ReceiptArrived>;
using AgentEffects = std::vector<AgentEffect>;

}  // namespace notp::agent
