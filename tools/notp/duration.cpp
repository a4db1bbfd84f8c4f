#include "tools/notp/duration.hpp"

#include <fmt/format.h>

#include <charconv>

#include "common/bytes.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kHint = "a number and s, m, h or d, as in 90m";

}  // namespace

Result<TimeMs> parse_duration(std::string_view text) {
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, count);
  TimeMs unit_ms = 0;
  if (last + 1 == end)
    unit_ms = *last == 's'   ? 1000
              : *last == 'm' ? 60'000
              : *last == 'h' ? 3'600'000
              : *last == 'd' ? 86'400'000
                             : 0;
  if (error != std::errc() || count == 0 || count > 1'000'000 || unit_ms == 0)
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("'{}' is not a length of time", printable(text)),
        {}}.with("hint", std::string(kHint)));
  return static_cast<TimeMs>(count) * unit_ms;
}

CLI::Validator duration_in_seconds() {
  return {[](std::string& text) -> std::string {
            // The option's own type bounds a plain number of seconds.
            if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos)
              return {};
            const auto time = parse_duration(text);
            if (!time) return fmt::format("{}: {}", time.error().message, kHint);
            text = std::to_string(*time / 1000);
            return {};
          },
          "TIME"};
}

}  // namespace notp::cli
