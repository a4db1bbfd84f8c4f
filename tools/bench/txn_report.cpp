// The figures of the suite "txn", for people and for programs.
#include <fmt/format.h>

#include "tools/bench/targets.hpp"
#include "tools/bench/txn_suite.hpp"

namespace notp::bench {
namespace {

constexpr double kPerCore = 3'000, kP99Ms = 10;
constexpr double kTargetSeconds = 3;

std::string rows_table(const char* head, const std::vector<TxnRow>& rows) {
  std::string out = fmt::format("\n{:<40}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}{:>8}{:>8}{:>10}\n",
                                head, "per s", "p50, ms", "p99, ms", "max, ms", "us each",
                                "per s, core", "gen", "reg", "verified");
  for (const TxnRow& row : rows)
    out += fmt::format(
        "{:<40}{:>10}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.0f}{:>12}{:>8.2f}{:>8.2f}{:>10}\n", row.name,
        grouped(static_cast<uint64_t>(row.rate())), row.load.latency.p50(), row.load.latency.p99(),
        row.load.latency.percentile(100), row.cpu_us_each(),
        grouped(static_cast<uint64_t>(row.per_core())),
        ratio(row.load.generator_cpu_s, row.load.seconds),
        ratio(row.registry_cpu_s, row.load.seconds), row.verified);
  return out;
}

// Of the rows without a pause, in which no subject token comes again: they come first, as do those
// of the control.
std::vector<Target> targets(const TxnResult& result) {
  std::vector<Target> out;
  if (result.seconds < kTargetSeconds) return out;
  for (size_t i = 0; i < result.connection_rows; ++i) {
    const TxnRow& row = result.issues[i];
    const TxnRow* control = i < result.controls.size() ? &result.controls[i] : nullptr;
    const std::string name = control ? "Keycloak" : "";
    out.push_back({.what = row.name + ": issues/s and core",
                   .figure = row.per_core(),
                   .bound = kPerCore,
                   .control_name = name,
                   .control = control ? control->per_core() : 0,
                   .at_least = true});
    out.push_back({.what = row.name + ": p99, ms",
                   .figure = row.load.latency.p99(),
                   .bound = kP99Ms,
                   .control_name = name,
                   .control = control ? control->load.latency.p99() : 0});
  }
  return out;
}

json::object row_json(const TxnRow& row) {
  json::object out = row.load.latency.to_json();
  out["name"] = row.name;
  out["connections"] = row.connections;
  out["per_s"] = row.rate();
  out["per_s_core"] = row.per_core();
  out["cpu_us_each"] = row.cpu_us_each();
  out["verified"] = row.verified;
  out["registry_share"] = ratio(row.registry_cpu_s, row.load.seconds);
  out["generator_share"] = ratio(row.load.generator_cpu_s, row.load.seconds);
  return out;
}

json::array rows_json(const std::vector<TxnRow>& rows) {
  json::array out;
  for (const TxnRow& row : rows) out.push_back(row_json(row));
  return out;
}

}  // namespace

std::string txn_table(const TxnResult& result) {
  std::string out = fmt::format(
      "A policy of {} rules; requests of {} bytes over mutual TLS; every decision is "
      "recorded\n",
      result.rules, grouped(result.request_bytes));
  out += rows_table("Txn-Token Service", result.issues);
  if (!result.controls.empty())
    out += rows_table((result.keycloak + ", token exchange").c_str(), result.controls);
  const double best = result.issues.front().per_core();
  out += fmt::format(
      "\nopenssl speed: {} signatures and {} verifications a second on a core; one of each is "
      "{:.1f} "
      "us: {:.1f} % of an issue\n",
      grouped(static_cast<uint64_t>(result.openssl.signs)),
      grouped(static_cast<uint64_t>(result.openssl.verifies)),
      1e6 / result.openssl.signs + 1e6 / result.openssl.verifies,
      100 * best * (1 / result.openssl.signs + 1 / result.openssl.verifies));
  return out + targets_table(targets(result), "they are for rows of 3 s and more");
}

json::object txn_json(const TxnResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "txn"}};
  add_circumstances(out, labels);
  out["rules"] = result.rules;
  out["request_bytes"] = result.request_bytes;
  out["issues"] = rows_json(result.issues);
  out["openssl"] = {{"signs_per_s", result.openssl.signs},
                    {"verifies_per_s", result.openssl.verifies}};
  if (!result.controls.empty())
    out["keycloak"] = {{"version", result.keycloak}, {"rows", rows_json(result.controls)}};
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
