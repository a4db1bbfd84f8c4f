#include "tools/bench/handshake_control.hpp"

#include <fmt/format.h>

#include <sstream>

#include "tools/bench/control_clients.hpp"
#include "tools/bench/process_facts.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 120'000;

}  // namespace

Result<HandshakeResult> measure_handshakes(const ControlOptions& options) {
  NOTP_ASSIGN(ControlProgram server, ControlProgram::start("raw", options));
  NOTP_ASSIGN(ControlClients clients, ControlClients::make(options));
  HandshakeResult result{.sessions = options.sessions};
  NOTP_ASSIGN(const double server_before_s, own_cpu_seconds_of(server.pid()));
  NOTP_ASSIGN(const double idle_before_s, idle_seconds());
  const Stopwatch watch;
  NOTP_TRY(clients.connect(server.port(), /*at_once=*/0, kPatienceMs,
                           [&](size_t, size_t) { result.done.add(watch.ms()); }));
  result.wall_s = watch.seconds();
  const double each = 1e6 / static_cast<double>(options.sessions);
  result.client_us = watch.processor_s() * each;
  NOTP_ASSIGN(const double server_s, own_cpu_seconds_of(server.pid()));
  NOTP_ASSIGN(const double idle_s, idle_seconds());
  result.server_us = (server_s - server_before_s) * each;
  result.idle_s = idle_s - idle_before_s;
  NOTP_ASSIGN(const std::string usage, server.ask("usage", kPatienceMs));
  uint64_t done = 0;
  double ignored = 0;
  std::istringstream(usage) >> ignored >> done;
  if (done != options.sessions)
    return fail(ErrorCode::kInternal, fmt::format("the control's server counts {} handshakes of {}",
                                                  done, options.sessions));
  return result;
}

json::object handshake_json(const HandshakeResult& result) {
  return {{"sessions", result.sessions},   {"server_us", result.server_us},
          {"client_us", result.client_us}, {"done", result.done.to_json()},
          {"wall_s", result.wall_s},       {"idle_s", result.idle_s}};
}

std::string handshake_text(const HandshakeResult& result) {
  return fmt::format(
      "raw handshakes, {} dialled at once: {:.0f} us each, the client {:.0f} us; p50 {:.2f} s, "
      "the last after {:.2f} s\n",
      grouped(result.sessions), result.server_us, result.client_us, result.done.p50() / 1e3,
      result.wall_s);
}

}  // namespace notp::bench
