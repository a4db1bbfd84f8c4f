// Opens the files of a spool, and finds out what a crash has left of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/storage/folder_lock.hpp"
#include "notp-client/spool/log_tail.hpp"
#include "notp-client/spool/segment_table.hpp"
#include "notp-client/spool/spool.hpp"

namespace notp::spool {

// Files of logs that cannot go on are set aside as evidence: those of so many times are kept.
inline constexpr size_t kOldLogsKept = 4;

struct OpenedSpool {
  FolderLock lock;
  std::unique_ptr<SegmentTable> table;
  LogState state;  // of the run that begins; saved
  std::optional<PrivateKey> key;
  TailStart tail;  // behind the gap records that recovery has written
  std::string boot_id;
  std::string kept;     // the ending of the files of the log before, if it has ended now
  std::string trouble;  // what an operator should know; empty: nothing
};

// What a process that has the folder already brings along.
struct RecoveryParts {
  std::optional<FolderLock> lock;
  std::shared_ptr<RingFile> ring;  // from make_spare_ring()
};

// kConflict: another process uses the folder. kConfig: it is of another version of this program.
// kIo: the disk. Damage is no error: what is left is kept, and the log says what is missing.
Result<OpenedSpool> recover(const std::filesystem::path& folder, const SpoolOptions& options,
                            const SpoolIdentity& identity, RecoveryParts parts = {});

inline constexpr const char* kSpareRingFile = "decisions.ring.next";
// Makes the ring of the log that follows, which takes time, before anything is changed. kIo.
Result<std::shared_ptr<RingFile>> make_spare_ring(const std::filesystem::path& folder,
                                                  uint64_t capacity);

// What is left of a ring.
struct RingContent {
  Backlog backlog;
  RingPlace head;  // of the oldest live frame
  RingPlace end;
  uint64_t hidden = 0;  // positions from `end` on that a damaged frame hides
};
// Reads the frames from position live.position on. kCorrupt: the ring begins behind it; kIo.
Result<RingContent> read_ring(const RingFile& ring, const RingPlace& live);

// What is missing behind the records that were read, in a ring with this header.
std::vector<record::Gap> missing_behind(const RingContent& content, const RingHeader& header,
                                        std::string_view boot_id);

}  // namespace notp::spool
