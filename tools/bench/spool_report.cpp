#include <fmt/format.h>

#include "tools/bench/spool_suite.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kBatchedPerS = 50'000, kBatchedShare = 0.75, kProcessorUs = 5, kAnswerUs = 5,
                 kStrictShare = 0.9, kSharedSyncs = 10, kStrictPerS = 5'000, kFastSyncMs = 2.5,
                 kWireBytes = 175, kGzipShare = 0.8;
constexpr double kUsPerMs = 1e3;

double strict_of(const SpoolResult& result, size_t peps) {
  for (const StrictRow& row : result.strict)
    if (row.peps == peps) return row.records_per_s;
  return 0;
}

std::vector<Target> targets_of(const SpoolResult& r) {
  const SpoolControls& control = r.control;
  const double one = strict_of(r, 1), sixteen = strict_of(r, 16);
  const std::string batches = "write + fdatasync of batches of 1,024";
  std::vector<Target> out = {
      {"batched: records/s", r.batched_per_s, kBatchedPerS, batches, control.batches_per_s, true},
      {"batched: records/s, share of the control", r.batched_per_s,
       kBatchedShare * control.batches_per_s, batches, control.batches_per_s, true},
      {"us of processor a record, from answer to segment", r.processor_us, kProcessorUs,
       "memcpy + SHA-256", control.hash_us},
      {"us later is an answer, 1 KiB with masks, p50", r.answer_ms.p50() * kUsPerMs, kAnswerUs,
       "a write of one record", control.write_us},
      {"strict, 1 PEP: records/s", one, kStrictShare * control.syncs_per_s,
       "write + fdatasync, one by one", control.syncs_per_s, true},
      {"strict, 16 PEPs: records/s", sixteen, kSharedSyncs * one, "1 PEP", one, true},
      {"bytes a record on the wire", r.wire_bytes, kWireBytes, "OPA's events, gzip",
       control.gzip_bytes},
      {"bytes a record on the wire, share of OPA's", r.wire_bytes, kGzipShare * control.gzip_bytes,
       "OPA's events, gzip", control.gzip_bytes}};
  if (control.sync_ms <= kFastSyncMs)
    out.push_back({"strict, 16 PEPs: records/s on this disk", sixteen, kStrictPerS,
                   "write + fdatasync, one by one", control.syncs_per_s, true});
  return out;
}

uint64_t whole(double value) { return static_cast<uint64_t>(value); }

}  // namespace

std::string spool_table(const SpoolResult& r) {
  const SpoolControls& control = r.control;
  std::string out = fmt::format(
      "Records of decisions from the answer to the segment: {} records of {:.0f} bytes, which as "
      "OPA's events have {:.0f}.\n\n",
      grouped(r.records), r.record_bytes, r.event_bytes);
  out += fmt::format(
      "batched      {:>9} records/s, {:.2f} us of processor a record; append p50 {:.2f} us, p99 "
      "{:.2f} us\n"
      "  control    {:>9} records/s, write + fdatasync of batches of 1,024; memcpy + SHA-256 "
      "{:.2f} "
      "us a record\n"
      "answers      {:.2f} us later (p50), p99 {:.2f} us: 1 KiB, three pointers and a token's "
      "signature masked\n"
      "  control    {:.2f} us, one write of a record\n",
      grouped(whole(r.batched_per_s)), r.processor_us, r.append_ms.p50() * kUsPerMs,
      r.append_ms.p99() * kUsPerMs, grouped(whole(control.batches_per_s)), control.hash_us,
      r.answer_ms.p50() * kUsPerMs, r.answer_ms.p99() * kUsPerMs, control.write_us);
  for (const StrictRow& row : r.strict)
    out += fmt::format("strict, {:>2} PEP{} {:>8} records/s\n", row.peps, row.peps == 1 ? " " : "s",
                       grouped(whole(row.records_per_s)));
  out +=
      fmt::format("  control    {:>9} records/s, one fdatasync after the other, {:.2f} ms each\n",
                  grouped(whole(control.syncs_per_s)), control.sync_ms);
  out += fmt::format(
      "bytes        {:.1f} a record in segments, {:.1f} on the wire\n"
      "  control    {:.1f}, OPA's events in gzip chunks of 32 KiB, without HTTP and TLS\n",
      r.body_bytes, r.wire_bytes, control.gzip_bytes);
  return out + targets_table(targets_of(r), "");
}

json::object spool_json(const SpoolResult& r, const CorpusLabels& labels) {
  const SpoolControls& control = r.control;
  json::array strict;
  for (const StrictRow& row : r.strict)
    strict.push_back(json::object{{"peps", row.peps}, {"records_per_s", row.records_per_s}});
  json::object out{{"suite", "spool"},
                   {"records", r.records},
                   {"record_bytes", r.record_bytes},
                   {"event_bytes", r.event_bytes},
                   {"batched_per_s", r.batched_per_s},
                   {"processor_us", r.processor_us},
                   {"append", r.append_ms.to_json()},
                   {"answer", r.answer_ms.to_json()},
                   {"strict", std::move(strict)},
                   {"body_bytes", r.body_bytes},
                   {"wire_bytes", r.wire_bytes},
                   {"control",
                    {{"batches_per_s", control.batches_per_s},
                     {"sync_ms", control.sync_ms},
                     {"syncs_per_s", control.syncs_per_s},
                     {"write_us", control.write_us},
                     {"hash_us", control.hash_us},
                     {"gzip_bytes", control.gzip_bytes}}},
                   {"targets", targets_json(targets_of(r))}};
  add_circumstances(out, labels);
  return out;
}

}  // namespace notp::bench
