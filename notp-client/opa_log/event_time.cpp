#include "notp-client/opa_log/event_time.hpp"

#include <chrono>

namespace notp::opa_log {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<int> number(size_t digits) {
    if (text_.size() < digits) return std::nullopt;
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (text_[i] < '0' || text_[i] > '9') return std::nullopt;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }

  // The digits after the point, as nanoseconds.
  std::optional<int64_t> fraction() {
    int64_t value = 0;
    size_t digits = 0;
    for (; !text_.empty() && text_[0] >= '0' && text_[0] <= '9'; text_.remove_prefix(1), ++digits)
      value = value * 10 + (text_[0] - '0');
    if (digits == 0 || digits > 9) return std::nullopt;
    for (; digits < 9; ++digits) value *= 10;
    return value;
  }

  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

std::optional<int> offset_minutes(Reader& reader) {
  if (reader.take('Z')) return 0;
  const bool is_west = reader.take('-');
  if (!is_west && !reader.take('+')) return std::nullopt;
  const auto hours = reader.number(2);
  if (!hours || !reader.take(':')) return std::nullopt;
  const auto minutes = reader.number(2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (is_west ? -1 : 1) * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text) {
  Reader reader(text);
  const auto year = reader.number(4);
  if (!year || !reader.take('-')) return std::nullopt;
  const auto month = reader.number(2);
  if (!month || !reader.take('-')) return std::nullopt;
  const auto day = reader.number(2);
  if (!day || !reader.take('T')) return std::nullopt;
  const auto hour = reader.number(2);
  if (!hour || !reader.take(':')) return std::nullopt;
  const auto minute = reader.number(2);
  if (!minute || !reader.take(':')) return std::nullopt;
  const auto second = reader.number(2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::optional<int64_t> fraction = 0;
  if (reader.take('.')) fraction = reader.fraction();
  const auto offset = offset_minutes(reader);
  if (!fraction || !offset || !reader.at_end()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // Nanoseconds in 64 bits end in the year 2262, and those before 1970 are no times of decisions.
  if (!date.ok() || *year < 1970 || *year > 2261) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = ((days * 24 + *hour) * 60 + *minute - *offset) * 60 + *second;
  return seconds < 0 ? std::nullopt : std::optional(seconds * 1'000'000'000 + *fraction);
}

}  // namespace notp::opa_log
