#include "notp-server/service/service_config.hpp"

#include <algorithm>
#include <thread>

namespace notp::service {
namespace {

// A thread serves some 10,000 sessions (README.md, capacity): more of them are for herds, and the
// processors are also for workers and validations.
constexpr unsigned kThreadsMax = 4;

size_t threads_for_processors() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax);
}

}  // namespace

ServiceOptions load_service(const config::Section& root) {
  ServiceOptions out{
      .serve = {.listen = root.text("listen"),
                .threads = root.has("threads") ? root.size("threads") : threads_for_processors(),
                .limits = {.sessions_max = root.size("limits.sessions"),
                           .sessions_per_identity_max = root.size("limits.sessions_per_identity")}},
      .workers = root.size("workers"),
      .validations_at_once = root.size("validation.at_once")};
  out.builtins = model::BuiltinGrants(root.elements("validation.allow"));
  return out;
}

}  // namespace notp::service
