// Nodes that answer a recovery as a test says, without a network; and a registry's folder that
// lacks some of the releases that they hold.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {

// What one node holds, and how it lies.
struct ScriptedNode {
  std::string identity;
  std::map<model::LedgerId, std::map<uint64_t, registry::SnapshotPtr>> releases = {};
  std::vector<Bytes> roots = {};             // from version 2 on
  Bytes freshness = {};                      // an envelope
  std::vector<Bytes> more = {};              // envelopes that it shows beside its own
  bool is_mute = false;                      // answers no question about what it holds
  uint32_t refuses = 0;                      // the code of each Return
  std::function<void(Bytes&)> damages = {};  // each artifact
};

// Answers at once, on the thread that asks.
class ScriptedPeers final : public serve::PeerQuestions {
 public:
  explicit ScriptedPeers(recovery::Recovery& recovery) : recovery_(recovery) {}

  // The node connects, and its first Hello says what it has.
  serve::SessionHandle connect(const ScriptedNode& node, const model::LedgerId& ledger,
                               uint64_t version) {
    const serve::SessionHandle session{.number = ++number_, .identity = node.identity};
    {
      const std::lock_guard lock(mutex_);
      nodes_[session.number] = node;
    }
    recovery_.heard(node.identity);
    recovery_.on_holds_more(
        session,
        {.ledger = ledger, .held_version = version, .root_version = node.roots.size() + 1});
    return session;
  }
  void end(const serve::SessionHandle& session) { recovery_.on_session_end(session); }

  void ask_held(const serve::SessionHandle& session, wire::HeldRequest request) override {
    ++held_asked;
    const ScriptedNode node = of(session);
    if (node.is_mute) return;
    wire::Held held{
        .ledger = request.ledger, .releases = node.more, .roots = {}, .freshness = node.freshness};
    const auto ledger = node.releases.find(request.ledger);
    if (ledger != node.releases.end())
      for (auto at = ledger->second.upper_bound(request.above_version);
           at != ledger->second.end() && held.releases.size() < limits::kHeldEnvelopesMax; ++at)
        held.releases.push_back(at->second->envelope.bytes());
    for (size_t i = 0; i < node.roots.size(); ++i)
      if (i + 2 > request.root_version) held.roots.push_back(node.roots[i]);
    recovery_.on_held(session, std::move(held));
  }

  void ask_return(const serve::SessionHandle& session, wire::ReturnRequest request) override {
    const ScriptedNode node = of(session);
    wire::Return head{.request = request.request, .base = {}, .message = {}};
    const auto& held = node.releases.at(request.ledger);
    const auto release = held.find(request.version);
    if (node.refuses != 0 || release == held.end() ||
        release->second->ref.release_hash != request.release_hash) {
      head.code = node.refuses != 0 ? node.refuses : static_cast<uint32_t>(ErrorCode::kNotFound);
      head.message = "it is damaged here";
      return recovery_.on_returned(session, std::move(head), nullptr);
    }
    const auto base = held.find(request.base_version);
    Bytes artifact;
    if (base != held.end()) {
      ++deltas;
      head.base = wire::Base{base->first, base->second->release.content_root};
      const delta::ReleaseContent from = base->second->side();
      artifact = delta::encode_artifact(&from, release->second->side()).value();
    } else {
      artifact = delta::encode_artifact(nullptr, release->second->side()).value();
    }
    if (node.damages) node.damages(artifact);
    head.size = artifact.size();
    auto upload = session::MemoryUploads().open(node.identity, artifact.size()).value();
    REQUIRE(upload->append(artifact));
    recovery_.on_returned(session, std::move(head), std::move(upload));
  }

  std::atomic<int> held_asked = 0, deltas = 0;

 private:
  ScriptedNode of(const serve::SessionHandle& session) {
    const std::lock_guard lock(mutex_);
    return nodes_.at(session.number);
  }

  recovery::Recovery& recovery_;
  std::mutex mutex_;
  std::map<uint64_t, ScriptedNode> nodes_;
  std::atomic<uint64_t> number_ = 0;
};

inline const std::string kEve = "spiffe://core-platform.internal/admin/eve";

// A registry with history, and one that was restored from an older state of it.
class LostSite {
 public:
  TemporaryFolder folder;
  std::unique_ptr<registry::GitRegistry> source = open(folder.path() / "source");
  std::unique_ptr<registry::GitRegistry> registry;
  std::unique_ptr<trust::RootStore> roots;
  std::unique_ptr<recovery::Recovery> recovery;
  std::unique_ptr<ScriptedPeers> peers;
  std::vector<std::string> known;  // nodes
  std::atomic<int> roots_changed = 0, freshness_due = 0;
  std::vector<model::LedgerId> new_heads;  // the recovery's thread writes it, before it ends

  ~LostSite() {
    if (recovery) recovery->stop();
  }
  fs::path data() const { return folder.path() / "data"; }

