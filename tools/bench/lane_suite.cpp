#include "tools/bench/lane_suite.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <thread>

#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/http_load.hpp"
#include "tools/bench/lane_arm.hpp"
#include "tools/bench/lane_swarm.hpp"
#include "tools/bench/raw_fan_out.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/stopwatch.hpp"
#include "tools/notp/root/key_files.hpp"

namespace notp::bench {
namespace {

using std::chrono::steady_clock;

constexpr TimeMs kPatienceMs = 300'000;
constexpr size_t kSessionsOfIdentity = 8;  // a registry takes no more
constexpr int64_t kTokenLifeS = 6 * 3'600;
constexpr double kAloneRate = 4, kBusyRate = 500, kHeldRate = 1'000;
constexpr size_t kFillLines = 2'000;  // of one request
constexpr double kDecisionRate = 500;
constexpr size_t kDecisionConnections = 8, kDecisionTokens = 2'000;
constexpr size_t kRounds = 3;  // in which the loads take turns
// Of a frame beside the body and the signature: the header, TLS's record.
constexpr uint64_t kFrameBytes = 32;

steady_clock::duration after(double seconds) {
  return std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds));
}

enum class Kind : uint8_t { kAdds, kDeletes, kBoth };

// Sends events evenly, whether or not the last ones are on disk: what is due meanwhile goes in one
// request. `sent` is told of each before.
template <typename Sent>
Result<uint64_t> feed(LaneFeeder& feeder, std::string_view prefix, Kind kind, double rate,
                      double seconds, const Sent& sent) {
  const int64_t exp_s = read_clock().wall_ms / 1'000 + kTokenLifeS;
  const auto start = steady_clock::now();
  const auto count = static_cast<uint64_t>(rate * seconds);
  for (uint64_t next = 0; next < count;) {
    std::this_thread::sleep_until(start + after(static_cast<double>(next) / rate));
    std::string lines;
    for (; next < count; ++next) {
      const auto due = start + after(static_cast<double>(next) / rate);
      if (due > steady_clock::now()) break;
      const std::string token = fmt::format("{}-{}", prefix, next);
      const bool is_add = kind == Kind::kAdds || (kind == Kind::kBoth && next % 2 == 0);
      sent(token, due);
      lines += is_add ? LaneFeeder::add(token, exp_s) : LaneFeeder::del(token);
    }
    if (!lines.empty()) NOTP_TRY(feeder.send(lines));
  }
  return count;
}

// --- to many sessions

Result<FanOutRow> measure_row(LaneSwarm& swarm, LaneFeeder& feeder, std::string what, Kind kind,
                              double rate, double seconds) {
  static int run = 0;
  FanOutRow row{.what = std::move(what), .rate = rate};
  NOTP_ASSIGN(row.events, feed(feeder, fmt::format("event-{}", ++run), kind, rate, seconds,
                               [&](const std::string& token, LaneTime due) {
                                 swarm.expect(feed::token_id(token), due);
                               }));
  NOTP_ASSIGN(LaneSwarm::Figures figures, swarm.take(kPatienceMs));
  row.batches = figures.batches;
  row.batch_bytes = figures.bytes / std::max<uint64_t>(figures.batches, 1) + kFrameBytes;
  row.received = std::move(figures.received);
  row.applied = std::move(figures.applied);
  return row;
}

