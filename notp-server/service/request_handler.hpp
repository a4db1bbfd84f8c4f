// Handles authorised requests: reads and admin commands.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-server/audit/erasure.hpp"
#include "notp-server/audit/search.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/lane/lanes.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/service/registry_status.hpp"
#include "notp-server/sources/sources.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp::service {

// The part of a registry's configuration that it discloses.
struct RegistryFacts {
  std::optional<model::LedgerId> deny_list;
  std::string enroll_address;  // "host:port"; empty: no enrolment
};

// The dependencies of the handler; all of them outlive it and are thread-safe.
struct RequestHandlerParts {
  registry::Registry& registry;
  publish::PublishPipeline& pipeline;
  fleet::Fleet& fleet;
  trust::RootStore& roots;
  const trust::FreshnessSigner& freshness;
  recovery::Recovery& recovery;
  const AtomicShared<authz::RightsTable>& rights;
  enroll::Enrollment* enrollment = nullptr;   // null: none here
  const audit::AuditSearch* audit = nullptr;  // null: no records are kept here
  audit::RegistryTree* tree = nullptr;        // null: what is kept is only read
  audit::Erasure* erasure = nullptr;          // the same
  sources::Sources* sources = nullptr;        // null: none are configured
  lane::Lanes* lanes = nullptr;               // the same
  std::function<RegistryTotals()> totals;
  RegistryFacts facts;
};

// The changes of a request that concern sessions.
struct RequestEffects {
  bool roots_changed = false;
  bool freshness_due = false;
  std::optional<model::LedgerId> new_head;
  std::optional<wire::ReleaseHeldRequest> released;  // the node is to be told
};

struct RequestOutcome {
  wire::Response response;
  RequestEffects effects;
};

// The response to a request that failed.
wire::Response error_response(const wire::Request& request, const Error& error);

// The peer of the session that a request came in.
struct Caller {
  const session::Identity& identity;
  const Hash& key;  // Connection::peer_key()
  TimeMs now_ms;    // wall time of the request
};

// Thread-safe. Blocks on the disk. A request is an overload of on() that returns the content of its
// response.
class RequestHandler {
 public:
  explicit RequestHandler(RequestHandlerParts parts) : parts_(std::move(parts)) {}

  // The session has checked wire::needed_right(); only lists are reduced here to what the caller
  // may see. An error is in the response.
  RequestOutcome handle(const wire::Request& request, const Caller& caller);

 private:
  using Effects = RequestEffects;

  Result<wire::HistoryPage> on(const wire::HistoryRequest&, const Caller&, Effects&);
  Result<wire::NodesPage> on(const wire::NodesRequest&, const Caller&, Effects&);
  Result<wire::LedgersPage> on(const wire::LedgersRequest&, const Caller&, Effects&);
  Result<wire::RootsPage> on(const wire::RootsRequest&, const Caller&, Effects&);
  Result<wire::Done> on(const wire::PublishRoot&, const Caller&, Effects&);
  Result<wire::HistoryPage> on(const wire::Withdraw&, const Caller&, Effects&);
  Result<wire::PendingPage> on(const wire::PendingRequest&, const Caller&, Effects&);
  Result<wire::PublishResult> on(const wire::Cosign&, const Caller&, Effects&);
  Result<wire::Done> on(const wire::DropPending&, const Caller&, Effects&);
  Result<wire::TrustRow> on(const wire::TrustRequest&, const Caller&, Effects&);
  Result<wire::IssuedToken> on(const wire::NewJoinToken&, const Caller&, Effects&);
  Result<wire::Certificate> on(const wire::RenewCertificate&, const Caller&, Effects&);
  Result<wire::DecisionsPage> on(const wire::DecisionsRequest&, const Caller&, Effects&);
  Result<wire::DecisionCountsPage> on(const wire::DecisionCountsRequest&, const Caller&, Effects&);
  Result<wire::LogsPage> on(const wire::LogsRequest&, const Caller&, Effects&);
  Result<wire::SegmentPart> on(const wire::SegmentRequest&, const Caller&, Effects&);
  Result<wire::RegistryStatus> on(const wire::StatusRequest&, const Caller&, Effects&);
  Result<wire::RecoveryStatus> on(const wire::RecoveryRequest&, const Caller&, Effects&);
  Result<wire::Done> on(const wire::Recover&, const Caller&, Effects&);
  Result<wire::TreePart> on(const wire::TreeRequest&, const Caller&, Effects&);
  Result<wire::RecordProof> on(const wire::ProofRequest&, const Caller&, Effects&);
  Result<wire::HoldsPage> on(const wire::HoldsRequest&, const Caller&, Effects&);
  Result<wire::HoldsPage> on(const wire::PutHold&, const Caller&, Effects&);
  Result<wire::Erased> on(const wire::EraseRequest&, const Caller&, Effects&);
  Result<wire::Done> on(const wire::ReleaseHeldRequest&, const Caller&, Effects&);
  Result<wire::SourcesPage> on(const wire::SourcesRequest&, const Caller&, Effects&);
  Result<wire::SourcesPage> on(const wire::RefreshSource&, const Caller&, Effects&);
  Result<wire::LanesPage> on(const wire::LanesRequest&, const Caller&, Effects&);
  Result<wire::LaneChange> on(const wire::RevokeTokens&, const Caller&, Effects&);
  Result<wire::TokenRow> on(const wire::ShowToken&, const Caller&, Effects&);
  Result<wire::ReleaseStatus> on(const wire::ReleaseStatusRequest&, const Caller&, Effects&);

  // Completes the fleet's row of a node's ledger with the registry's data about its releases.
  void complete_node_row(wire::NodeLedger& ledger, bool connected, TimeMs now_ms) const;

  // Writes into the tree what a request reads of records.
  Result<void> note_read(const wire::Request& request, const Caller& caller);
  // kConfig: no tree is kept here.
  Result<const audit::Proofs*> proofs() const;
  // kConfig: no records are kept here.
  Result<const audit::AuditSearch*> audit() const;
  // The ledgers whose decisions the caller may read.
  audit::MaySee audited_by(const Caller& caller) const;
  audit::MaySee ledgers_of(const Caller& caller, wire::Action action) const;
  // kConfig: nothing is written here.
  Result<audit::Erasure*> erasure() const;

  RequestHandlerParts parts_;
  const TimeMs started_ms_ = read_clock().wall_ms;
};

}  // namespace notp::service
