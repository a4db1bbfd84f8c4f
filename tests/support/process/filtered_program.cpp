// Runs a program under an allow list of system calls, as systemd's SystemCallFilter= with
// SystemCallErrorNumber=EPERM:
//
//   filtered_program FILE PROGRAM [ARGUMENT…]
//
// FILE has the numbers of the allowed calls, separated by blanks.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <vector>

int main(int argc, char** argv) {
  constexpr int kFailed = 126;
  if (argc < 3) return kFailed;
  std::vector<sock_filter> filter{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offsetof(seccomp_data, nr))}};
  std::ifstream numbers(argv[1]);
  for (uint32_t number = 0; numbers >> number;) {
    filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number});
    filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  }
  filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    return kFailed;
  }
  ::execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return kFailed;
}