Result<FanOut> measure_fan_out(const LaneArm& arm, const LaneOptions& options, size_t sessions) {
  FanOut out{.sessions = sessions};
  // Before this process has other threads.
  NOTP_ASSIGN(const auto control, RawFanOut::start(sessions));
  SwarmPlan plan{
      .registry = arm.registry_port(), .lane = std::string(LaneArm::kLane), .sessions = sessions};
  NOTP_ASSIGN(plan.lane_key, cli::read_public_key(arm.lane_key_file()));
  NOTP_ASSIGN(plan.identities,
              arm.identities((sessions + kSessionsOfIdentity - 1) / kSessionsOfIdentity));
  NOTP_ASSIGN(const ProcessMemory before, memory_of(arm.registry_pid()));
  {
    const Stopwatch watch;
    NOTP_ASSIGN(const auto swarm, LaneSwarm::start(std::move(plan), kPatienceMs));
    out.connected_s = watch.seconds();
    NOTP_ASSIGN(const ProcessMemory with, memory_of(arm.registry_pid()));
    out.registry_bytes_each =
        (std::max(with.resident_bytes, before.resident_bytes) - before.resident_bytes) / sessions;
    options.progress(fmt::format("{} sessions after {:.1f} s", sessions, out.connected_s));
    NOTP_ASSIGN(LaneFeeder feeder, arm.connect_feeder());
    const struct {
      const char* what;
      Kind kind;
      double rate;
    } rows[] = {{"a deletion alone", Kind::kDeletes, kAloneRate},
                {"an add alone", Kind::kAdds, kAloneRate},
                {"adds and deletions", Kind::kBoth, kBusyRate}};
    for (const auto& [what, kind, rate] : rows) {
      NOTP_ASSIGN(FanOutRow row, measure_row(*swarm, feeder, what, kind, rate, options.seconds));
      options.progress(fmt::format("{}: p50 {:.1f} ms, p99 {:.1f} ms", what, row.applied.p50(),
                                   row.applied.p99()));
      out.rows.push_back(std::move(row));
    }
  }
  for (FanOutRow& row : out.rows) {
    const double rate = static_cast<double>(row.batches) / options.seconds;
    NOTP_ASSIGN(row.control, control->run(row.batch_bytes, row.batches, rate, kPatienceMs));
  }
  return out;
}

// --- at one node

std::string held_token(size_t number) { return fmt::format("held-{}", number); }

Result<double> fill(LaneFeeder& feeder, const LaneOptions& options) {
  const Stopwatch watch;
  const int64_t exp_s = read_clock().wall_ms / 1'000 + kTokenLifeS;
  std::string lines;
  for (size_t number = 0; number < options.tokens; ++number) {
    lines += LaneFeeder::add(held_token(number), exp_s);
    if ((number + 1) % kFillLines != 0 && number + 1 < options.tokens) continue;
    NOTP_TRY(feeder.send(lines));
    lines.clear();
  }
  return watch.seconds();
}

Result<json::value> await_tokens(AgentArm& agent, uint64_t tokens) {
  return agent.await_status("holding the lane's tokens", [&](const json::value& status) {
    const json::value* lane = status.as_object().if_contains("lane");
    if (!lane || !lane->is_object()) return false;
    const json::value* held = lane->get_object().if_contains("tokens");
    const json::value* state = lane->get_object().if_contains("state");
    return held && held->is_number() && held->to_number<uint64_t>() >= tokens && state &&
           *state == "live";
  });
}

Bytes question(std::string_view path, const json::object& input) {
  const std::string body = json::serialize(json::object{{"input", input}});
  return fmt::format(
      "POST /v1/data/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      path, body.size(), body);
}

Result<void> decide(uint16_t port, std::string_view path, const LaneOptions& options,
                    LaneDecisions& into) {
  LoadPlan plan;
  plan.address.port = port;
  plan.connections = kDecisionConnections;
  const size_t step = std::max<size_t>(options.tokens / kDecisionTokens, 1);
  for (size_t number = 0; number < options.tokens; number += step)
    plan.requests.push_back(
        question(path, {{"token", held_token(number)}, {"scope", "openid profile read"}}));
  plan.judge = [](size_t, const HttpAnswer& answer) {
    if (answer.status != 200) return Verdict::kRefused;
    return answer.body.contains("\"result\":true") ? Verdict::kRight : Verdict::kWrong;
  };
  plan.rate = kDecisionRate;
  plan.seconds = options.seconds / kRounds;
  NOTP_ASSIGN(const LoadFigures figures, run_load(plan));
  if (figures.wrong > 0)
    return fail(ErrorCode::kInternal, "a living token is refused: " + figures.first_failure);
  into.latency.add(figures.latency);
  into.answers += figures.answers;
  into.failed += figures.failed;
  return {};
}

Result<void> measure_decisions(AgentArm& agent, LaneFeeder& feeder, const LaneOptions& options,
                               HeldTokens& held) {
  held.by_input.what = "by the input alone";
  held.quiet.what = "by the lane";
  held.busy.what = fmt::format("by the lane, at {:.0f} events/s", kHeldRate);
  uint64_t events = 0;
  double seconds = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    NOTP_TRY(decide(agent.port(), LaneArm::kByInput, options, held.by_input));
    NOTP_TRY(decide(agent.port(), LaneArm::kByLane, options, held.quiet));
    Result<uint64_t> fed = 0;
    const Stopwatch watch;
    std::jthread feeding([&] {
      fed = feed(feeder, fmt::format("round-{}", round), Kind::kBoth, kHeldRate,
                 options.seconds / kRounds, [](const std::string&, LaneTime) {});
    });
    const auto decided = decide(agent.port(), LaneArm::kByLane, options, held.busy);
    feeding.join();
    NOTP_TRY(decided);
    NOTP_TRY(fed);
    events += *fed;
    seconds += watch.seconds();
  }
  held.events_rate = static_cast<double>(events) / seconds;
  return {};
}

