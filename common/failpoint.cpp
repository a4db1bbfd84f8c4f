#include "common/failpoint.hpp"

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

namespace notp {
namespace {

struct Armed {
  std::string name;
  int pass = 1;
};

const Armed& armed() {
  static const Armed value = [] {
    const char* text = std::getenv("NOTP_FAILPOINT");
    Armed parsed{text == nullptr ? "" : text, 1};
    if (const size_t colon = parsed.name.find(':'); colon != std::string::npos) {
      const char* digits = parsed.name.data() + colon + 1;
      std::from_chars(digits, parsed.name.data() + parsed.name.size(), parsed.pass);
      parsed.name.resize(colon);
    }
    return parsed;
  }();
  return value;
}

}  // namespace

void failpoint(const char* name) noexcept {
  static const bool any = !armed().name.empty();
  if (!any || armed().name != name) return;
  static std::atomic<int> passes{0};
  if (++passes == armed().pass) ::_exit(137);
}

}  // namespace notp
