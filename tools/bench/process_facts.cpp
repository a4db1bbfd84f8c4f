#include "tools/bench/process_facts.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

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

// The process and all its descendants.
std::vector<pid_t> family_of(pid_t pid) {
  std::vector<pid_t> family{pid};
  for (size_t i = 0; i < family.size(); ++i) {
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator(folder_of(family[i]) / "task", gone)) {
      std::ifstream children(thread.path() / "children");
      for (pid_t child; children >> child;) family.push_back(child);
    }
  }
  return family;
}

Result<ProcessMemory> memory_of_one(pid_t pid) {
  const auto shares = folder_of(pid) / "smaps_rollup";
  NOTP_ASSIGN(const uint64_t resident_kib, fact_of(shares, "Pss"));
  NOTP_ASSIGN(const uint64_t anonymous_kib, fact_of(shares, "Pss_Anon"));
  NOTP_ASSIGN(const uint64_t shared_kib, fact_of(shares, "Pss_Shmem"));
  NOTP_ASSIGN(const uint64_t peak_kib, fact_of(folder_of(pid) / "status", "VmHWM"));
  return ProcessMemory{.resident_bytes = resident_kib << 10,
                       .anonymous_bytes = anonymous_kib << 10,
                       .resident_peak_bytes = peak_kib << 10,
                       .shared_bytes = shared_kib << 10};
}

// Adds the memory files that a process has open, by their inode: those mapped alone are open
// somewhere else, too.
void add_memory_files(pid_t pid, std::map<ino_t, uint64_t>& sizes) {
  constexpr uint64_t kBlockBytes = 512;  // of st_blocks
  std::error_code failed;
  for (const auto& open : std::filesystem::directory_iterator(folder_of(pid) / "fd", failed)) {
    const auto target = std::filesystem::read_symlink(open.path(), failed);
    struct stat facts{};
    if (failed || !target.string().starts_with("/memfd:") ||
        ::stat(open.path().c_str(), &facts) != 0)
      continue;
    sizes[facts.st_ino] = static_cast<uint64_t>(facts.st_blocks) * kBlockBytes;
  }
}

Result<uint64_t> waits_of_one(pid_t pid) {
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

// The process's own time from its clock, in nanoseconds; that of the children it has waited for
// from proc(5), in ticks.
Result<double> cpu_seconds_of_one(pid_t pid) {
  constexpr int kFieldsBefore = 13;  // fields from the state on, before cutime and cstime
  std::ifstream in(folder_of(pid) / "stat");
  std::string line, ignored;
  std::getline(in, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  for (int i = 0; i < kFieldsBefore; ++i) fields >> ignored;
  double user_ticks = 0, system_ticks = 0;
  NOTP_ASSIGN(const double own, own_cpu_seconds_of(pid));
  if (!(fields >> user_ticks >> system_ticks))
    return fail(ErrorCode::kIo, fmt::format("the times of process {} cannot be read", pid));
  return own + (user_ticks + system_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Result<ProcessMemory> own_memory_of(pid_t pid) { return memory_of_one(pid); }

Result<double> own_cpu_seconds_of(pid_t pid) {
  clockid_t clock{};
  timespec own{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &own) != 0)
    return fail(ErrorCode::kIo, fmt::format("the times of process {} cannot be read", pid));
  return static_cast<double>(own.tv_sec) + static_cast<double>(own.tv_nsec) / 1e9;
}

Result<double> idle_seconds() {
  std::ifstream in("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0;
  if (!(in >> name >> user >> nice >> system >> idle >> waiting) || name != "cpu")
    return fail(ErrorCode::kIo, "/proc/stat cannot be read");
  return (idle + waiting) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Result<ProcessMemory> memory_of(pid_t pid) {
  ProcessMemory sum;
  std::map<ino_t, uint64_t> files;
  for (const pid_t one : family_of(pid)) {
    NOTP_ASSIGN(const ProcessMemory memory, memory_of_one(one));
    add_memory_files(one, files);
    sum.shared_bytes += memory.shared_bytes;
    sum.resident_bytes += memory.resident_bytes;
    sum.anonymous_bytes += memory.anonymous_bytes;
    sum.resident_peak_bytes += memory.resident_peak_bytes;
  }
  for (const auto& [inode, bytes] : files) sum.memory_files_bytes += bytes;
  return sum;
}

Result<void> reset_peak(pid_t pid) {
  for (const pid_t one : family_of(pid)) {
    std::ofstream out(folder_of(one) / "clear_refs");
    out << "5";
    out.close();
    if (!out) return fail(ErrorCode::kIo, fmt::format("cannot reset the peak of process {}", one));
  }
  return {};
}

Result<uint64_t> waits_of(pid_t pid) {
  uint64_t waits = 0;
  for (const pid_t one : family_of(pid)) {
    NOTP_ASSIGN(const uint64_t of_one, waits_of_one(one));
    waits += of_one;
  }
  return waits;
}

Result<double> cpu_seconds_of(pid_t pid) {
  double sum = 0;
  for (const pid_t one : family_of(pid)) {
    // A process that ends meanwhile is counted by its parent.
    if (const auto seconds = cpu_seconds_of_one(one))
      sum += *seconds;
    else if (one == pid)
      return seconds;
  }
  return sum;
}

}  // namespace notp::bench
