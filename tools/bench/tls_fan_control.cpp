#include "tools/bench/tls_fan_control.hpp"

#include <fmt/format.h>

#include <sstream>

#include "tools/bench/control_clients.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

using std::chrono::steady_clock;

constexpr TimeMs kPatienceMs = 120'000;
constexpr size_t kDialsAtOnce = 64;
constexpr double kWaitMs = 100;

struct Round {
  double processor_s = 0, wall_s = 0, client_s = 0;  // the server's; this process's
  double spread_ms = 0, all_ms = 0;
};

Result<Round> write_once(ControlProgram& server, ControlClients& clients, size_t bytes) {
  Round round;
  std::vector<uint64_t> got(clients.size());
  size_t complete = 0;
  steady_clock::time_point first, last;
  const Stopwatch watch;
  const auto begin = steady_clock::now();
  NOTP_TRY(server.tell(fmt::format("write {}", bytes)));
  while (complete < clients.size()) {
    NOTP_TRY(clients.wait(kWaitMs, [&](size_t session, size_t arrived) {
      got[session] += arrived;
      if (got[session] != bytes) return;
      last = steady_clock::now();
      if (complete++ == 0) first = last;
    }));
    if (watch.ms() > static_cast<double>(kPatienceMs))
      return fail(ErrorCode::kTimeout, "the control's writes do not arrive");
  }
  round.client_s = watch.processor_s();
  round.spread_ms = ms_between(first, last);
  round.all_ms = ms_between(begin, last);
  NOTP_ASSIGN(const std::string answer, server.read_line(kPatienceMs));
  std::istringstream(answer) >> round.processor_s >> round.wall_s;
  return round;
}

}  // namespace

Result<TlsFanResult> measure_tls_fan(const ControlOptions& options, size_t bytes, size_t rounds) {
  NOTP_ASSIGN(ControlProgram server, ControlProgram::start("raw", options));
  NOTP_ASSIGN(ControlClients clients, ControlClients::make(options));
  NOTP_TRY(clients.connect(server.port(), kDialsAtOnce, kPatienceMs, [](size_t, size_t) {}));
  TlsFanResult result{.sessions = clients.size(), .bytes = bytes, .rounds = rounds};
  NOTP_TRY(write_once(server, clients, bytes));
  const double writes = static_cast<double>(rounds * clients.size());
  for (size_t i = 0; i < rounds; ++i) {
    NOTP_ASSIGN(const Round round, write_once(server, clients, bytes));
    result.write_us += round.processor_s * 1e6 / writes;
    result.client_us += round.client_s * 1e6 / writes;
    result.written.add(round.wall_s * 1e3);
    result.spread.add(round.spread_ms);
    result.all.add(round.all_ms);
  }
  return result;
}

json::object tls_fan_json(const TlsFanResult& result) {
  return {{"sessions", result.sessions},
          {"bytes", result.bytes},
          {"rounds", result.rounds},
          {"write_us", result.write_us},
          {"client_us", result.client_us},
          {"written", result.written.to_json()},
          {"first_to_last", result.spread.to_json()},
          {"all", result.all.to_json()}};
}

std::string tls_fan_text(const TlsFanResult& result) {
  return fmt::format(
      "raw SSL_write of {} bytes to {} sessions: {:.1f} us each, {} per second and core; first to "
      "last {:.0f} ms, all after {:.0f} ms\n",
      result.bytes, grouped(result.sessions), result.write_us,
      grouped(static_cast<uint64_t>(1e6 / std::max(result.write_us, 1e-3))), result.spread.p50(),
      result.all.p50());
}

}  // namespace notp::bench
