// The registry's peers: their admission, their rights, and their records in the fleet.
#pragma once

#include <functional>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "protocol/serve/fair_lane.hpp"
#include "protocol/serve/session_services.hpp"

namespace notp::service {

// All of it outlives the peers and is thread-safe.
struct RegistryPeersParts {
  const AtomicShared<authz::RightsTable>& rights;
  fleet::Fleet& fleet;
  recovery::Recovery& recovery;
  serve::FairLane& orders;                   // where keys are written to disk
  const authz::DenyList* denied = nullptr;   // null: none is configured
  enroll::Enrollment* enrollment = nullptr;  // null: nodes cannot join or renew here
  // Tells the sessions of a node that a release may go. From any thread.
  std::function<void(const std::string& node, const wire::ReleaseHeld& release)> release_held;
};

// Thread-safe.
class RegistryPeers final : public serve::PeerPolicy, public serve::SessionObserver {
 public:
  explicit RegistryPeers(RegistryPeersParts parts) : parts_(std::move(parts)) {}

  Result<void> check(const serve::Peer& peer) const override;
  Result<void> may(const serve::Peer& peer, wire::Action action,
                   const model::LedgerId* ledger) const override;
  // Stores the peer's key, or ends sessions with the former key of its name.
  void admitted(const serve::PeerPtr& peer) override;

  // The fleet consists of nodes: reports of other peers are not stored.
  void greeted(const serve::Peer& peer, const session::server_event::Greeted& event) override;
  void committed(const serve::Peer& peer, const wire::Commit& commit) override;
  void attested(const serve::Peer& peer, const trust::Freshness& statement) override;
  void closed(const serve::Peer& peer, const Error& error) override;
  void departed(const serve::Peer& peer) override;

 private:
  const RegistryPeersParts parts_;
};

}  // namespace notp::service
