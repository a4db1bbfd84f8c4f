#include "tools/notp/audit/times.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <optional>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "tools/notp/duration.hpp"

namespace notp::cli {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::string_view kHint =
    "a length of time before now, as in 7d or 90m, or a time, as in 2026-07-01T12:00:00Z";
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

// Takes exactly `digits` digits and then `separator`, if it is not 0, off the front.
std::optional<int> take_number(std::string_view& text, size_t digits, char separator) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  const char* end = text.data() + digits;
  const auto [last, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || last != end || text.front() == '-') return std::nullopt;
  text.remove_prefix(digits);
  if (separator == 0) return value;
  if (text.empty() || text.front() != separator) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

std::optional<TimeMs> take_day(std::string_view& text) {
  const auto year = take_number(text, 4, '-'), month = take_number(text, 2, '-'),
             day = take_number(text, 2, 0);
  if (!year || !month || !day) return std::nullopt;
  const year_month_day date{std::chrono::year(*year),
                            std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::milliseconds(sys_days(date).time_since_epoch()).count();
}

// ".5": any number of digits, of which three count.
std::optional<TimeMs> take_fraction(std::string_view& text) {
  if (text.empty() || text.front() != '.') return 0;
  text.remove_prefix(1);
  TimeMs value = 0, unit = 100;
  size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits, unit /= 10) {
    value += unit * (text.front() - '0');
    text.remove_prefix(1);
  }
  return digits == 0 ? std::nullopt : std::optional(value);
}

// "Z" or "+02:00", which must be the rest.
std::optional<TimeMs> take_offset(std::string_view& text) {
  if (text == "Z" || text == "z") return 0;
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const TimeMs sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2, ':'), minutes = take_number(text, 2, 0);
  if (!hours || !minutes || *hours > 23 || *minutes > 59 || !text.empty()) return std::nullopt;
  return sign * (*hours * 60 + *minutes) * 60'000LL;
}

std::optional<TimeMs> rfc3339(std::string_view text) {
  const auto day = take_day(text);
  if (!day || text.empty()) return day;
  if (text.front() != 'T' && text.front() != 't' && text.front() != ' ') return std::nullopt;
  text.remove_prefix(1);
  const auto hour = take_number(text, 2, ':'), minute = take_number(text, 2, ':'),
             second = take_number(text, 2, 0);
  const auto fraction = take_fraction(text);
  const auto offset = take_offset(text);
  // A leap second counts as the second after it.
  if (!hour || !minute || !second || !fraction || !offset || *hour > 23 || *minute > 59 ||
      *second > 60)
    return std::nullopt;
  return *day + ((*hour * 60 + *minute) * 60 + *second) * 1000LL + *fraction - *offset;
}

struct Split {
  year_month_day date;
  int64_t hour = 0, minute = 0, second = 0, nanosecond = 0;
};

Split split(int64_t time_ns) {
  int64_t seconds = time_ns / kNanosecondsPerSecond, rest = time_ns % kNanosecondsPerSecond;
  if (rest < 0) rest += kNanosecondsPerSecond, --seconds;
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds)};
  const sys_days day = std::chrono::floor<std::chrono::days>(at);
  const int64_t of_day = (at - day).count();
  return {year_month_day(day), of_day / 3600, of_day / 60 % 60, of_day % 60, rest};
}

std::string seconds_text(const Split& time, char separator) {
  return fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", static_cast<int>(time.date.year()),
                     static_cast<unsigned>(time.date.month()),
                     static_cast<unsigned>(time.date.day()), separator, time.hour, time.minute,
                     time.second);
}

}  // namespace

Result<TimeMs> parse_time(std::string_view text, TimeMs now_ms) {
  if (const auto time = rfc3339(text); time && *time <= limits::kTimestampMsMax) return *time;
  if (const auto length = parse_duration(text)) return now_ms - *length;
  return std::unexpected(Error{
      ErrorCode::kUsage,
      fmt::format("'{}' is neither a length of time nor a time", printable(text)),
      {}}.with("hint", std::string(kHint)));
}

std::string rfc3339_nanoseconds(int64_t time_ns) {
  const Split time = split(time_ns);
  std::string fraction;
  if (time.nanosecond != 0) {
    fraction = fmt::format(".{:09}", time.nanosecond);
    fraction.erase(fraction.find_last_not_of('0') + 1);
  }
  return seconds_text(time, 'T') + fraction + "Z";
}

std::string list_time(int64_t time_ns) {
  const Split time = split(time_ns);
  return fmt::format("{}.{:03}", seconds_text(time, ' '), time.nanosecond / kNanosecondsPerMs);
}

}  // namespace notp::cli
