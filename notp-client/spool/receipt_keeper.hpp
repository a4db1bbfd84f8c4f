// The ReceiptBook of a log that is in use, kept in its spool.db.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/mutex.hpp"
#include "notp-client/spool/receipt_book.hpp"
#include "notp-client/spool/segment_table.hpp"

namespace notp::spool {

// Files with two checkpoints that contradict each other, in the spool's folder: the first so many,
// since a registry could go on for ever.
inline constexpr size_t kEvidenceFilesMax = 16;
inline constexpr const char* kEvidenceFront = "tree-refused-";

// Thread-safe; the book is changed by one thread at a time, which waits for the disk.
class ReceiptKeeper final : private ReceiptStore {
 public:
  // `table` outlives it. What is kept but damaged is as if nothing were kept: then trouble() says
  // so.
  ReceiptKeeper(SegmentTable& table, std::filesystem::path folder, PrivateKey key);

  const std::string& trouble() const { return trouble_; }
  // From memory.
  TreeState state() const;
  // As ReceiptBook::free_below(), of this log.
  record::Position free_below(record::Position acknowledged) const;
  // What a Hello says of the tree.
  std::pair<std::optional<record::LogId>, uint64_t> offered_tree() const;
  // As witness().
  Result<wire::LogWitness> witness(const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                   TimeMs wall_ms);

 private:
  Result<std::optional<OwnCheckpoint>> checkpoint_at(record::Position size) override;
  Result<void> keep(const TreeState& state) override;
  void keep_evidence(const TreeState& kept, const TreeRefusal& refused) override;
  Result<Bytes> cosign(std::string_view note, int64_t time_s) override;

  std::shared_ptr<const ReceiptBook> book() const;

  SegmentTable& table_;
  const std::filesystem::path folder_;
  const PrivateKey key_;
  const record::LogId log_;
  std::string trouble_;
  Mutex working_;  // held while a receipt is verified; before mutex_
  mutable Mutex mutex_;
  std::shared_ptr<const ReceiptBook> book_ NOTP_GUARDED_BY(mutex_);  // never null
};

}  // namespace notp::spool
