// A node under attack: the real agent core, sessions, codec, verification and SQLite store; the
// test plays the registry and controls time.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "notp-client/agent/core/agent_core.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "tests/attack/domain.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::attack {

// Everything an attacker could want to change, on disk and in the PDP.
struct NodeState {
  uint64_t root_version = 0;
  uint64_t freshness_sequence = 0;
  Bytes assignment;  // envelope; empty: none
  std::map<model::LedgerId, trust::Floor> floors;
  std::map<model::LedgerId, trust::Floor> listed;
  std::map<model::LedgerId, std::vector<Hash>> stored;  // release hashes, newest first
  std::map<model::LedgerId, Hash> active;               // content roots that the PDP decides with
  bool operator==(const NodeState&) const = default;
};

class AttackedAgent {
 public:
  // Starts with root 2 and the active releases payments v2 and gateway v2, attested at kStartMs by
  // the freshness statement of sequence 5. No session.
  // It follows `more` ledgers, too, of which it has no release.
  explicit AttackedAgent(const Domain& domain, const std::vector<model::LedgerId>& more = {});
  ~AttackedAgent();

  // --- the conversation; the test sends the registry's messages

  // Opens a session, if none is open: Hello and Welcome.
  void connect();
  void send(const wire::Message& message);
  void send_raw(ByteView bytes);
  void send_root(const Bytes& envelope) { send(wire::RootUpdate{envelope}); }
  // Sends it as a separate update, without a base.
  void send_freshness(const trust::Freshness& freshness, const Bytes& envelope);
  // Offers the release as full content and sends all of it; `as` gives it a name other than the
  // signed one.
  void send_release(const SignedRelease& release, const model::LedgerId& as, uint64_t version);
  void send_release(const SignedRelease& release) {
    send_release(release, release.release.ledger, release.release.version);
  }
  // Offers the release as a delta on one that the node has.
  void send_release_on(const SignedRelease& base, const SignedRelease& release);
  // Offers these bytes as the artifact of a release.
  void send_artifact(const model::LedgerId& ledger, uint64_t version, const Bytes& artifact);
  // Announces `size` bytes under this id and sends only `part`, from `offset` on.
  void send_part(const model::LedgerId& ledger, uint64_t version, const Hash& id, uint64_t size,
                 uint64_t offset, ByteView part, const std::optional<wire::Base>& base = {});
  void disconnect();
  bool is_connected() const { return session_ != nullptr; }

  // --- time

  // Advances both clocks, from deadline to deadline.
  void advance(TimeMs ms);
  void set_wall(TimeMs wall_ms) { now_.wall_ms = wall_ms; }
  Now now() const { return now_; }

  // The process dies and starts again from its store.
  void restart();

  // --- its reactions

  NodeState state();
  // Codes of the alarms, rejections and refused sessions since the last call.
  std::set<ErrorCode> take_codes();
  // The status of the active release.
  trust::FreshnessStatus freshness_status(const model::LedgerId& ledger) const;
  bool decides_with(const model::LedgerId& ledger, const SignedRelease& release) const;
  // The PDP decides with some release of the ledger.
  bool serves(const model::LedgerId& ledger) const;

 private:
  static std::filesystem::path honest_store(const Domain& domain);
  struct Fresh {};
  AttackedAgent(const Domain& domain, Fresh fresh);
  void boot();
  void settle();
  void read_output();
  void run(const agent::AgentEffect& effect);

  const Domain& domain_;
  std::vector<model::LedgerId> ledgers_;
  TemporaryFolder folder_;
  std::unique_ptr<store::SqliteStore> store_;
  SeededRandom random_{1};
  Now now_{kStartMs, 1'000};
  std::unique_ptr<agent::AgentCore> core_;
  session::ClientSession* session_ = nullptr;  // owned by the core
  bool dialled_ = false;                       // the core waits for its connection
  uint32_t next_stream_ = 1;
  std::set<ErrorCode> codes_;
  agent::DesiredState pdp_;  // what the PDP decides with
};

}  // namespace notp::attack
