// Both ends of a transfer without a network: the real server session over releases in memory; the
// real agent core, session, installation, store and staging in a folder. The test moves the bytes,
// so that it can cut them anywhere.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/random.hpp"
#include "notp-client/agent/core/agent_core.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/store/staging_files.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/ports.hpp"
#include "protocol/session/server/artifact_base.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {

struct ServedRelease {
  trust::Release release;
  Hash hash;
  Bytes envelope;
  model::TreePtr tree;
  model::BlobMap blobs;
};

// Version n is the nth published.
class ReleaseFixture final : public session::Catalog,
                             public session::TargetSource,
                             public session::SessionRights {
 public:
  void publish(const std::map<std::string, Bytes>& model);
  const ServedRelease& newest() const { return releases_.back(); }
  const ServedRelease& at(uint64_t version) const { return releases_.at(version - 1); }
  // nullopt: the inventory is a sketch that cannot be read.
  std::optional<session::PreparedArtifact> prepare(
      const session::server_event::ArtifactNeeded& need) const;

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view) const override;
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override;
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return target(ledger, {});
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return 1; }
  Result<void> may(wire::Action, const model::LedgerId*) const override { return {}; }

 private:
  std::vector<ServedRelease> releases_;
  mutable std::map<Hash, model::Content> artifacts_;
};

// A node with its data folder. Its lifetime is that of its process.
class StagingNode {
 public:
  // What its PDP reads is compared with `published`, if given.
  explicit StagingNode(const std::filesystem::path& folder,
                       size_t releases_kept = limits::kReleasesKept,
                       const ReleaseFixture* published = nullptr,
                       std::vector<model::LedgerId> ledgers = {samples::kLedger});

  // Connects, and lets a server session answer all the node's messages until `bytes_max` bytes have
  // come back; then cuts the connection, if it has not ended. Returns the received bytes.
  Bytes converse(const ReleaseFixture& fixture, size_t bytes_max, SeededRandom& random);

  uint64_t stored_version() const;
  uint64_t active_version() const { return core_->status().ledgers.front().active_version; }
  std::vector<std::string> alarms() const { return core_->status().alarms; }
  store::SqliteStore& store() { return *store_; }
  // From now on the PDP refuses this version.
  void refuse(uint64_t version) { refused_.insert(version); }

 private:
  void settle();
  void run_effects();
  // A PDP that accepts what it can read unless the test refuses it.
  std::optional<Error> load(const agent::DesiredState& state);

  const ReleaseFixture* const published_;
  std::unique_ptr<store::SqliteStore> store_;
  store::StagingFiles staging_;
  std::unique_ptr<agent::AgentCore> core_;
  session::ClientSession* session_ = nullptr;
  std::set<uint64_t> refused_;
  SeededRandom random_{1};
  Now now_{samples::kIssuedMs + 1'800'000, 5'000};
  bool dialled_ = false;
};

}  // namespace notp
