// What disable_core_dumps() leaves, in a process of its own.
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/core_dumps.hpp"

namespace notp {
namespace {

// The exit status of a child that runs `check`.
template <typename Check>
int in_child(Check check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check());
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("no image of the memory is left, and no limit can be raised again") {
  CHECK(in_child([] {
          if (!disable_core_dumps()) return 1;
          rlimit core{1, 1};
          if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
            return 2;
          return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 3;
        }) == 0);
  // It may be called again.
  CHECK(in_child([] { return disable_core_dumps() && disable_core_dumps() ? 0 : 1; }) == 0);
}

}  // namespace
}  // namespace notp
