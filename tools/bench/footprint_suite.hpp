// The suite "footprint": an agent's memory and its wake-ups, with an external PDP and with the
// embedded one, compared with OPA.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/bench/probe_model.hpp"
#include "tools/bench/process_facts.hpp"
#include "tools/bench/report.hpp"

namespace notp::bench {

// Figures of one program; all run the same steps.
struct Footprint {
  std::string name;
  ProcessMemory empty;    // connected, without a model
  uint64_t waits = 0;     // in the window, without a model: wake-ups
  ProcessMemory loaded;   // with the first release
  ProcessMemory changed;  // after one record of its large document has changed
  uint64_t version = 0;   // active at the end; 0: unknown

  // The most that the change needed beyond the resident memory before it: `loaded` is read after
  // its peak was reset. Both count whole pages; with Pss, pages shared by processes would be
  // counted as the change's.
  uint64_t change_bytes() const {
    return changed.resident_peak_bytes -
           std::min(changed.resident_peak_bytes, loaded.resident_peak_bytes);
  }
  uint64_t peak_bytes() const { return loaded.resident_bytes + change_bytes(); }
};

struct FootprintOptions {
  std::filesystem::path programs, opa;
  ProbeModelOptions model;
  TimeMs window_ms = 0;
  std::function<void(const std::string&)> progress;
};
inline constexpr TimeMs kFootprintWindowMsMax = 600'000;

struct FootprintResult {
  uint64_t model_bytes = 0, model_files = 0, document_bytes = 0;
  uint64_t delta_bytes = 0;  // the artifact of the change
  TimeMs window_ms = 0;
  // The agent with a folder as its PDP; the agent with the embedded PDP; OPA.
  std::vector<Footprint> programs;
  std::string opa;
};

Result<FootprintResult> run_footprint(const FootprintOptions& options);
std::string footprint_table(const FootprintResult& result);
json::object footprint_json(const FootprintResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
