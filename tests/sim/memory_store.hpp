// A Store in memory whose writes are lost by a crash until they are synced: what SQLite with
// synchronous=FULL promises, without its file. But for the hashes of contents it guards nothing:
// the simulation's checker does.
#pragma once

#include <map>
#include <utility>

#include "common/random.hpp"
#include "notp-client/store/store.hpp"

namespace notp::sim {

class MemoryStore final : public Store {
 public:
  Result<StoreState> load() override { return current_.state; }
  Result<TreePtr> tree(const LedgerId& ledger, uint64_t version) override;
  Result<Content> blob(const Hash& hash) override;
  Result<std::vector<Hash>> damaged(const LedgerId& ledger, uint64_t version) override;
  Result<void> install(const InstallRecord& record) override;
  Result<void> quarantine(const LedgerId& ledger, uint64_t version, const Error& error) override;
  Result<void> confirm(const LedgerId& ledger, uint64_t version) override;
  Result<void> pin_root(const StoredRoot& root, bool freshness_key_changed) override;
  Result<void> keep_freshness(const FreshnessKeep& keep) override;
  Result<void> keep_time(const ClockMarks& marks) override;
  Result<void> reset_clock(TimeMs wall_ms) override;
  Result<void> drop(const LedgerId& ledger) override;

  // Everything written so far is durable.
  void sync();
  // The process dies. A write that was not synced is lost or not, as chance has it, but whole.
  void crash(Random& random);
  // A bad disk changes a byte of a content of the newest release of some ledger, and what it was is
  // nowhere. False: there is none.
  bool damage(Random& random);
  // kCorrupt, or what else is wrong with a release's files and contents.
  Result<void> read_all(const LedgerId& ledger, uint64_t version);

  const StoreState& state() const { return current_.state; }
  // What somebody with access to the disk could do.
  StoreState& tampered_state() { return current_.state; }
  // What a crash now would certainly keep.
  const StoreState& durable_state() const { return durable_.state; }
  // Counts what changed either of them.
  uint64_t writes() const { return writes_; }

 private:
  struct Image {
    StoreState state;
    std::map<std::pair<LedgerId, uint64_t>, TreePtr> trees;
    BlobMap blobs;
    // The last statement that vouched for a release, when later ones do not.
    std::map<std::pair<LedgerId, Hash>, Bytes> vouchers;
  };
  StoredRelease* find(const LedgerId& ledger, uint64_t version);
  bool is_stored(const LedgerId& ledger, const Hash& release) const;

  Image current_, durable_;
  bool content_differs_ = false;  // files and contents of the two, as far as a copy is due
  uint64_t writes_ = 0;
};

}  // namespace notp::sim
