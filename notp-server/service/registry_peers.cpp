#include "notp-server/service/registry_peers.hpp"

#include "common/log.hpp"

namespace notp::service {
namespace {

bool is_node(const serve::Peer& peer) { return peer.identity.role == session::Role::kNode; }

void log_unless(const Result<void>& kept) {
  if (!kept) log::write(log::Level::kError, "fleet_not_written", kept.error());
}

}  // namespace

Result<void> RegistryPeers::check(const serve::Peer& peer) const {
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(peer.name));
  if (parts_.enrollment != nullptr) NOTP_TRY(parts_.enrollment->check_key(peer.identity, peer.key));
  return {};
}

Result<void> RegistryPeers::may(const serve::Peer& peer, wire::Action action,
                                const model::LedgerId* ledger) const {
  return parts_.rights.get()->may(peer.identity, action, ledger);
}

void RegistryPeers::admitted(const serve::PeerPtr& peer) {
  enroll::Enrollment* const enrollment = parts_.enrollment;
  if (enrollment == nullptr || !enrollment->changes_key(peer->identity, peer->key)) return;
  parts_.orders.post(peer->name, [enrollment, peer](Result<void> turn) {
    const auto noted = turn ? enrollment->seen_key(peer->identity, peer->key) : turn;
    if (!noted)
      log::write(log::Level::kError, "key_not_kept", noted.error(), {{"identity", peer->name}});
  });
}

void RegistryPeers::greeted(const serve::Peer& peer, const session::server_event::Greeted& event) {
  if (!is_node(peer)) return;
  parts_.recovery.heard(peer.name);
  auto seen = parts_.fleet.node_seen(peer.name, event.user_agent, true, read_clock().wall_ms);
  if (seen) seen = parts_.fleet.subscribed(peer.name, event.ledgers);
  log_unless(seen);
}

void RegistryPeers::committed(const serve::Peer& peer, const wire::Commit& commit) {
  if (!is_node(peer)) return;
  log_unless(parts_.fleet.report(peer.name, commit, read_clock().wall_ms));
  // A node that was away, or that has forgotten it.
  if (parts_.fleet.is_released(peer.name, commit))
    parts_.release_held(peer.name, {commit.ledger, commit.version});
}

void RegistryPeers::attested(const serve::Peer& peer, const trust::Freshness& statement) {
  if (is_node(peer)) parts_.fleet.attested(peer.name, statement);
}

void RegistryPeers::closed(const serve::Peer& peer, const Error& error) {
  const bool is_distrust =
      error.code == ErrorCode::kRollback || error.code == ErrorCode::kEquivocation;
  if (is_distrust && is_node(peer)) parts_.fleet.refused(peer.name, error);
}

void RegistryPeers::departed(const serve::Peer& peer) {
  if (is_node(peer)) log_unless(parts_.fleet.node_seen(peer.name, {}, false, read_clock().wall_ms));
}

}  // namespace notp::service
