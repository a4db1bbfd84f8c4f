#include "common/telemetry/export_answer.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <charconv>

#include "common/telemetry/otlp_json.hpp"

namespace notp {
namespace {

// RFC 9110 §10.2.3: seconds, or a date. 0: neither.
TimeMs retry_after_ms(std::string_view text, TimeMs now_wall_ms) {
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size())
    return std::clamp<int64_t>(seconds, 0, kExportPauseMsMax / 1000) * 1000;
  if (error == std::errc::result_out_of_range && text.front() != '-') return kExportPauseMsMax;
  tm date{};
  const std::string copy(text);
  const char* const rest = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return 0;
  return std::clamp<TimeMs>(::timegm(&date) * 1000 - now_wall_ms, 0, kExportPauseMsMax);
}

bool is_worth_another(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
}

}  // namespace

ExportVerdict judge_export(const Result<http::Response>& answer, TimeMs now_wall_ms) {
  using Kind = ExportVerdict::Kind;
  if (!answer)
    return {.kind = is_worth_another(answer.error()) ? Kind::kRetry : Kind::kRefused,
            .why = answer.error().message};
  switch (answer->status) {
    case 200:
      return {.kind = Kind::kTaken, .rejected = otlp_rejected(answer->content()), .why = {}};
    case 429:
    case 502:
    case 503:
    case 504:
      return {.kind = Kind::kRetry,
              .pause_ms =
                  retry_after_ms(http::find_header(answer->headers, "Retry-After"), now_wall_ms),
              .why = fmt::format("the collector answers with status {}", answer->status)};
    default:
      return {.kind = Kind::kRefused,
              .why = fmt::format("the collector refuses them with status {}", answer->status)};
  }
}

}  // namespace notp
