#include "tools/bench/process_facts.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace notp::bench {
namespace {

// The number in the line "<name>:  123 kB".
Result<uint64_t> fact_of(const std::filesystem::path& status, std::string_view name) {
  std::ifstream in(status);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
      return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
  return fail(ErrorCode::kIo, fmt::format("{} does not say {}", status.string(), name));
}

std::filesystem::path folder_of(pid_t pid) { return fmt::format("/proc/{}", pid); }

}  // namespace

Result<ProcessMemory> memory_of(pid_t pid) {
  const auto status = folder_of(pid) / "status";
  NOTP_ASSIGN(const uint64_t resident_kib, fact_of(status, "VmRSS"));
  NOTP_ASSIGN(const uint64_t anonymous_kib, fact_of(status, "RssAnon"));
  NOTP_ASSIGN(const uint64_t peak_kib, fact_of(status, "VmHWM"));
  return ProcessMemory{resident_kib << 10, anonymous_kib << 10, peak_kib << 10};
}

Result<void> reset_peak(pid_t pid) {
  std::ofstream out(folder_of(pid) / "clear_refs");
  out << "5";
  out.close();
  if (!out) return fail(ErrorCode::kIo, fmt::format("cannot reset the peak of process {}", pid));
  return {};
}

Result<uint64_t> waits_of(pid_t pid) {
  uint64_t waits = 0;
  std::error_code failed;
  for (const auto& thread : std::filesystem::directory_iterator(folder_of(pid) / "task", failed)) {
    NOTP_ASSIGN(const uint64_t of_thread,
                fact_of(thread.path() / "status", "voluntary_ctxt_switches"));
    waits += of_thread;
  }
  if (failed || waits == 0)
    return fail(ErrorCode::kIo, fmt::format("the threads of process {} cannot be read", pid));
  return waits;
}

}  // namespace notp::bench
