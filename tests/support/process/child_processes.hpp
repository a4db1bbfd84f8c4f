// Child processes of this program, for tests that kill or inspect them.
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace notp {

// The running children by process id, oldest first. `parent` is a name below /proc.
inline std::vector<pid_t> child_processes(const std::string& parent = "self") {
  std::vector<pid_t> children;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/" + parent + "/task", error), end;
       !error && at != end; at.increment(error)) {
    std::ifstream list(at->path() / "children");
    for (pid_t child; list >> child;) children.push_back(child);
  }
  std::ranges::sort(children);
  return children;
}

// The program as it was named when it was started; empty when it has ended. Unlike the link to the
// program, it can also be read of a process that cannot be dumped.
inline std::string program_of(pid_t process) {
  std::ifstream words("/proc/" + std::to_string(process) + "/cmdline");
  std::string program;
  std::getline(words, program, '\0');
  return program;
}

// Sends SIGSTOP and waits until the kernel reports the stop, which it does when the last thread has
// stopped: on a busy machine the others keep running until one of them has handled the signal.
// False when the process has ended. Leaves its exit status to the one who started it.
inline bool stop_process(pid_t process) {
  ::kill(process, SIGSTOP);
  siginfo_t found{};
  return ::waitid(P_PID, static_cast<id_t>(process), &found, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
         found.si_code == CLD_STOPPED;
}

// Processor time used so far, in milliseconds; 0 when it has ended.
inline int64_t cpu_ms_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text, '\0');  // empty when the process ends while it is read
  // The name before the last ')' may contain anything; user and system time are fields 12 and 13
  // after it (proc(5)).
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  int64_t user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1'000 / ::sysconf(_SC_CLK_TCK);
}

}  // namespace notp
