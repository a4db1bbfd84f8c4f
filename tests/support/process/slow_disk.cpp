// Preloaded into an agent by SlowDisk (slow_disk.hpp): a sync of the ring of decisions takes as
// long as the file SLOW_DISK_FILE says, in milliseconds, or until it no longer says "hold".
#include <dlfcn.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kRing = "/decisions.ring";
constexpr milliseconds kHoldPoll{2};

bool is_ring(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char name[512] = {};
  const ssize_t size = ::readlink(link.c_str(), name, sizeof name - 1);
  return size > 0 && std::string_view(name, static_cast<size_t>(size)).ends_with(kRing);
}

std::string said() {
  const char* file = std::getenv("SLOW_DISK_FILE");
  std::string text;
  if (file != nullptr) std::getline(std::ifstream(file), text);
  return text;
}

void be_slow() {
  std::string text = said();
  while (text == "hold") {
    std::this_thread::sleep_for(kHoldPoll);
    text = said();
  }
  int time_ms = 0;
  std::from_chars(text.data(), text.data() + text.size(), time_ms);
  std::this_thread::sleep_for(milliseconds(time_ms));
}

}  // namespace

extern "C" int fdatasync(int fd) {
  static auto* const real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  if (is_ring(fd)) be_slow();
  return real(fd);
}
