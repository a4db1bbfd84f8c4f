// A node's log of decisions in memory, with the guarantees of the spool on disk
// (notp-client/spool): a sealed segment is durable, a record in the ring survives the end of its
// process, and a power cut costs the records that no sync covers. Segments, the tree, checkpoints
// and what is missing after a power cut come from the real code.
//
// The caller has the clock: it calls begin_…() when a deadline has come, and finish_…() when the
// disk is done. Times are the world's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/random.hpp"
#include "notp-client/spool/recovery.hpp"
#include "notp-client/spool/segment_source.hpp"
#include "tests/sim/node_keys.hpp"

namespace notp::sim {

// A segment is full earlier than a real one: worlds have few decisions.
inline constexpr size_t kSimSegmentRecords = 16;

// Where and when a log is kept.
struct SimLogTerms {
  size_t node = 0;
  TimeMs kept_ms = 0;             // of segments that are acknowledged
  size_t unacknowledged_max = 0;  // segments; 0: no bound
  bool drops_oldest = false;      // beyond the bound; else the log is full
};

// What the disk has of a log. A copy of it is a backup.
struct LogDisk {
  struct Sealed {
    record::Segment segment;  // with its subtrees, if bodies may be dropped
    TimeMs sealed_ms = 0;
  };
  // spool.db: each change is durable at once.
  struct Table {
    LogKey key;
    std::optional<record::LogId> previous;
    std::string reason;
    Bytes announcement;
    uint32_t run = 0;
    record::Frontier tree;
    record::Position acknowledged = 0;
    std::map<record::Position, std::shared_ptr<const Sealed>> segments;
    spool::TreeState registry_tree;
    std::map<record::Position, Hash> roots;  // of checkpoints without a segment
  };
  struct RingRecord {
    record::Position position = 0;
    uint32_t run = 0;
    record::Kind kind = record::Kind::kDecision;
    Bytes bytes;
  };
  struct Ring {
    spool::RingHeader header;
    std::deque<RingRecord> records;
  };
  Table table;
  Ring ring;
};

class SimLog final : public spool::SegmentSource, private spool::ReceiptStore {
 public:
  // Begins a log that follows another one, if any, and why.
  SimLog(const SimLogTerms& terms, LogKey key, TimeMs created_ms,
         std::optional<record::LogId> previous, std::string reason);

  // --- processes
  // A process opens the log: finds out what is missing, begins a run.
  void open(const std::string& boot_id, TimeMs now_ms, int64_t wall_ns);
  // The process ends; with `power_lost`, so does the machine.
  void crash(bool power_lost, Random& random);
  // Ends the run in order: everything is sealed.
  void close(TimeMs now_ms, int64_t wall_ns, Random& random);
  // What a backup of the folder has, and what is found after it was put back.
  LogDisk backup() const { return disk_; }
  void restore(LogDisk disk);

  // --- records
  bool is_full() const;
  // Returns the position.
  record::Position append(record::DecisionContent content, const spool::ActiveSetPtr& active,
                          TimeMs now_ms, int64_t wall_ns);
  uint32_t run() const { return disk_.table.run; }
  record::Position next() const { return end_; }
  // A sync is begun, then finished: everything below the result is durable.
  bool is_sync_due() const { return synced_ < end_ && !is_syncing(); }
  void begin_sync();
  record::Position finish_sync();
  bool is_syncing() const { return syncing_.lease != 0; }
  // A segment is built, then durable.
  TimeMs seal_deadline_ms() const;  // kNever: there is nothing to seal, or one is being sealed
  void begin_seal(TimeMs now_ms, Random& random);
  void finish_seal(TimeMs now_ms);

  // --- SegmentSource
  spool::SealedLog sealed() const override;
  Result<record::Segment> segment(record::Position position) override;
  void acknowledged(record::Position next) override;
  void connected(bool is_connected) override { is_connected_ = is_connected; }
  void on_sealed(std::function<void()> sealed) override { on_sealed_ = std::move(sealed); }
  // Deletes what was acknowledged and kept long enough, when something was acknowledged since the
  // last time or a minute has passed; never the newest segment.
  void remove_acknowledged(TimeMs now_ms);

  // --- the registry's tree
  spool::TreeState tree() const override { return book_.state(); }
  std::pair<std::optional<record::LogId>, uint64_t> offered_tree() const override {
    return {book_.offered_tree(), book_.tree_size()};
  }
  Result<wire::LogWitness> witness(const wire::LogReceipt& receipt, const spool::ReceiptPeer& peer,
                                   TimeMs wall_ms) override {
    return spool::witness(book_, *this, receipt, peer, wall_ms);
  }
  // Whether the disk takes what a receipt proves.
  void set_keeps_receipts(bool keeps) { keeps_receipts_ = keeps; }
  // As a person does while the process is down.
  void accept_tree();
  // Of the checkpoint of the tree that the disk has; 0: none.
  uint64_t kept_tree_size() const;

  const LogDisk::Table& table() const { return disk_.table; }
  // Records that are in no segment.
  size_t unsealed() const { return disk_.ring.records.size(); }

 private:
  record::Position write(const record::Content& content, record::Position active, TimeMs now_ms,
                         int64_t wall_ns);
  Result<std::optional<spool::OwnCheckpoint>> checkpoint_at(record::Position size) override;
  Result<void> keep(const spool::TreeState& state) override;
  void keep_evidence(const spool::TreeState&, const spool::TreeRefusal&) override {}
  Result<Bytes> cosign(std::string_view note, int64_t time_s) override;
  void commit();
  void drop_bodies();
  void free_ring(record::Position end);

  const SimLogTerms terms_;
  LogDisk disk_;               // as every process of the machine sees it
  spool::RingHeader durable_;  // of the ring; the table has no other
  record::Position synced_ = 0, end_ = 0;
  spool::RingHeader syncing_;  // lease 0: no sync is under way
  std::optional<LogDisk::Sealed> sealing_;
  record::Frontier built_;     // the tree after it
  TimeMs oldest_ms_ = kNever;  // of the oldest unsealed record
  spool::ActiveSetPtr active_;
  record::Position active_at_ = 0;
  spool::ReceiptBook book_;  // of the process
  bool keeps_receipts_ = true;
  bool is_connected_ = false, is_more_acknowledged_ = false;
  TimeMs next_removal_ms_ = 0;
  std::function<void()> on_sealed_;
};

}  // namespace notp::sim
