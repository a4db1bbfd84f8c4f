#include "tools/bench/audit_ingest.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "common/assert.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr size_t kBatchSegments = 512;  // made before the clock goes on
constexpr uint64_t kDays = 7;
constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr TimeMs kFirstDayMs = 1'767'225'600'000;  // 2026-01-01
constexpr uint64_t kProgressRecords = 1'000'000;

// Waits for the answers to a number of calls.
class Answers {
 public:
  explicit Answers(size_t expected) : left_(expected) {}

  audit::LogWriter::Done callback() {
    return [this](const wire::LogGrant& grant) {
      const std::lock_guard lock(mutex_);
      if (grant.code != 0 || grant.window_bytes == 0)
        refusal_ = grant.message.empty() ? "it was turned away" : grant.message;
      if (--left_ == 0) done_.notify_one();
    };
  }
  Result<void> wait() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
    if (refusal_.empty()) return {};
    return fail(ErrorCode::kInternal, "the intake refused a segment: " + refusal_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  size_t left_;
  std::string refusal_;
};

// The intake with a calendar of its own.
class Intake {
 public:
  static Result<std::unique_ptr<Intake>> open(const std::filesystem::path& folder) {
    auto out = std::unique_ptr<Intake>(new Intake);
    Intake& intake = *out;
    NOTP_ASSIGN(intake.store_,
                audit::DayFiles::open(folder, {.wall_ms = [&intake] { return intake.wall_ms(); }}));
    audit::LogWriterOptions options;
    options.clock = [&intake] { return Now{intake.wall_ms(), read_clock().boot_ms}; };
    intake.writer_ = std::make_unique<audit::LogWriter>(*intake.store_, std::move(options));
    NOTP_TRY(intake.writer_->start());
    return out;
  }

  void set_day(uint64_t day) { wall_ms_ = kFirstDayMs + static_cast<TimeMs>(day) * kDayMs; }

  Result<void> announce(const RecordedFleet& fleet) {
    Answers answers(fleet.nodes().size());
    std::vector<Bytes> announcements;
    for (const RecordedFleet::Node& node : fleet.nodes()) {
      NOTP_ASSIGN(announcements.emplace_back(), RecordedFleet::announcement_of(node));
    }
    for (size_t i = 0; i < announcements.size(); ++i)
      writer_->announced(fleet.nodes()[i].name, fleet.nodes()[i].log, announcements[i],
                         answers.callback());
    return answers.wait();
  }
  Result<void> take(std::vector<RecordedFleet::NodeSegment> segments) {
    Answers answers(segments.size());
    for (RecordedFleet::NodeSegment& one : segments)
      writer_->arrived(std::move(one.node), std::move(one.segment), answers.callback());
    return answers.wait();
  }

 private:
  Intake() = default;
  TimeMs wall_ms() const { return wall_ms_; }

  std::atomic<TimeMs> wall_ms_ = kFirstDayMs;
  std::unique_ptr<audit::DayFiles> store_;
  std::unique_ptr<audit::LogWriter> writer_;
};

Result<std::vector<RecordedFleet::NodeSegment>> make_batch(RecordedFleet& fleet) {
  std::vector<RecordedFleet::NodeSegment> out;
  while (out.size() < kBatchSegments) {
    NOTP_ASSIGN(auto segment, fleet.next());
    if (!segment) break;
    out.push_back(*std::move(segment));
  }
  return out;
}

// What hashing alone takes: each record is copied and hashed.
Result<void> run_control(const std::vector<RecordedFleet::NodeSegment>& batch, IngestFigures& out) {
  Bytes copy;
  for (const RecordedFleet::NodeSegment& one : batch) {
    NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(one.segment.head, one.segment.body));
    const double before = thread_processor_s();
    for (const ByteView record : opened.records()) {
      copy.assign(record);
      NOTP_ASSERT(!sha256(copy).is_zero(), "a hash is not zero");
    }
    out.control_s += thread_processor_s() - before;
  }
  return {};
}

}  // namespace

Result<IngestFigures> measure_ingest(const std::filesystem::path& store, RecordedFleet& fleet,
                                     uint64_t records,
                                     const std::function<void(const std::string&)>& progress) {
  NOTP_ASSIGN(const auto intake, Intake::open(store));
  NOTP_TRY(intake->announce(fleet));
  IngestFigures out;
  for (uint64_t said = 0;;) {
    NOTP_ASSIGN(auto batch, make_batch(fleet));
    if (batch.empty()) break;
    NOTP_TRY(run_control(batch, out));
    for (const RecordedFleet::NodeSegment& one : batch) {
      out.records += one.segment.head.count;
      out.content_bytes += one.segment.head.content_bytes;
      out.body_bytes += one.segment.body.size();
    }
    out.segments += batch.size();
    intake->set_day(kDays * (out.records - 1) / records);
    const Stopwatch watch;
    NOTP_TRY(intake->take(std::move(batch)));
    out.seconds += watch.seconds();
    out.processor_s += watch.processor_s();
    if (out.records / kProgressRecords > said) {
      said = out.records / kProgressRecords;
      progress(fmt::format("taken in: {} records, {:.0f}/s", out.records, out.per_s()));
    }
  }
  return out;
}

}  // namespace notp::bench