  registry::SnapshotPtr publish(const samples::Texts& files,
                                const model::LedgerId& ledger = kLedger) const {
    return publish_files(*source, files, ledger);
  }
  // The first `versions` releases of the ledger are in the registry's folder, too.
  void keep(uint64_t versions, const model::LedgerId& ledger = kLedger) {
    if (!registry) registry = open(data());
    for (uint64_t version = 1; version <= versions; ++version) {
      const auto release = source->snapshot(ledger, version).value();
      registry::NewRelease same;
      same.ref = release->ref;
      same.expected_head_hash = release->release.previous_hash;
      same.release = release->release;
      same.envelope = release->envelope;
      same.content = release->content;
      same.publisher = release->publisher;
      same.message = release->message;
      REQUIRE(registry->publish(std::move(same)));
    }
  }
  // A restore left its mark: of this root.
  void mark(uint64_t root_version = 1) const {
    REQUIRE(make_folders(data()));
    REQUIRE(registry::write_restored_mark(
        data(), {.backup_made_ms = 1'000, .restored_ms = 2'000, .root_version = root_version}));
  }
  void start(const trust::Root& root = samples::tracked_root()) {
    if (!registry) registry = open(data());
    const fs::path file = folder.path() / "root.envelope";
    if (!fs::exists(file)) REQUIRE(write_file(file, samples::signed_by(root, {1}).encode()));
    roots = trust::RootStore::open(data() / "roots", file, std::string(samples::kDomain),
                                   samples::kIssuedMs)
                .value();
    recovery =
        recovery::Recovery::open({.registry = *registry, .roots = *roots, .data_dir = data()})
            .value();
    peers = std::make_unique<ScriptedPeers>(*recovery);
    recovery->start(
        *peers, {.known_nodes = [this] { return known; },
                 .new_head = [this](const model::LedgerId& ledger) { new_heads.push_back(ledger); },
                 .roots_changed = [this] { ++roots_changed; },
                 .freshness_due = [this] { ++freshness_due; }});
  }
  // As after the process has ended.
  void restart() {
    recovery->stop();
    recovery.reset();
    peers.reset();
    roots.reset();
    registry.reset();
    start();
  }

  // A node with these releases of the source.
  ScriptedNode node(const std::string& name, std::initializer_list<uint64_t> versions,
                    const model::LedgerId& ledger = kLedger) const {
    ScriptedNode out{.identity = "spiffe://core-platform.internal/node/" + name};
    for (const uint64_t version : versions)
      out.releases[ledger][version] = source->snapshot(ledger, version).value();
    return out;
  }
  // Connects it; waits until the recovery has asked it.
  serve::SessionHandle connect(const ScriptedNode& node, const model::LedgerId& ledger = kLedger) {
    const auto held = node.releases.find(ledger);
    const uint64_t newest =
        held == node.releases.end() || held->second.empty() ? 999 : held->second.rbegin()->first;
    const int before = peers->held_asked;
    const auto session = peers->connect(node, ledger, newest);
    REQUIRE(wait_until([&] { return peers->held_asked > before; }));
    return session;
  }

  wire::RecoveryStatus status() const { return recovery->status({}).value(); }
  wire::RecoveryRow row(const model::LedgerId& ledger = kLedger) const {
    for (const wire::RecoveryRow& row : status().rows)
      if (row.ledger == ledger) return row;
    return {};
  }
  // Until the ledger is known to lack its releases up to this one.
  bool is_missing(uint64_t newest, const model::LedgerId& ledger = kLedger) const {
    return wait_until([&] {
      const wire::RecoveryRow found = row(ledger);
      return found.newest_version == newest && found.state == wire::RecoveryState::kLost;
    });
  }
  // Orders it, and waits for its end.
  Result<void> recover(const wire::Recover& order = {}) const {
    NOTP_TRY(recovery->recover(order, kEve));
    REQUIRE(wait_until([&] { return !status().is_running; }));
    return {};
  }
  // All of a ledger is as it was at the source.
  void check_back(const model::LedgerId& ledger = kLedger) const {
    const uint64_t head = source->head(ledger)->ref.version;
    REQUIRE(registry->head(ledger));
    CHECK(registry->head(ledger)->ref.version == head);
    for (uint64_t version = 1; version <= head; ++version) check_back(ledger, version);
    check_fsck(repository_of(data(), ledger));
  }
  void check_back(const model::LedgerId& ledger, uint64_t version) const {
    const auto was = source->snapshot(ledger, version).value();
    const auto is = registry->snapshot(ledger, version);
    REQUIRE_MESSAGE(is, (is ? "" : is.error().message));
    CHECK((*is)->ref == was->ref);
    CHECK((*is)->envelope == was->envelope);
    CHECK((*is)->content.tree->content_root() == was->release.content_root);
  }
};

}  // namespace notp
