// Stores releases that wait for signatures, until there are enough or they are dropped. It stores
// bytes: only the publish pipeline decides whether a release may be published.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/mutex.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::publish {

struct PendingRelease {
  model::LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;        // of the envelope's payload
  Hash expected_head_hash;  // zero: the ledger had no release
  Bytes envelope;           // with the signatures so far
  std::string publisher;
  std::string message;
  bool break_dependants = false;
  TimeMs received_ms = 0;
  Hash artifact;  // SHA-256 of the artifact
  uint64_t artifact_bytes = 0;
};

// Limits on pending releases, besides kPendingPerLedgerMax per ledger. A publisher that uses up its
// own share leaves space for the others.
struct PendingLimits {
  size_t releases = 1'000;
  size_t releases_per_publisher = 100;
  uint64_t bytes = 16ULL << 30;  // of artifacts, on disk
  uint64_t bytes_per_publisher = 4ULL << 30;
};

// <folder>/<zone>/<ledger>/<release hash>.artifact, and a .json record with everything else. The
// record is written last and removed first: a release is pending while its record exists. A crash
// leaves the state before or after a call. Thread-safe; list(), find() and damaged() answer from
// memory, the others block on the disk.
class PendingStore {
 public:
  // Reads every record and clears what a crash left. Damaged entries are logged, listed by
  // damaged() and left in place; the others are served. kIo when the folder cannot be created or
  // listed. Entries beyond `limits` are read and listed too: they were stored under other limits.
  static Result<std::unique_ptr<PendingStore>> open(std::filesystem::path folder,
                                                    PendingLimits limits = {});

  // Ascending by ledger and hash; of one ledger, or of all.
  std::vector<PendingRelease> list(const std::optional<model::LedgerId>& ledger) const;
  std::optional<PendingRelease> find(const model::LedgerId& ledger, const Hash& hash) const;

  // Stores a release that is not pending yet with its artifact, which holds full content;
  // `artifact` and `artifact_bytes` of `release` are set here. Durable when it returns. kLimit when
  // kPendingPerLedgerMax others of the ledger are pending, or the limits of its publisher or of all
  // are reached; kIo.
  Result<void> add(PendingRelease release, ByteView artifact);
  // Replaces the envelope by one with other signatures. kNotFound, kIo.
  Result<void> set_envelope(const model::LedgerId& ledger, const Hash& hash, Bytes envelope);
  // kNotFound; kCorrupt when the bytes are not those that were stored.
  Result<Bytes> artifact(const model::LedgerId& ledger, const Hash& hash) const;
  // kNotFound, kIo.
  Result<void> drop(const model::LedgerId& ledger, const Hash& hash);

  struct Damage {
    std::filesystem::path file;
    Error error;
  };
  const std::vector<Damage>& damaged() const { return damaged_; }

 private:
  PendingStore(std::filesystem::path folder, PendingLimits limits)
      : folder_(std::move(folder)), limits_(limits) {}

  std::filesystem::path folder_of(const model::LedgerId& ledger) const;
  Result<void> load();
  Result<void> load_ledger(const model::LedgerId& ledger, const std::filesystem::path& folder);
  void load_record(const model::LedgerId& ledger, const std::filesystem::path& file);
  void report(const std::filesystem::path& file, Error error);
  Result<void> make_ledger_folder(const model::LedgerId& ledger) const;
  void remember(PendingRelease release);
  // kLimit.
  Result<void> check_room(const PendingRelease& release) const NOTP_REQUIRES(mutex_);

  const std::filesystem::path folder_;
  const PendingLimits limits_;
  std::vector<Damage> damaged_;  // constant after open()

  Mutex writing_;  // one change of the disk at a time
  mutable Mutex mutex_ NOTP_ACQUIRED_AFTER(writing_);
  std::map<model::LedgerId, std::map<Hash, PendingRelease>> releases_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::publish
