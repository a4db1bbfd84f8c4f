// A node's log on disk: the ring of records that are not sealed yet, and the sealed segments.
// notp-client/spool/README.md has the files and what a crash leaves.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "notp-client/spool/decision_log.hpp"
#include "notp-client/spool/segment_source.hpp"
#include "notp-client/spool/spool_options.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::spool {

// What a spool needs to know of its node.
struct SpoolIdentity {
  std::string trust_domain;
  std::string node;     // SPIFFE id; empty while the node has no certificate: announced later
  std::string program;  // product and version
  // Signs announcements; called on the spool's thread. Empty: nothing is announced.
  std::function<Result<record::AnnouncementSigner>()> signer;
};

// How long an append waits while a new log begins. Its ring is made before; what is left are a few
// syncs.
inline constexpr int64_t kNewLogWaitMs = 2'000;

struct SpoolStatus {
  bool is_open = false;  // false: the disk takes nothing, and `trouble` says why
  record::LogId log;
  uint32_t run = 0;
  record::Position next = 0;          // of the next record
  record::Position sealed = 0;        // records in segments
  record::Position acknowledged = 0;  // by the registry
  uint64_t spool_bytes = 0;           // of segments that are not acknowledged
  uint64_t ring_bytes = 0;            // in use
  int64_t oldest_ms = 0;  // wall time of the oldest record that is not acknowledged; 0: none
  bool is_full = false;
  bool is_failing = false;  // the disk takes nothing
  std::string trouble;      // for a person; empty: none
  // Since the start of the process.
  uint64_t recorded = 0, refused = 0, lost = 0, dropped = 0;
  uint64_t bodies_dropped = 0;  // records whose bytes went while the spool was full
  std::vector<std::pair<std::string, uint64_t>> dropped_by_rule;
  std::vector<std::pair<std::string, uint64_t>> gaps;  // gap records written, by reason
  uint64_t syncs = 0, sync_us = 0;
};

// Thread-safe. Owns a thread for segments and one for syncs.
class DecisionSpool final : public DecisionLog, public SegmentSource {
 public:
  // Opens `folder`, or creates it: recovers what a crash left, begins a run. kIo, kCorrupt: the
  // folder cannot be used; a damaged spool is kept beside as evidence and a new log begins, which
  // is not an error. kConflict: another process uses it. kConfig: another version wrote it.
  static Result<std::unique_ptr<DecisionSpool>> open(const std::filesystem::path& folder,
                                                     SpoolOptions options, SpoolIdentity identity);
  // The same, but for kIo, which is no error: the folder is opened again and again until it takes
  // writes. Until then append() does what the options say for a log without room, and what was
  // given unrecorded is counted in a gap record at the beginning of the run.
  static Result<std::unique_ptr<DecisionSpool>> open_or_wait(const std::filesystem::path& folder,
                                                             SpoolOptions options,
                                                             SpoolIdentity identity);
  // Ends the run in order: writes a RUN_END record and seals. Afterwards append() refuses.
  void close(std::string reason);
  ~DecisionSpool() override;

  // While a new log begins, it waits for that, kNewLogWaitMs at most.
  Result<std::optional<Written>> append(Entry entry) override;
  void when_durable(record::Position position, std::function<void(Result<void>)> done) override;
  void drop(std::string path, record::Outcome outcome, std::string rule) override;

  SealedLog sealed() const override;
  Result<record::Segment> segment(record::Position first) override;
  void acknowledged(record::Position next) override;
  void connected(bool is_connected) override;
  void on_sealed(std::function<void()> sealed) override;
  TreeState tree() const override;
  std::pair<std::optional<record::LogId>, uint64_t> offered_tree() const override;
  Result<wire::LogWitness> witness(const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                   TimeMs wall_ms) override;
  // kLimit: files of kOldLogsKept logs are kept already, and a person must look at them first.
  // kIo: the disk takes nothing; kState: no log is open.
  Result<NewLog> begin_new_log(std::string reason) override;

  // For those who keep positions: `before` is called before a log ends, and may still append and
  // wait; `after` when appends go on, with the id of the log that they go to. On the thread of
  // begin_new_log(). Both empty: nobody.
  void on_new_log(std::function<void()> before, std::function<void(const record::LogId&)> after);
  // The node's SPIFFE id became known, which open() did not have. Until then nothing is sealed.
  void set_node(std::string node);
  // Calls back for each record from `from` on that is still kept here, in order, the newest
  // included: seals first. Blocks. Errors of seal_now(), and kCorrupt.
  Result<void> read(record::Position from, const std::function<void(const record::Record&)>& each);
  SpoolStatus status() const;
  Result<void> seal_now() override;

 private:
  class State;
  explicit DecisionSpool(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace notp::spool
