// The figures of the suite "fanout", for people and for programs.
#include <fmt/format.h>

#include "tools/bench/fanout_suite.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kDeliveriesPerCore = 80'000, kActiveMs = 400, kDisturbedRatio = 2;
constexpr size_t kTargetSessions = 10'000;

double per_core(const FanoutRow& row) {
  return row.registry_us_each() > 0 ? 1e6 / row.registry_us_each() : 0;
}

std::vector<Target> targets(const FanoutResult& result) {
  if (result.sessions < kTargetSessions) return {};
  return {{.what = "deliveries alone, per second and core of the registry",
           .figure = per_core(result.alone),
           .bound = kDeliveriesPerCore,
           .control_name = "SSL_write alone",
           .control = 1e6 / std::max(result.raw.write_us, 1e-9),
           .at_least = true},
          {.what = "publish to ACTIVE of all agents: p99, ms",
           .figure = result.answered.active.p99(),
           .bound = kActiveMs,
           .control_name = "SSL_write alone, until the last has its bytes",
           .control = result.raw.all.p99()},
          {.what = "the same beside mute and slow readers, to that",
           .figure = ratio(result.disturbed.active.p99(), result.answered.active.p99()),
           .bound = kDisturbedRatio}};
}
constexpr const char* kNoTargets = "they are for 10,000 sessions";

std::string times(const Samples& samples) {
  if (samples.count() == 0) return "-";
  return fmt::format("{:.0f} / {:.0f} / {:.0f}", samples.p50(), samples.p99(),
                     samples.percentile(100));
}

std::string row_text(const FanoutRow& row) {
  return fmt::format("{:<20}{:>8}{:>7}{:>10.1f}{:>10}{:>9.1f}{:>10.0f}{:>18}{:>18}{:>8.0f}{:>8}\n",
                     row.what, row.deliveries(), row.artifact_bytes, row.registry_us_each(),
                     grouped(static_cast<uint64_t>(per_core(row))), row.swarm_us_each(),
                     row.spread.p50(), times(row.delivered), times(row.active),
                     row.all_active.p50(), row.counts.ended[SwarmRole::kSlow]);
}

json::object row_json(const FanoutRow& row) {
  return {{"what", row.what},
          {"connected_s", row.connected_s},
          {"artifact_bytes", row.artifact_bytes},
          {"delivered", row.delivered.to_json()},
          {"active", row.active.to_json()},
          {"first_to_last", row.spread.to_json()},
          {"published", row.published.to_json()},
          {"all_active", row.all_active.to_json()},
          {"registry_us_each", row.registry_us_each()},
          {"deliveries_per_core", per_core(row)},
          {"swarm_us_each", row.swarm_us_each()},
          {"usage", usage_json(row.usage)},
          {"swarm", swarm_json(row.counts)}};
}

}  // namespace

std::string fanout_table(const FanoutResult& result) {
  std::string out = fmt::format(
      "{} sessions, {} releases; a release that goes to nobody costs the registry {:.1f} ms\n"
      "{:<20}{:>8}{:>7}{:>10}{:>10}{:>9}{:>10}{:>18}{:>18}{:>8}{:>8}\n",
      grouped(result.sessions), result.publishes, result.publish_ms, "p50 / p99 / max, ms", "times",
      "bytes", "us each", "s, core", "swarm us", "spread", "delivered", "ACTIVE", "all", "cut");
  for (const FanoutRow* row : {&result.alone, &result.answered, &result.disturbed})
    out += row_text(*row);
  out += fmt::format("controls\n  {}  {}", tls_fan_text(result.raw), git_fan_text(result.git));
  if (result.opal) out += fmt::format("  {}", opal_text(*result.opal));
  return out + targets_table(targets(result), kNoTargets);
}

json::object fanout_json(const FanoutResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "fanout"}};
  add_circumstances(out, labels);
  out["sessions"] = result.sessions;
  out["publishes"] = result.publishes;
  out["publish_ms"] = result.publish_ms;
  json::array rows;
  for (const FanoutRow* row : {&result.alone, &result.answered, &result.disturbed})
    rows.push_back(row_json(*row));
  out["rows"] = std::move(rows);
  out["raw"] = tls_fan_json(result.raw);
  out["git"] = git_fan_json(result.git);
  if (result.opal) out["opal"] = opal_json(*result.opal);
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
