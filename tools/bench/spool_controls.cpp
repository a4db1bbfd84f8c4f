#include "tools/bench/spool_controls.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/crypto/digest.hpp"
#include "common/descriptor.hpp"
#include "tools/bench/stopwatch.hpp"
#include "tools/notp/audit/event.hpp"

namespace notp::bench {
namespace {

constexpr size_t kBatchRecords = 1'024;
constexpr size_t kWrites = 20'000;
constexpr size_t kFilledBytes = 16 << 20;
// As the ring: small writes to a piece of the page cache that one large write made are slower.
constexpr size_t kZeroStepBytes = 64 << 10;
constexpr const char* kInstance = "c5bdbf9f-23e8-42d8-ab52-69513c47b18c";
constexpr const char* kRevision =
    "100000000001/gateway@41,100000000002/payments@7,100000000003/documents@3";
constexpr size_t kGzipChunkBytes = 32 << 10;  // OPA's default upload_size_limit_bytes

// Written from its beginning to its end; one that is filled before, like a ring, over and over.
class ControlFile {
 public:
  static Result<ControlFile> make(const std::filesystem::path& path, size_t filled_bytes = 0) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.is_open()) return fail(ErrorCode::kIo, "cannot create " + path.string());
    ControlFile out(std::move(file));
    const Bytes zeros(kZeroStepBytes, '\0');
    while (out.at_ < static_cast<off_t>(filled_bytes)) NOTP_TRY(out.write(zeros));
    NOTP_TRY(out.write_through(ByteView()));
    out.at_ = 0;
    out.filled_bytes_ = static_cast<off_t>(filled_bytes);
    return out;
  }
  Result<void> write(ByteView bytes) {
    if (filled_bytes_ != 0 && at_ + static_cast<off_t>(bytes.size()) > filled_bytes_) at_ = 0;
    if (::pwrite(file_.get(), bytes.data(), bytes.size(), at_) !=
        static_cast<ssize_t>(bytes.size()))
      return fail(ErrorCode::kIo, "cannot write the control's file");
    at_ += static_cast<off_t>(bytes.size());
    return {};
  }
  // Waits for the disk.
  Result<void> write_through(ByteView bytes) {
    NOTP_TRY(write(bytes));
    if (::fdatasync(file_.get()) != 0)
      return fail(ErrorCode::kIo, "cannot flush the control's file");
    return {};
  }

 private:
  explicit ControlFile(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
  off_t at_ = 0, filled_bytes_ = 0;
};

Result<void> measure_disk(const std::filesystem::path& folder, size_t record_bytes, double seconds,
                          size_t batches, SpoolControls& out) {
  NOTP_ASSIGN(ControlFile file, ControlFile::make(folder / "control-batches"));
  const Bytes batch(record_bytes * kBatchRecords, 'x');
  const Stopwatch all;
  for (size_t i = 0; i < batches; ++i) NOTP_TRY(file.write_through(batch));
  out.batches_per_s = static_cast<double>(kBatchRecords * batches) / all.seconds();

  NOTP_ASSIGN(ControlFile singles, ControlFile::make(folder / "control-singles", kFilledBytes));
  const Bytes one(record_bytes, 'x');
  Samples syncs, writes;
  const Stopwatch loop;
  while (loop.seconds() < seconds) {
    const Stopwatch watch;
    NOTP_TRY(singles.write_through(one));
    syncs.add(watch.ms());
  }
  out.syncs_per_s = static_cast<double>(syncs.count()) / loop.seconds();
  out.sync_ms = syncs.p50();
  for (size_t i = 0; i < kWrites; ++i) {
    const Stopwatch watch;
    NOTP_TRY(singles.write(one));
    writes.add(watch.us());
  }
  out.write_us = writes.p50();
  return {};
}

double measure_hash(const DecisionWorkload& work) {
  std::vector<Bytes> records;
  for (uint64_t i = 0; i < work.contents().size(); ++i)
    records.push_back(record::encode(work.record(i)));
  constexpr size_t kRounds = 8;
  Bytes copy;
  const double before = thread_processor_s();
  for (size_t round = 0; round < kRounds; ++round)
    for (const Bytes& record : records) {
      copy.assign(record);
      NOTP_ASSERT(!sha256(copy).is_zero(), "a hash is not zero");
    }
  return (thread_processor_s() - before) * 1e6 / static_cast<double>(kRounds * records.size());
}

// With the default level of Go and zlib.
size_t gzip_bytes_of(ByteView text) {
  constexpr int kGzipFormat = 15 + 16, kMemoryLevel = 8;
  z_stream stream{};
  NOTP_ASSERT(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipFormat, kMemoryLevel,
                           Z_DEFAULT_STRATEGY) == Z_OK,
              "zlib does not start");
  Bytes out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  NOTP_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib does not compress");
  const size_t bytes = stream.total_out;
  deflateEnd(&stream);
  return bytes;
}

