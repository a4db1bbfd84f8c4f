#include "tools/bench/spool_suite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <thread>

#include "common/limits.hpp"
#include "notp-client/spool/spool.hpp"
#include "protocol/wire/frame.hpp"
#include "tools/bench/answer_times.hpp"
#include "tools/bench/decision_workload.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/spool_controls.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr size_t kControlBatches = 256;
constexpr size_t kEntriesAtOnce = 4'096;  // made before they are appended
constexpr size_t kAppendSample = 64;      // every so many appends are timed
// Records that may wait in the ring: it has room for twice as many.
constexpr uint64_t kAheadMax = 32'768;
constexpr size_t kPeps[] = {1, 4, 16, 64};
constexpr size_t kTlsRecordBytes = 16 << 10, kTlsOverheadBytes = 22;

Result<std::unique_ptr<spool::DecisionSpool>> open_spool(const std::filesystem::path& folder) {
  spool::SpoolOptions options;
  options.spool_bytes = 1ULL << 40;
  return spool::DecisionSpool::open(
      folder, options,
      {.trust_domain = kBenchDomain, .node = kBenchNode, .program = "notp-bench", .signer = {}});
}

Result<void> check_whole(const spool::DecisionSpool& spool, uint64_t records) {
  const spool::SpoolStatus status = spool.status();
  if (status.lost == 0 && status.refused == 0 && status.recorded == records &&
      status.sealed == status.next)
    return {};
  return fail(ErrorCode::kInternal,
              fmt::format("{} records were appended, {} were recorded, {} refused, {} lost, and {} "
                          "of {} are in segments",
                          records, status.recorded, status.refused, status.lost, status.sealed,
                          status.next));
}

// Waits until the sealer is near, as a PEP never has to.
void await_room(const spool::DecisionSpool& spool, uint64_t appended) {
  while (appended - std::min<uint64_t>(appended, spool.sealed().size) > kAheadMax)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// The bytes of all segments, as stored and as sent.
Result<void> measure_segments(spool::DecisionSpool& spool, SpoolResult& result) {
  uint64_t body = 0, sent = 0;
  const record::Position size = spool.sealed().size;
  for (record::Position first = 0; first < size;) {
    NOTP_ASSIGN(record::Segment segment, spool.segment(first));
    first = segment.head.end();
    body += segment.body.size();
    NOTP_ASSIGN(const Bytes head, wire::try_encode_frame(wire::Segment{
                                      std::move(segment.head), segment.body.size(), 1, {}}));
    uint64_t frames = head.size();
    for (size_t at = 0; at < segment.body.size(); at += limits::kSegmentChunkBytes) {
      const size_t bytes = std::min(limits::kSegmentChunkBytes, segment.body.size() - at);
      frames += wire::encode_chunk_header(1, bytes).size() + bytes;
    }
    sent += frames + (frames + kTlsRecordBytes - 1) / kTlsRecordBytes * kTlsOverheadBytes;
  }
  result.body_bytes = static_cast<double>(body) / static_cast<double>(size);
  result.wire_bytes = static_cast<double>(sent) / static_cast<double>(size);
  return {};
}

Result<void> measure_batched(const std::filesystem::path& folder, const DecisionWorkload& work,
                             SpoolResult& result) {
  NOTP_ASSIGN(const auto spool, open_spool(folder / "batched"));
  double making_s = 0;
  const Stopwatch all;
  for (uint64_t i = 0; i < result.records;) {
    const double before = thread_processor_s();
    std::vector<spool::Entry> entries;
    entries.reserve(kEntriesAtOnce);
    for (uint64_t made = i; made < result.records && entries.size() < kEntriesAtOnce; ++made)
      entries.push_back(work.entry(made, spool::Durability::kBatched));
    making_s += thread_processor_s() - before;
    for (spool::Entry& entry : entries) {
      const bool is_timed = i % kAppendSample == 0;
      if (is_timed) await_room(*spool, i);
      const auto begin = Stopwatch::Clock::now();
      NOTP_TRY(spool->append(std::move(entry)));
      if (is_timed) result.append_ms.add(ms_between(begin, Stopwatch::Clock::now()));
      ++i;
    }
  }
  NOTP_TRY(spool->seal_now());
  const double seconds = all.seconds(), processor_s = all.processor_s() - making_s;
  NOTP_TRY(check_whole(*spool, result.records));
  result.batched_per_s = static_cast<double>(result.records) / seconds;
  result.processor_us = processor_s * 1e6 / static_cast<double>(result.records);
  return measure_segments(*spool, result);
}

// One PEP: asks again when its answer is durable.
void ask_strictly(spool::DecisionSpool& spool, const DecisionWorkload& work,
                  const std::atomic<bool>& stop, std::atomic<uint64_t>& answered) {
  std::mutex mutex;
  std::condition_variable woken;
  for (uint64_t i = 0; !stop; ++i) {
    const auto written = spool.append(work.entry(i, spool::Durability::kStrict));
    if (!written || !*written) continue;
    bool done = false;
    spool.when_durable((*written)->position, [&](const Result<void>& durable) {
      const std::lock_guard lock(mutex);
      if (durable) ++answered;
      done = true;
      woken.notify_one();
    });
    std::unique_lock lock(mutex);
    woken.wait(lock, [&] { return done; });
  }
}

Result<void> measure_strict(const std::filesystem::path& folder, const DecisionWorkload& work,
                            const SpoolSuiteOptions& options, SpoolResult& result) {
  for (const size_t peps : kPeps) {
    NOTP_ASSIGN(const auto spool, open_spool(folder / fmt::format("strict-{}", peps)));
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> answered = 0;
    const Stopwatch watch;
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < peps; ++i)
      threads.emplace_back([&] { ask_strictly(*spool, work, stop, answered); });
    std::this_thread::sleep_for(std::chrono::duration<double>(options.strict_seconds));
    stop = true;
    threads.clear();
    result.strict.push_back({peps, static_cast<double>(answered) / watch.seconds()});
    NOTP_TRY(spool->seal_now());
    NOTP_TRY(check_whole(*spool, answered));
    options.progress(
        fmt::format("strict, {} PEPs: {:.0f} records/s", peps, result.strict.back().records_per_s));
  }
  return {};
}

