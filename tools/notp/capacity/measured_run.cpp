#include "tools/notp/capacity/measured_run.hpp"

#include <fmt/format.h>

#include <cmath>

namespace notp::cli {
namespace {

// The row of "fanout" whose sessions answer as agents do.
constexpr std::string_view kAnsweredRow = "with Commits";
constexpr double kUs = 1e6;
constexpr int kDigits = 3;  // no run says more

class Run {
 public:
  explicit Run(const json::value& document) : document_(document) {}

  Result<double> number(const std::string& pointer) const {
    const json::value* value = find(pointer);
    boost::system::error_code error;
    const double number = value == nullptr ? 0 : value->to_number<double>(error);
    if (error || !(number > 0))
      return fail(ErrorCode::kConfig, fmt::format("the run has no figure {} above 0", pointer));
    return number;
  }
  Result<std::string> text(const std::string& pointer) const {
    const json::value* value = find(pointer);
    if (value == nullptr || !value->is_string())
      return fail(ErrorCode::kConfig, fmt::format("the run has no text {}", pointer));
    return std::string(value->get_string());
  }
  // Of the row with this name.
  Result<std::string> row(std::string_view what) const {
    for (size_t i = 0;; ++i) {
      const std::string pointer = fmt::format("/rows/{}", i);
      const auto name = text(pointer + "/what");
      if (!name) return fail(ErrorCode::kConfig, fmt::format("the run has no row '{}'", what));
      if (*name == what) return pointer;
    }
  }
  // "notp-bench idle --sessions 9500: bytes_each; 2026-12-01, 2 cores of …"
  Result<std::string> provenance(const std::string& options, const std::string& figure) const {
    NOTP_ASSIGN(const std::string suite, text("/suite"));
    NOTP_ASSIGN(const std::string day, text("/date"));
    NOTP_ASSIGN(const std::string build, text("/versions/build"));
    NOTP_ASSIGN(const std::string processor, text("/machine/processor"));
    NOTP_ASSIGN(const double cores, number("/machine/cores"));
    return fmt::format("notp-bench {} {}: {}; {}, build {}, {:.0f} cores of {}", suite, options,
                       figure, day, build, cores, processor);
  }

 private:
  const json::value* find(const std::string& pointer) const {
    boost::system::error_code error;
    return document_.find_pointer(pointer, error);
  }
  const json::value& document_;
};

double rounded(double value) {
  const double step = std::pow(10.0, std::floor(std::log10(value)) + 1 - kDigits);
  // Divided by a whole number, where the step is below 1: 36.1 and not 36.100000000000001.
  return step >= 1 ? std::round(value / step) * step
                   : std::round(value / step) / std::round(1 / step);
}

Result<void> take_fanout(Coefficients& costs, const Run& run) {
  NOTP_ASSIGN(const double sessions, run.number("/sessions"));
  NOTP_ASSIGN(const double publishes, run.number("/publishes"));
  NOTP_ASSIGN(const std::string row, run.row(kAnsweredRow));
  NOTP_ASSIGN(const double each_us, run.number(row + "/registry_us_each"));
  NOTP_ASSIGN(const double bytes, run.number(row + "/artifact_bytes"));
  NOTP_ASSIGN(
      const std::string measured,
      run.provenance(fmt::format("--sessions {:.0f} --publishes {:.0f}", sessions, publishes),
                     fmt::format("registry_us_each of the row '{}', deltas of {:.0f} bytes",
                                 kAnsweredRow, bytes)));
  costs.set("push_us", rounded(each_us), measured);
  return {};
}

Result<void> take_idle(Coefficients& costs, const Run& run) {
  NOTP_ASSIGN(const double sessions, run.number("/sessions"));
  NOTP_ASSIGN(const double interval_s, run.number("/freshness_s"));
  const std::string options =
      fmt::format("--sessions {:.0f} --freshness-s {:.0f}", sessions, interval_s);
  for (const auto& [name, pointer] : {std::pair("renew_us", "/renewal_us"),
                                      {"session_bytes", "/bytes_each"},
                                      {"registry_bytes", "/resident_bytes_before"}}) {
    NOTP_ASSIGN(const double figure, run.number(pointer));
    NOTP_ASSIGN(const std::string measured, run.provenance(options, pointer + 1));
    costs.set(name, rounded(figure), measured);
  }
  return {};
}

Result<void> take_reconnect(Coefficients& costs, const Run& run) {
  NOTP_ASSIGN(const double sessions, run.number("/sessions"));
  NOTP_ASSIGN(const double registry_s, run.number("/herd_usage/registry_s"));
  NOTP_ASSIGN(const std::string measured,
              run.provenance(fmt::format("--sessions {:.0f}", sessions),
                             "herd_usage.registry_s divided by sessions"));
  costs.set("connect_us", rounded(registry_s * kUs / sessions), measured);
  return {};
}

}  // namespace

Result<void> take_run(Coefficients& costs, const json::value& document) {
  const Run run(document);
  const auto suite = run.text("/suite");
  if (suite && *suite == "fanout") return take_fanout(costs, run);
  if (suite && *suite == "idle") return take_idle(costs, run);
  if (suite && *suite == "reconnect") return take_reconnect(costs, run);
  return fail(ErrorCode::kConfig,
              "this is no JSON of notp-bench fanout, idle or reconnect (option --json)");
}

}  // namespace notp::cli
