// One log that is in use, with its threads.
#pragma once

#include "notp-client/spool/receipt_keeper.hpp"
#include "notp-client/spool/recovery.hpp"
#include "notp-client/spool/sealer.hpp"
#include "notp-client/spool/syncer.hpp"

namespace notp::spool {

// In the order of construction: the threads end before what they use.
struct OpenLog {
  // `drops` outlives it.
  OpenLog(OpenedSpool opened, const SpoolOptions& options, SpoolIdentity identity,
          DropCounts& drops);

  Result<std::optional<Written>> append(const Entry& entry);
  // A position that the log has not given out is of an earlier one, whose records are durable.
  void when_durable(record::Position position, std::function<void(Result<void>)> done);
  Result<void> read(record::Position from, const std::function<void(const record::Record&)>& each);
  // As SegmentSource::witness(). kState: the receipt is of another log.
  Result<wire::LogWitness> witness(const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                   TimeMs wall_ms);
  SpoolStatus status() const;

  const SpoolOptions options;
  FolderLock lock;
  const std::unique_ptr<SegmentTable> table;
  const std::string kept;     // as OpenedSpool has it
  const std::string trouble;  // that recovery has found
  const uint32_t run;
  const record::LogId log;
  ReceiptKeeper receipts;
  Wakeup sealer_wakeup, syncer_wakeup;
  LogTail tail;
  const Result<record::Position> started;  // its RUN_START: before what the sealer may write
  Syncer syncer;
  Sealer sealer;
};

// Adds the counters since the start of the process.
void add_counters(SpoolStatus& to, const SpoolStatus& from);

}  // namespace notp::spool
