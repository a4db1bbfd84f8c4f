// The counter of the registry: answers every Query of a peer that may ask it.
#pragma once

#include <optional>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/identity/enrollment.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/service/publish_door.hpp"
#include "notp-server/service/rights.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp {

// What a registry tells of its own configuration.
struct RegistryFacts {
  std::optional<LedgerId> deny_list;
  std::string enroll_address;  // "host:port"; empty: no enrolment
};

// What the desk works with; all of it outlives the desk and is thread-safe.
struct DeskParts {
  Registry& registry;
  PublishDoor& door;
  Fleet& fleet;
  RootStore& roots;
  const FreshnessSigner& freshness;
  const AtomicShared<RightsTable>& rights;
  Enrollment* enrollment = nullptr;  // null: none here
  RegistryFacts facts;
};

// An answer, and what the sessions must be told of because of it.
struct DeskAnswer {
  wire::Answer answer;
  bool roots_changed = false;
  bool freshness_due = false;
  std::optional<LedgerId> new_head;
};

// The answer to a query that failed.
DeskAnswer refusal(const wire::Query& query, const Error& error);

// Thread-safe. Blocks on the disk.
class Desk {
 public:
  explicit Desk(DeskParts parts) : parts_(std::move(parts)) {}

  // The session has asked for the rights of everything that names a ledger or an action; here only
  // lists are cut down to what `peer` may see. An error is in the answer.
  // `key` is what the peer shows: Connection::peer_key().
  DeskAnswer handle(const wire::Query& query, const Identity& peer, const Hash& key, TimeMs now_ms);

 private:
  struct Asker {
    const Identity& peer;
    const Hash& key;
    TimeMs now_ms;
  };

  Result<DeskAnswer> on(const wire::HistoryQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::NodesQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::LedgersQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::RootsQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::PublishRoot& order, const Asker& asker);
  Result<DeskAnswer> on(const wire::Withdraw& order, const Asker& asker);
  Result<DeskAnswer> on(const wire::PendingQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::Cosign& order, const Asker& asker);
  Result<DeskAnswer> on(const wire::DropPending& order, const Asker& asker);
  Result<DeskAnswer> on(const wire::TrustQuery& query, const Asker& asker);
  Result<DeskAnswer> on(const wire::NewJoinToken& order, const Asker& asker);
  Result<DeskAnswer> on(const wire::RenewCertificate& order, const Asker& asker);

  // Completes what the fleet knows of a node's ledger with what the registry knows of its releases.
  void judge(wire::NodeLedger& ledger, bool connected, TimeMs now_ms) const;

  DeskParts parts_;
};

}  // namespace notp
