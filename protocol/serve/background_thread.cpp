#include "protocol/serve/background_thread.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace notp::serve {
namespace {

constexpr int kNicest = 19;

// Lowers the priority of the calling thread. An unprivileged thread cannot raise its priority
// again, so each job gets its own thread.
void take_lowest_priority() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::setpriority(PRIO_PROCESS, 0, kNicest);
}

}  // namespace

Result<void> start_background(std::function<void()> work) {
  try {
    std::thread([work = std::move(work)] {
      take_lowest_priority();
      work();
    }).detach();
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kInternal, std::string("no thread: ") + error.what());
  }
  return {};
}

}  // namespace notp::serve
