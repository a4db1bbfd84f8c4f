#include "common/core_dumps.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace notp {
namespace {

std::unexpected<Error> refused(const char* what, int number) {
  return fail(ErrorCode::kIo,
              std::string("cannot disable core dumps: ") + what + ": " + std::strerror(number));
}

}  // namespace

Result<void> disable_core_dumps() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return refused("RLIMIT_CORE", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return refused("PR_SET_DUMPABLE", errno);
  return {};
}

}  // namespace notp
