#include "notp-client/spool/open_log.hpp"

#include <fmt/format.h>

#include <ctime>
#include <initializer_list>
#include <string_view>

#include "common/limits.hpp"

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

OpenLog::OpenLog(OpenedSpool opened, const SpoolOptions& of, SpoolIdentity identity,
                 DropCounts& drops)
    : options(of),
      lock(std::move(opened.lock)),
      table(std::move(opened.table)),
      kept(std::move(opened.kept)),
      trouble(std::move(opened.trouble)),
      run(opened.tail.run),
      log(opened.tail.log),
      receipts(*table, opened.tail.folder, PrivateKey::from_pem(opened.state.key_pem).value()),
      tail(std::move(opened.tail), options, sealer_wakeup, syncer_wakeup),
      started(tail.append_own(record::RunStart{identity.program, boot_ns(), opened.boot_id})),
      syncer(tail, syncer_wakeup, options.sync_ms),
      sealer(tail, drops, *table, std::move(opened.state), *std::move(opened.key),
             {options, std::move(identity.signer),
              [this](record::Position acknowledged) { return receipts.free_below(acknowledged); }},
             sealer_wakeup) {}

Result<std::optional<Written>> OpenLog::append(const Entry& entry) {
  NOTP_ASSIGN(const auto position, tail.append(entry));
  if (!position) return std::nullopt;
  return Written{*position, record::DecisionAddress::of(log, run, *position).text()};
}

void OpenLog::when_durable(record::Position position, std::function<void(Result<void>)> done) {
  if (position >= tail.next()) return done({});
  syncer.when_durable(position, std::move(done));
}

Result<void> OpenLog::read(record::Position from,
                           const std::function<void(const record::Record&)>& each) {
  NOTP_TRY(sealer.seal_now());
  std::vector<record::Position> firsts;
  NOTP_TRY(table->for_each([&](const SegmentRow& row) {
    if (row.head.end() > from && row.body_bytes != 0) firsts.push_back(row.head.first);
    return true;
  }));
  for (const record::Position first : firsts) {
    NOTP_ASSIGN(const record::Segment segment, table->segment(first));
    NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(segment.head, segment.body));
    for (const ByteView bytes : opened.records()) {
      NOTP_ASSIGN(const record::Record record, record::decode(bytes));
      if (record.place.position >= from) each(record);
    }
  }
  return {};
}

Result<wire::LogWitness> OpenLog::witness(const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                          TimeMs wall_ms) {
  if (receipt.log != log)
    return fail(ErrorCode::kState, fmt::format("the receipt is of log {}, and {} is in use",
                                               receipt.log.hex(), log.hex()));
  return receipts.witness(receipt, peer, wall_ms);
}

SpoolStatus OpenLog::status() const {
  const TailStatus of_tail = tail.status();
  const SealerStatus of_sealer = sealer.status();
  const SyncStatus sync = syncer.status();
  SpoolStatus out;
  out.is_open = true;
  out.log = log;
  out.run = run;
  out.next = of_tail.next;
  out.sealed = of_sealer.sealed;
  out.acknowledged = of_sealer.acknowledged;
  out.spool_bytes = of_sealer.unacknowledged_bytes;
  out.ring_bytes = of_tail.ring_bytes;
  out.oldest_ms = of_sealer.oldest_ms != 0 ? of_sealer.oldest_ms : of_tail.oldest_ns / kNsPerMs;
  out.is_full = of_tail.is_full;
  out.is_failing = of_tail.is_failing || of_sealer.is_failing;
  const bool is_near = out.spool_bytes > options.spool_bytes / 100 * limits::kSpoolWarnPercent;
  out.trouble = first_of({of_sealer.trouble, of_tail.trouble, trouble, receipts.trouble(),
                          is_near ? "the spool is nearly full: let the agent reach its registry, "
                                    "or raise spool_bytes"
                                  : ""});
  out.recorded = of_tail.recorded;
  out.refused = of_tail.refused;
  out.lost = of_tail.lost;
  out.bodies_dropped = of_sealer.bodies_dropped;
  for (size_t reason = 1; reason < kGapReasons; ++reason)
    out.gaps.emplace_back(record::gap_reason_name(static_cast<record::GapReason>(reason)),
                          of_tail.gaps.at(reason));
  out.syncs = sync.syncs;
  out.sync_us = sync.sync_us;
  return out;
}

void add_counters(SpoolStatus& to, const SpoolStatus& from) {
  to.recorded += from.recorded;
  to.refused += from.refused;
  to.lost += from.lost;
  to.bodies_dropped += from.bodies_dropped;
  to.syncs += from.syncs;
  to.sync_us += from.sync_us;
  if (to.gaps.empty()) {
    to.gaps = from.gaps;
    return;
  }
  for (size_t i = 0; i < from.gaps.size(); ++i) to.gaps.at(i).second += from.gaps[i].second;
}

}  // namespace notp::spool
