#include "common/systemd/variable.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace notp::systemd {

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

bool is_for_this_process(const std::string& pid) {
  return pid.empty() || number_of(pid) == static_cast<uint64_t>(::getpid());
}

std::optional<uint64_t> number_of(const std::string& text) {
  uint64_t value = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || bad != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace notp::systemd
