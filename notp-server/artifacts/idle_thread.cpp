#include "notp-server/artifacts/idle_thread.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <string>
#include <system_error>
#include <thread>

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

Result<void> run_when_idle(const std::function<void()>& work) {
  try {
    std::thread([&] {
      take_lowest_priority();
      work();
    }).join();
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kInternal, std::string("no thread: ") + error.what());
  }
  return {};
}

}  // namespace notp
