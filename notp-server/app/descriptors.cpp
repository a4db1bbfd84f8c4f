#include "notp-server/app/descriptors.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp::server {
namespace {

// For uses other than connections: repositories, databases, workers, the listeners.
constexpr size_t kDescriptorsKept = 128;

}  // namespace

Result<size_t> raise_descriptor_limit() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return fail(ErrorCode::kInternal,
                fmt::format("the limit of descriptors cannot be read: {}", std::strerror(errno)));
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  if (limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<size_t>::max();
  return static_cast<size_t>(limit.rlim_cur);
}

serve::AdmissionLimits fit_descriptors(serve::AdmissionLimits wanted, size_t descriptors) {
  const size_t usable = descriptors > kDescriptorsKept ? descriptors - kDescriptorsKept : 1;
  wanted.handshakes_max = std::clamp<size_t>(usable / 4, 1, wanted.handshakes_max);
  const size_t rest = usable > wanted.handshakes_max ? usable - wanted.handshakes_max : 1;
  wanted.sessions_max = std::min(wanted.sessions_max, rest);
  return wanted;
}

Result<serve::AdmissionLimits> within_descriptors(const serve::AdmissionLimits& wanted,
                                                  size_t descriptors) {
  const serve::AdmissionLimits fit = fit_descriptors(wanted, descriptors);
  if (fit.sessions_max >= wanted.sessions_max) return fit;
  if (wanted.sessions_max != limits::kSessionsMax)
    return fail(
        ErrorCode::kConfig,
        fmt::format("limits.sessions: {} sessions need {} open files, and this process may "
                    "open {}: raise the hard limit (ulimit -Hn, or LimitNOFILE of the "
                    "unit), or set limits.sessions to {} or less",
                    wanted.sessions_max, descriptors_for(wanted), descriptors, fit.sessions_max));
  log::warn(
      "few_descriptors",
      {{"descriptors", descriptors},
       {"sessions", fit.sessions_max},
       {"configured", wanted.sessions_max},
       {"message",
        "the system's limit of open files is below what limits.sessions needs: raise the hard "
        "limit (ulimit -Hn, or LimitNOFILE of the unit)"}});
  return fit;
}

size_t descriptors_for(const serve::AdmissionLimits& wanted) {
  const size_t usable =
      std::max(wanted.handshakes_max * 4, wanted.handshakes_max + wanted.sessions_max);
  return usable + kDescriptorsKept;
}

}  // namespace notp::server
