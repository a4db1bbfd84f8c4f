#include "tools/bench/echo_control.hpp"

#include <fmt/format.h>

#include "tools/bench/control_clients.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 120'000;
constexpr size_t kDialsAtOnce = 64;
constexpr double kWaitMs = 100;

// Sends each session's message when it is due, for so long.
class Talk {
 public:
  Talk(ControlClients& clients, const EchoPlan& plan)
      : clients_(clients), plan_(plan), message_(plan.bytes, 'x'), got_(clients.size()) {}

  Result<void> run(double seconds) {
    const double end_s = watch_.seconds() + seconds;
    for (double now_s = watch_.seconds(); now_s < end_s; now_s = watch_.seconds()) {
      for (; due_s(sent_) <= now_s; ++sent_)
        NOTP_TRY(clients_.send(sent_ % clients_.size(), message_));
      const double next_s = std::min(due_s(sent_), end_s);
      NOTP_TRY(clients_.wait(std::min((next_s - now_s) * 1e3, kWaitMs),
                             [this](size_t session, size_t bytes) { arrived(session, bytes); }));
    }
    return {};
  }
  uint64_t echoes() const { return echoes_; }

 private:
  double due_s(uint64_t message) const {
    return static_cast<double>(message) * plan_.interval_s / static_cast<double>(clients_.size());
  }
  void arrived(size_t session, size_t bytes) {
    const uint64_t before = got_[session] / plan_.bytes;
    got_[session] += bytes;
    echoes_ += got_[session] / plan_.bytes - before;
  }

  ControlClients& clients_;
  const EchoPlan plan_;
  const std::string message_;
  std::vector<uint64_t> got_;
  const Stopwatch watch_;
  uint64_t sent_ = 0, echoes_ = 0;
};

}  // namespace

double EchoResult::bytes_each() const {
  const uint64_t more = with.resident_bytes - std::min(with.resident_bytes, before.resident_bytes);
  return static_cast<double>(more) / std::max(1.0, static_cast<double>(sessions));
}

double EchoResult::core_percent() const { return server_s / std::max(wall_s, 1e-9) * 100; }

double EchoResult::echo_us() const {
  return server_s * 1e6 / std::max(1.0, static_cast<double>(echoes));
}

Result<EchoResult> measure_echo(const ControlOptions& options, const EchoPlan& plan) {
  NOTP_ASSIGN(ControlProgram server, ControlProgram::start("echo", options));
  NOTP_ASSIGN(ControlClients clients, ControlClients::make(options));
  EchoResult result{.sessions = options.sessions, .plan = plan};
  NOTP_ASSIGN(result.before, own_memory_of(server.pid()));
  NOTP_TRY(clients.connect(server.port(), kDialsAtOnce, kPatienceMs, [](size_t, size_t) {}));
  Talk talk(clients, plan);
  NOTP_TRY(talk.run(plan.settle_s));
  const uint64_t echoes_before = talk.echoes();
  NOTP_ASSIGN(const double before_s, own_cpu_seconds_of(server.pid()));
  const Stopwatch watch;
  NOTP_TRY(talk.run(plan.seconds));
  result.wall_s = watch.seconds();
  NOTP_ASSIGN(const double after_s, own_cpu_seconds_of(server.pid()));
  result.server_s = after_s - before_s;
  result.echoes = talk.echoes() - echoes_before;
  NOTP_ASSIGN(result.with, own_memory_of(server.pid()));
  return result;
}

json::object echo_json(const EchoResult& result) {
  return {{"sessions", result.sessions},
          {"interval_s", result.plan.interval_s},
          {"bytes", result.plan.bytes},
          {"resident_bytes_before", result.before.resident_bytes},
          {"resident_bytes", result.with.resident_bytes},
          {"bytes_each", result.bytes_each()},
          {"echoes", result.echoes},
          {"echo_us", result.echo_us()},
          {"core_percent", result.core_percent()},
          {"wall_s", result.wall_s},
          {"server_s", result.server_s}};
}

std::string echo_text(const EchoResult& result) {
  return fmt::format(
      "echo on asio::ssl::stream, {} sessions, {} bytes each {:.0f} s: {} bytes of memory each; "
      "{:.2f} % of a core, {:.0f} us an echo\n",
      grouped(result.sessions), result.plan.bytes, result.plan.interval_s,
      grouped(static_cast<uint64_t>(result.bytes_each())), result.core_percent(), result.echo_us());
}

}  // namespace notp::bench
