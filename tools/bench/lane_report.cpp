// The figures of the suite "lane", for people and for programs.
#include <fmt/format.h>

#include "tools/bench/lane_suite.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kAloneMs = 100, kBusyMs = 250;
constexpr size_t kTargetSessions = 2'000, kTargetTokens = 1'000'000;
constexpr double kSnapshotMb = 60, kSnapshotS = 10, kNodeMb = 160, kBusyRatio = 1.2;
constexpr double kBusyRate = 500;

double mb(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }
double grown_mb(const HeldTokens& held) {
  const uint64_t with = held.with.total_bytes(), plain = held.plain.total_bytes();
  return mb(with - std::min(with, plain));
}

std::vector<Target> targets(const LaneResult& result) {
  std::vector<Target> out;
  for (const FanOut& fan_out : result.fan_outs)
    for (const FanOutRow& row : fan_out.rows)
      if (fan_out.sessions == kTargetSessions)
        out.push_back({.what = fmt::format("{}, {} sessions: p99, ms", row.what, fan_out.sessions),
                       .figure = row.applied.p99(),
                       .bound = row.rate < kBusyRate ? kAloneMs : kBusyMs,
                       .control_name = "raw writes",
                       .control = row.control.p99()});
  const HeldTokens& held = result.held;
  if (held.tokens < kTargetTokens) return out;
  out.push_back({.what = "snapshot, MB on the wire",
                 .figure = mb(held.snapshot_bytes),
                 .bound = kSnapshotMb});
  out.push_back({.what = "until a new node decides with it, s",
                 .figure = held.snapshot_s,
                 .bound = kSnapshotS});
  out.push_back({.what = "memory of agent and workers, MB",
                 .figure = grown_mb(held),
                 .bound = kNodeMb,
                 .control_name = "all of it without a lane",
                 .control = mb(held.plain.total_bytes())});
  out.push_back({.what = "decisions under events: p99 to quiet",
                 .figure = held.busy.latency.p99() / std::max(held.quiet.latency.p99(), 1e-9),
                 .bound = kBusyRatio});
  return out;
}
constexpr const char* kNoTargets = "they are for 2,000 sessions and for a million tokens";

std::string fan_out_table(const FanOut& fan_out) {
  std::string out = fmt::format(
      "\n{} sessions, connected after {:.1f} s; {} bytes of the registry's memory each\n"
      "{:<22}{:>9}{:>9}{:>9}{:>9}{:>16}{:>16}{:>16}{:>8}\n",
      grouped(fan_out.sessions), fan_out.connected_s, grouped(fan_out.registry_bytes_each),
      "p50 / p99, ms", "per s", "events", "batches", "bytes", "received", "applied", "raw writes",
      "ratio");
  const auto pair = [](const TimeCounts& times) {
    return fmt::format("{:.1f} / {:.1f}", times.p50(), times.p99());
  };
  for (const FanOutRow& row : fan_out.rows)
    out +=
        fmt::format("{:<22}{:>9}{:>9}{:>9}{:>9}{:>16}{:>16}{:>16}{:>8}\n", row.what, row.rate,
                    row.events, row.batches, row.batch_bytes, pair(row.received), pair(row.applied),
                    pair(row.control), ratio_text(row.applied.p99(), row.control.p99()));
  return out;
}

std::string held_table(const HeldTokens& held) {
  std::string out = fmt::format(
      "\n{} tokens: in the registry after {:.1f} s; {:.1f} MB on the wire to a node, which decides "
      "with them after {:.1f} s\n"
      "agent and workers: {:.1f} MB, without a lane {:.1f} MB: {:.0f} bytes a token\n"
      "{:<34}{:>10}{:>10}{:>10}{:>8}\n",
      grouped(held.tokens), held.fill_s, mb(held.snapshot_bytes), held.snapshot_s,
      mb(held.with.total_bytes()), mb(held.plain.total_bytes()),
      grown_mb(held) * 1e6 / static_cast<double>(held.tokens), "decisions over HTTP", "n",
      "p50, ms", "p99, ms", "failed");
  for (const LaneDecisions* row : {&held.by_input, &held.quiet, &held.busy})
    out += fmt::format("{:<34}{:>10}{:>10.3f}{:>10.3f}{:>8}\n", row->what, row->answers,
                       row->latency.p50(), row->latency.p99(), row->failed);
  return out + fmt::format("{:.0f} events a second were taken meanwhile\n", held.events_rate);
}

json::object memory_json(const ProcessMemory& memory) {
  return {{"total_bytes", memory.total_bytes()},
          {"resident_bytes", memory.resident_bytes},
          {"anonymous_bytes", memory.anonymous_bytes},
          {"memory_files_bytes", memory.memory_files_bytes}};
}

json::object decisions_json(const LaneDecisions& row) {
  json::object out = row.latency.to_json();
  out["what"] = row.what;
  out["failed"] = row.failed;
  return out;
}

}  // namespace

std::string lane_table(const LaneResult& result) {
  std::string out;
  for (const FanOut& fan_out : result.fan_outs) out += fan_out_table(fan_out);
  if (result.held.tokens > 0) out += held_table(result.held);
  return out + targets_table(targets(result), kNoTargets);
}

json::object lane_json(const LaneResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "lane"}};
  add_circumstances(out, labels);
  json::array fan_outs;
  for (const FanOut& fan_out : result.fan_outs) {
    json::array rows;
    for (const FanOutRow& row : fan_out.rows)
      rows.push_back(json::object{{"what", row.what},
                                  {"rate", row.rate},
                                  {"events", row.events},
                                  {"batches", row.batches},
                                  {"batch_bytes", row.batch_bytes},
                                  {"received", row.received.to_json()},
                                  {"applied", row.applied.to_json()},
                                  {"raw_writes", row.control.to_json()}});
    fan_outs.push_back(json::object{{"sessions", fan_out.sessions},
                                    {"connected_s", fan_out.connected_s},
                                    {"registry_bytes_each", fan_out.registry_bytes_each},
                                    {"rows", std::move(rows)}});
  }
  out["fan_outs"] = std::move(fan_outs);
  const HeldTokens& held = result.held;
  if (held.tokens > 0)
    out["held"] = json::object{{"tokens", held.tokens},
                               {"fill_s", held.fill_s},
                               {"snapshot_bytes", held.snapshot_bytes},
                               {"snapshot_s", held.snapshot_s},
                               {"with", memory_json(held.with)},
                               {"plain", memory_json(held.plain)},
                               {"events_rate", held.events_rate},
                               {"by_input", decisions_json(held.by_input)},
                               {"quiet", decisions_json(held.quiet)},
                               {"busy", decisions_json(held.busy)}};
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