// A node from its first start until it decides: the bytes that came down, and its memory.
struct StartedNode {
  uint64_t down_bytes = 0;
  double seconds = 0;
  ProcessMemory memory;
};

Result<StartedNode> start_node(AgentArm& agent, Route& route, uint64_t tokens) {
  StartedNode node;
  const Stopwatch watch;
  NOTP_TRY(agent.start());
  NOTP_TRY(agent.await_active(1));
  if (tokens > 0) NOTP_TRY(await_tokens(agent, tokens));
  node.seconds = watch.seconds();
  node.down_bytes = route.take().down_bytes();
  // The first decisions have the workers load what they need.
  constexpr int kSettleMs = 3'000;
  ::poll(nullptr, 0, kSettleMs);
  NOTP_ASSIGN(node.memory, memory_of(agent.pid()));
  return node;
}

Result<HeldTokens> measure_held(const LaneArm& arm, CountingProxy& proxy,
                                const LaneOptions& options) {
  HeldTokens held{.tokens = options.tokens};
  NOTP_ASSIGN(LaneFeeder feeder, arm.connect_feeder());
  NOTP_ASSIGN(held.fill_s, fill(feeder, options));
  options.progress(fmt::format("{} tokens after {:.1f} s", options.tokens, held.fill_s));
  NOTP_ASSIGN(Route * plain_route, proxy.add_route(arm.registry_port(), /*is_tls=*/true));
  NOTP_ASSIGN(Route * lane_route, proxy.add_route(arm.registry_port(), /*is_tls=*/true));
  NOTP_ASSIGN(AgentArm plain, arm.make_agent("plain", plain_route->port(), /*with_lane=*/false));
  NOTP_ASSIGN(AgentArm agent, arm.make_agent("edge", lane_route->port(), /*with_lane=*/true));
  NOTP_ASSIGN(const StartedNode plain_node, start_node(plain, *plain_route, 0));
  NOTP_TRY(plain.stop());
  NOTP_ASSIGN(const StartedNode with, start_node(agent, *lane_route, options.tokens));
  held.snapshot_bytes = with.down_bytes - std::min(with.down_bytes, plain_node.down_bytes);
  held.snapshot_s = with.seconds;
  held.with = with.memory;
  held.plain = plain_node.memory;
  options.progress(fmt::format("a node has them after {:.1f} s", held.snapshot_s));
  NOTP_TRY(measure_decisions(agent, feeder, options, held));
  NOTP_TRY(agent.stop());
  return held;
}

}  // namespace

Result<LaneResult> run_lane(const LaneOptions& options) {
  LaneResult result;
  if (options.part != LanePart::kTokens)
    for (const size_t sessions : options.sessions) {
      NOTP_ASSIGN(const auto folder, ScratchFolder::make());
      NOTP_ASSIGN(const auto arm,
                  LaneArm::start({options.programs, folder->path(), options.tokens}));
      NOTP_ASSIGN(FanOut fan_out, measure_fan_out(*arm, options, sessions));
      result.fan_outs.push_back(std::move(fan_out));
    }
  if (options.part == LanePart::kFanOut) return result;
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  CountingProxy proxy;
  // What comes under load is above the tokens that are held.
  NOTP_ASSIGN(const auto arm,
              LaneArm::start({options.programs, folder->path(), options.tokens * 2 + 100'000}));
  NOTP_ASSIGN(result.held, measure_held(*arm, proxy, options));
  return result;
}

}  // namespace notp::bench
