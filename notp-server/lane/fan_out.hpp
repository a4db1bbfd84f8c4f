// Feeds the readers of a lane: the sessions of nodes that follow it. Decides from events and time
// alone; whoever drives it carries out its effects. notp-server/lane/README.md, "Fan-out".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "notp-server/lane/event_store.hpp"
#include "notp-server/lane/grants.hpp"
#include "notp-server/lane/page_cache.hpp"
#include "notp-server/lane/statement_maker.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/serve/lane_feed.hpp"
#include "protocol/wire/messages/lanes.hpp"

namespace notp::lane {

using ReaderKey = serve::LaneReader;
namespace lane_effect = serve::lane_send;
using LaneEffect = serve::LaneSend;

// How far the connected nodes are.
struct ReaderCounts {
  uint64_t nodes = 0;        // that were granted the lane
  uint64_t too_slow = 0;     // of these, that read too slowly
  uint64_t snapshots = 0;    // of these, that are getting one
  uint64_t reported = 0;     // of these, that have sent a LaneApplied
  uint64_t applied_min = 0;  // the least revision of these reports; 0 unless all have reported
  uint64_t live = 0, lagging = 0, stale = 0;  // by their last report
};

// One thread, that of the store. Effects are carried out in their order.
class FanOut {
 public:
  // A node that has more of this history than the store: the store was put back to an older state.
  struct Ahead {
    std::string node;
    uint64_t revision = 0;
  };

  // All outlive it. A session that holds more than `unsent_max` bytes falls behind.
  FanOut(LaneName name, std::vector<Grant> grants, EventStore& store, const PrivateKey& key,
         size_t unsent_max = limits::kLaneUnsentBytesMax);
  ~FanOut();
  FanOut(const FanOut&) = delete;
  FanOut& operator=(const FanOut&) = delete;

  // New rows were committed, ascending by revision.
  void committed(std::vector<Row> rows, Now now);

  // --- events of sessions; those of an earlier stream of the reader change nothing

  void subscribe(ReaderKey reader, const session::Identity& identity,
                 const wire::LaneSubscribe& wanted, Now now);
  // As in serve::LaneFeed.
  void fell_behind(ReaderKey reader, uint64_t revision, Now now);
  void drained(ReaderKey reader, Now now);
  void ask(ReaderKey reader, const std::vector<feed::TokenId>& ids, Now now);
  void applied(ReaderKey reader, const wire::LaneApplied& applied);
  void closed(uint64_t reader);

  // --- time and work

  // Whether readers wait for pages from the store. work() makes one.
  bool has_work() const { return !pages_due_.empty(); }
  void work(Now now);
  // Boot time; kNever: none. Not about work().
  TimeMs next_deadline() const;
  void on_deadline(Now now);
  std::vector<LaneEffect> take_effects();
  // What the reads of the store since the last call came to: that of one that failed, if any did.
  // nullopt: there were none.
  std::optional<Result<void>> take_reads() { return std::exchange(reads_, std::nullopt); }
  // The newest such node since the last call.
  std::optional<Ahead> take_ahead() { return std::exchange(ahead_, std::nullopt); }
  // The history has another name: all readers are told, and get a snapshot.
  void restart(Now now);

  ReaderCounts counts() const;
  // How many of them have applied the revision.
  uint64_t applied_at(uint64_t revision) const;

 private:
  struct Group;
  struct Reader;
  // What was committed and is not in batches yet; the newest row of each key counts.
  struct Gathering {
    std::map<uint64_t, Row> rows;               // by revision
    std::map<feed::EventKey, uint64_t> newest;  // their revisions
    size_t bytes = 0;
    TimeMs due_ms = kNever;  // boot time
  };

  Reader* find(ReaderKey key);
  std::shared_ptr<Group> group_of(const Grant& grant, wire::LaneMode mode);
  void start(Reader& reader, const wire::LaneSubscribe& wanted, Now now);
  void begin_snapshot(Reader& reader, Now now);
  void advance(Reader& reader, Now now);
  void catch_up(Reader& reader, Now now);
  void make_page(Reader& reader, Now now);
  void send_tail(Reader& reader, const Statement& statement);
  void send_snapshot(Reader& reader, const Statement& statement);
  void tell(const Reader& reader, bool is_behind);
  void refuse(ReaderKey reader, const std::string& lane, const Error& error);
  void fail_reader(uint64_t number, const Error& error);
  void has_read();
  void flush(Now now);
  void flush(Group& group, std::span<const Row> rows, Now now);
  void send(Group& group, Statement statement, Now now);
  TimeMs gather_ms() const;
  TimeMs writing_ms() const;

  const StatementMaker maker_;
  const std::vector<Grant> grants_;
  const size_t at_once_bytes_;
  EventStore& store_;
  std::unordered_map<uint64_t, Reader> readers_;
  std::map<uint64_t, std::weak_ptr<Group>> groups_;  // with readers
  PageCache pages_;
  std::deque<ReaderKey> pages_due_;
  Gathering gathering_;
  TimeMs free_ms_ = 0;  // boot time: the next batch leaves then, or later
  std::vector<LaneEffect> effects_;
  std::optional<Result<void>> reads_;
  std::optional<Ahead> ahead_;
};

}  // namespace notp::lane
