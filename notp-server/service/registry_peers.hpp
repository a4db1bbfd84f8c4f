// The registry's peers: their admission, their rights, and their records in the fleet.
#pragma once

#include "common/atomic_shared.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "protocol/serve/fair_lane.hpp"
#include "protocol/serve/session_services.hpp"

namespace notp {

// All of it outlives the peers and is thread-safe.
struct RegistryPeersParts {
  const AtomicShared<RightsTable>& rights;
  Fleet& fleet;
  FairLane& orders;                  // where keys are written to disk
  const DenyList* denied = nullptr;  // null: none is configured
  Enrollment* enrollment = nullptr;  // null: nodes cannot join or renew here
};

// Thread-safe.
class RegistryPeers final : public PeerPolicy, public SessionObserver {
 public:
  explicit RegistryPeers(RegistryPeersParts parts) : parts_(parts) {}

  Result<void> check(const Peer& peer) const override;
  Result<void> may(const Peer& peer, Action action, const LedgerId* ledger) const override;
  // Stores the peer's key, or ends sessions with the former key of its name.
  void admitted(const PeerPtr& peer) override;

  // The fleet consists of nodes: reports of other peers are not stored.
  void greeted(const Peer& peer, const server_event::Greeted& event) override;
  void committed(const Peer& peer, const wire::Commit& commit) override;
  void attested(const Peer& peer, const Freshness& statement) override;
  void closed(const Peer& peer, const Error& error) override;
  void departed(const Peer& peer) override;

 private:
  const RegistryPeersParts parts_;
};

}  // namespace notp
