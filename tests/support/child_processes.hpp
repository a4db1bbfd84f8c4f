// The processes that this one has started: for tests that kill them from outside.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace notp {

// The programs that run now, by their process ids, the oldest first.
inline std::vector<pid_t> child_processes() {
  std::vector<pid_t> children;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/task", error), end; !error && at != end;
       at.increment(error)) {
    std::ifstream list(at->path() / "children");
    for (pid_t child; list >> child;) children.push_back(child);
  }
  std::ranges::sort(children);
  return children;
}

// Empty when it has ended.
inline std::string program_of(pid_t process) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/exe", error).string();
}

// Whatever it has read so far, its socket included.
inline uint64_t bytes_read_by(pid_t process) {
  std::ifstream counts("/proc/" + std::to_string(process) + "/io");
  std::string name;
  uint64_t bytes = 0;
  counts >> name >> bytes;
  return bytes;
}

}  // namespace notp
