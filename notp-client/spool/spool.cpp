#include "notp-client/spool/spool.hpp"

#include <ctime>
#include <initializer_list>
#include <string_view>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "notp-client/spool/recovery.hpp"
#include "notp-client/spool/sealer.hpp"
#include "notp-client/spool/syncer.hpp"

namespace notp::spool {
namespace {

constexpr int64_t kNsPerMs = 1'000'000, kNsPerSecond = 1'000'000'000;

int64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// The first problem counts; the rest follows from it.
std::string first_of(std::initializer_list<std::string_view> troubles) {
  for (const std::string_view trouble : troubles)
    if (!trouble.empty()) return std::string(trouble);
  return {};
}

}  // namespace

// In the order of construction: the threads end before what they use.
struct DecisionSpool::State {
  State(OpenedSpool opened, const SpoolOptions& options, SpoolIdentity identity)
      : options(options),
        lock(std::move(opened.lock)),
        table(std::move(opened.table)),
        trouble(std::move(opened.trouble)),
        run(opened.tail.run),
        log(opened.tail.log),
        tail(std::move(opened.tail), options, sealer_wakeup, syncer_wakeup),
        syncer(tail, syncer_wakeup, options.sync_ms),
        sealer(tail, drops, *table, std::move(opened.state), *std::move(opened.key),
               {options, std::move(identity.signer)}, sealer_wakeup) {}

  const SpoolOptions options;
  const FolderLock lock;
  const std::unique_ptr<SegmentTable> table;
  const std::string trouble;  // that recovery has found
  const uint32_t run;
  const record::LogId log;
  Wakeup sealer_wakeup, syncer_wakeup;
  DropCounts drops;
  LogTail tail;
  Syncer syncer;
  Sealer sealer;
};

DecisionSpool::DecisionSpool(std::unique_ptr<State> state) : state_(std::move(state)) {}
DecisionSpool::~DecisionSpool() = default;

Result<std::unique_ptr<DecisionSpool>> DecisionSpool::open(const std::filesystem::path& folder,
                                                           SpoolOptions options,
                                                           SpoolIdentity identity) {
  const std::string program = identity.program;
  NOTP_ASSIGN(OpenedSpool opened, recover(folder, options, identity));
  const auto new_log = opened.new_log;
  const std::string boot_id = opened.boot_id;
  auto state = std::make_unique<State>(std::move(opened), options, std::move(identity));
  NOTP_TRY(state->tail.append_own(record::RunStart{program, boot_ns(), boot_id}));
  if (new_log) NOTP_TRY(state->tail.append_own(*new_log));
  failpoint("spool.after_open");
  return std::unique_ptr<DecisionSpool>(new DecisionSpool(std::move(state)));
}

void DecisionSpool::close(std::string reason) {
  LogTail& tail = state_->tail;
  if (!tail.close()) return;
  const auto drops = state_->drops.close();
  if (drops) (void)tail.append_own(*drops);
  const auto ended = tail.append_own(record::RunEnd{std::move(reason)});
  if (!ended) log::write(log::Level::kWarn, "spool_end_not_recorded", ended.error());
  // What cannot be sealed stays in the ring.
  const auto sealed = seal_now();
  if (!sealed) log::write(log::Level::kWarn, "spool_not_sealed", sealed.error());
  failpoint("spool.after_close");
}

Result<std::optional<Written>> DecisionSpool::append(Entry entry) {
  NOTP_ASSIGN(const auto position, state_->tail.append(entry));
  if (!position) return std::nullopt;
  return Written{*position,
                 record::DecisionAddress::of(state_->log, state_->run, *position).text()};
}

void DecisionSpool::when_durable(record::Position position,
                                 std::function<void(Result<void>)> done) {
  state_->syncer.when_durable(position, std::move(done));
}

void DecisionSpool::drop(std::string path, record::Outcome outcome, std::string rule) {
  // The first one begins the time until they are written.
  if (state_->drops.add(std::move(path), outcome, std::move(rule))) state_->sealer_wakeup.signal();
}

SealedLog DecisionSpool::sealed() const { return state_->sealer.sealed(); }

Result<record::Segment> DecisionSpool::segment(record::Position first) {
  return state_->table->segment(first);
}

void DecisionSpool::acknowledged(record::Position next) { state_->sealer.acknowledged(next); }
void DecisionSpool::connected(bool is_connected) { state_->sealer.connected(is_connected); }
void DecisionSpool::on_sealed(std::function<void()> sealed) {
  state_->sealer.on_sealed(std::move(sealed));
}
void DecisionSpool::set_node(std::string node) { state_->sealer.set_node(std::move(node)); }
Result<void> DecisionSpool::seal_now() { return state_->sealer.seal_now(); }

Result<void> DecisionSpool::read(record::Position from,
                                 const std::function<void(const record::Record&)>& each) {
  NOTP_TRY(seal_now());
  std::vector<record::Position> firsts;
  NOTP_TRY(state_->table->for_each([&](const SegmentRow& row) {
    if (row.head.end() > from && row.body_bytes != 0) firsts.push_back(row.head.first);
    return true;
  }));
  for (const record::Position first : firsts) {
    NOTP_ASSIGN(const record::Segment segment, state_->table->segment(first));
    NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(segment.head, segment.body));
    for (const ByteView bytes : opened.records()) {
      NOTP_ASSIGN(const record::Record record, record::decode(bytes));
      if (record.place.position >= from) each(record);
    }
  }
  return {};
}

SpoolStatus DecisionSpool::status() const {
  const TailStatus tail = state_->tail.status();
  const SealerStatus sealer = state_->sealer.status();
  const SyncStatus sync = state_->syncer.status();
  SpoolStatus out;
  out.log = state_->log;
  out.run = state_->run;
  out.next = tail.next;
  out.sealed = sealer.sealed;
  out.acknowledged = sealer.acknowledged;
  out.spool_bytes = sealer.unacknowledged_bytes;
  out.ring_bytes = tail.ring_bytes;
  out.oldest_ms = sealer.oldest_ms != 0 ? sealer.oldest_ms : tail.oldest_ns / kNsPerMs;
  out.is_full = tail.is_full;
  out.is_failing = tail.is_failing || sealer.is_failing;
  const bool is_near =
      out.spool_bytes > state_->options.spool_bytes / 100 * limits::kSpoolWarnPercent;
  out.trouble = first_of({sealer.trouble, tail.trouble, state_->trouble,
                          is_near ? "the spool is nearly full: let the agent reach its registry, "
                                    "or raise spool_bytes"
                                  : ""});
  out.recorded = tail.recorded;
  out.refused = tail.refused;
  out.lost = tail.lost;
  out.dropped = state_->drops.total();
  out.bodies_dropped = sealer.bodies_dropped;
  out.dropped_by_rule = state_->drops.by_rule();
  for (size_t reason = 1; reason < kGapReasons; ++reason)
    out.gaps.emplace_back(record::gap_reason_name(static_cast<record::GapReason>(reason)),
                          tail.gaps.at(reason));
  out.syncs = sync.syncs;
  out.sync_us = sync.sync_us;
  return out;
}

}  // namespace notp::spool
