// The suite "spool": records of decisions from the answer to the segment, in this process, beside
// the disk alone.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

// Some 200 GB of segments.
inline constexpr size_t kSpoolRecordsMax = 1'000'000'000;
inline constexpr double kSpoolSecondsMax = 3'600;
// Whose delay is measured: fewer than the ring holds, so that none waits for the sealer.
inline constexpr size_t kSpoolAnswers = 40'000;

struct SpoolSuiteOptions {
  uint64_t seed = 1;
  size_t records = 1'000'000;  // batched
  size_t answers = kSpoolAnswers;
  double strict_seconds = 3;     // for each number of PEPs, and for the loop of fdatasync
  std::filesystem::path parent;  // on the disk to be measured; empty: the temporary folder
  std::function<void(const std::string&)> progress;
};

struct StrictRow {
  size_t peps = 0;
  double records_per_s = 0;
};

// What the same bytes cost without a log.
struct SpoolControls {
  double batches_per_s = 0;  // records: write + fdatasync of batches of 1,024
  double sync_ms = 0;        // write + fdatasync of one record: median
  double syncs_per_s = 0;    // a loop of them
  double write_us = 0;       // a write of one record without a sync: median
  double hash_us = 0;        // memcpy + SHA-256 of one record: mean
  double gzip_bytes = 0;     // of OPA's event, in gzip chunks of 32 KiB
};

struct SpoolResult {
  size_t records = 0;
  double record_bytes = 0;  // mean, encoded
  double event_bytes = 0;   // mean, as OPA's event
  SpoolControls control;
  double batched_per_s = 0;  // from the first append until all are in segments
  double processor_us = 0;   // of all threads, a record
  Samples append_ms;         // of one in 64, while records come as fast as they are sealed
  Samples answer_ms;         // measure_answers()
  std::vector<StrictRow> strict;
  double body_bytes = 0;  // of segments, a record
  double wire_bytes = 0;  // with frames and TLS, a record
};

// kIo; kInternal: a record was lost.
Result<SpoolResult> run_spool(const SpoolSuiteOptions& options);
std::string spool_table(const SpoolResult& result);
json::object spool_json(const SpoolResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