// As OPA's plugin does by default: arrays of events, each array as many as fit its limit.
double measure_gzip(const std::vector<Bytes>& events) {
  constexpr size_t kRatio = 6;  // a chunk that turns out smaller than the limit helps OPA only
  size_t bytes = 0;
  Bytes chunk;
  const auto flush = [&] {
    if (!chunk.empty()) bytes += gzip_bytes_of(chunk + "]");
    chunk.clear();
  };
  for (const Bytes& event : events) {
    chunk += (chunk.empty() ? "[" : ",") + event;
    if (chunk.size() >= kGzipChunkBytes * kRatio) flush();
  }
  flush();
  return static_cast<double>(bytes) / static_cast<double>(events.size());
}

// What OPA 1.22.2 writes where our record has something shorter, or nothing.
record::Record opa_record(record::Record record, SeededRandom& random) {
  auto& content = std::get<record::DecisionContent>(record.content);
  content.decision_id = samples::decision_parts::uuid(random);
  content.requested_by = fmt::format("127.0.0.1:{}", 32'768 + random.below(28'000));
  content.req_id = record.place.position + 1;
  content.times.all = fmt::format(
      R"({{"counter_server_query_cache_hit":1,"timer_rego_input_parse_ns":{},)"
      R"("timer_rego_query_eval_ns":{},"timer_server_handler_ns":{}}})",
      20'000 + random.below(40'000), content.times.evaluation_us * 1'000 + random.below(1'000),
      content.times.handler_us * 1'000 + random.below(1'000));
  return record;
}

// Without the object "notp", which is ours.
Bytes opa_event(record::Record record, const spool::ActiveSetPtr& active) {
  const cli::AuditRecord audit{.node = kInstance,
                               .log = {},
                               .record = std::move(record),
                               .unreadable = {},
                               .active = active};
  Bytes event = cli::event_json(audit);
  const Bytes ours = ",\"notp\":" + cli::notp_json(audit);
  event.erase(event.rfind(ours), ours.size());
  return event;
}

}  // namespace

std::vector<Bytes> opa_events(const DecisionWorkload& work) {
  std::vector<Bytes> out;
  SeededRandom random(work.contents().size());
  auto active = std::make_shared<record::ActiveSet>(*work.active());
  active->revision = kRevision;
  for (uint64_t i = 0; i < work.contents().size(); ++i)
    out.push_back(opa_event(opa_record(work.record(i), random), active));
  return out;
}

Result<SpoolControls> measure_spool_controls(const std::filesystem::path& folder,
                                             const DecisionWorkload& work, double seconds,
                                             size_t batches) {
  SpoolControls out;
  NOTP_TRY(measure_disk(folder, static_cast<size_t>(work.record_bytes()), seconds, batches, out));
  out.hash_us = measure_hash(work);
  out.gzip_bytes = measure_gzip(opa_events(work));
  return out;
}

}  // namespace notp::bench