double mean_bytes(const std::vector<Bytes>& texts) {
  size_t bytes = 0;
  for (const Bytes& text : texts) bytes += text.size();
  return static_cast<double>(bytes) / static_cast<double>(texts.size());
}

}  // namespace

Result<SpoolResult> run_spool(const SpoolSuiteOptions& options) {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make(options.parent));
  const std::filesystem::path& folder = scratch->path();
  const DecisionWorkload work(options.seed);
  SpoolResult result;
  result.records = options.records;
  result.record_bytes = work.record_bytes();
  result.event_bytes = mean_bytes(opa_events(work));
  const size_t batches = std::clamp<size_t>(options.records / 1'024, 1, kControlBatches);
  NOTP_ASSIGN(result.control,
              measure_spool_controls(folder, work, options.strict_seconds, batches));
  options.progress(fmt::format("control: {:.0f} records/s in batches, one fdatasync {:.2f} ms",
                               result.control.batches_per_s, result.control.sync_ms));
  {
    NOTP_ASSIGN(const auto spool, open_spool(folder / "answers"));
    NOTP_ASSIGN(result.answer_ms, measure_answers(*spool, options.seed, options.answers));
    NOTP_TRY(spool->seal_now());
    NOTP_TRY(check_whole(*spool, options.answers));
  }
  options.progress(fmt::format("answers: {:.2f} us later", result.answer_ms.p50() * 1e3));
  NOTP_TRY(measure_batched(folder, work, result));
  options.progress(fmt::format("batched: {:.0f} records/s, {:.2f} us of processor each",
                               result.batched_per_s, result.processor_us));
  NOTP_TRY(measure_strict(folder, work, options, result));
  return result;
}

}  // namespace notp::bench
