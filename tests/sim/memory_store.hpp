// A Store in memory that loses unsynced writes in a crash: the guarantee of SQLite with
// synchronous=FULL, without a file. Except for the hashes of contents it checks nothing: the
// simulation's checker does.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "notp-client/store/store.hpp"

namespace notp::sim {

class MemoryStore final : public store::Store {
 public:
  Result<store::StoreState> load() override { return current_.state; }
  Result<model::TreePtr> tree(const model::LedgerId& ledger, uint64_t version) override;
  Result<model::Content> blob(const Hash& hash) override;
  Result<std::vector<Hash>> damaged(const model::LedgerId& ledger, uint64_t version) override;
  Result<void> install(const store::InstallRecord& record) override;
  Result<void> quarantine(const model::LedgerId& ledger, uint64_t version,
                          const Error& error) override;
  Result<void> release(const model::LedgerId& ledger, uint64_t version) override;
  Result<void> confirm(const model::LedgerId& ledger, uint64_t version) override;
  Result<void> pin_root(const store::StoredRoot& root, bool freshness_key_changed) override;
  Result<void> keep_freshness(const store::FreshnessKeep& keep) override;
  Result<void> keep_assignment(uint64_t sequence, ByteView envelope) override;
  Result<void> keep_time(const trust::ClockMarks& marks) override;
  Result<void> reset_clock(TimeMs wall_ms) override;
  Result<void> drop(const model::LedgerId& ledger) override;

  // Makes everything written so far durable.
  void sync();
  // The process dies. An unsynced write is lost or kept at random, but never in part.
  void crash(Random& random);
  // A bad disk changes one byte of a content of the newest release of a ledger, without a copy of
  // the old one. False: there is none.
  bool damage(Random& random);
  // Checks a release's files and contents. kCorrupt and other errors.
  Result<void> read_all(const model::LedgerId& ledger, uint64_t version);

  const store::StoreState& state() const { return current_.state; }
  // The state as an attacker with access to the disk could change it.
  store::StoreState& tampered_state() {
    ++release_changes_;
    return current_.state;
  }
  // The state that a crash now is certain to keep.
  const store::StoreState& durable_state() const { return durable_.state; }
  // Counts the changes of either state.
  uint64_t writes() const { return writes_; }
  // Counts the changes of which releases are stored.
  uint64_t release_changes() const { return release_changes_; }

 private:
  struct Blob {
    model::Content content;
    bool is_damaged = false;  // does not have the hash it is stored under
  };
  struct Image {
    store::StoreState state;
    std::map<std::pair<model::LedgerId, uint64_t>, model::TreePtr> trees;
    std::unordered_map<Hash, Blob, HashOfHash> blobs;
    // The last statement that attested a release, when later ones do not.
    std::map<std::pair<model::LedgerId, Hash>, Bytes> attestations;
  };
  store::StoredRelease* find(const model::LedgerId& ledger, uint64_t version);
  bool is_stored(const model::LedgerId& ledger, const Hash& release) const;

  Image current_, durable_;
  bool content_differs_ = false;  // files and contents of the two, as far as a copy is due
  uint64_t writes_ = 0, release_changes_ = 0;
};

}  // namespace notp::sim
