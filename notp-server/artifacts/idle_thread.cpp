#include "notp-server/artifacts/idle_thread.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace notp {
namespace {

constexpr int kNicest = 19;

// Of the calling thread. There is no way back for who has no privileges, hence a thread for each
// work.
void take_lowest_priority() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::setpriority(PRIO_PROCESS, 0, kNicest);
}

}  // namespace

Result<void> start_when_idle(std::function<void()> work) {
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

}  // namespace notp
