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
  std::optional<record::Gap> new_log;  // for the beginning of a log that follows another one
  std::string trouble;                 // what an operator should know; empty: nothing
};

// kConflict: another process uses the folder. kConfig: it is of another version of this program.
// kIo: the disk. Damage is no error: what is left is kept, and the log says what is missing.
Result<OpenedSpool> recover(const std::filesystem::path& folder, const SpoolOptions& options,
                            const SpoolIdentity& identity);

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
