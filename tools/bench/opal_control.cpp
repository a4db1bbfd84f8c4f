#include "tools/bench/opal_control.hpp"

#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/opal_clients.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kControlMs = 600'000;

}  // namespace

Result<OpalResult> measure_opal(const OpalOptions& options) {
  const auto python = options.environment / "bin/python";
  std::error_code failed;
  if (!std::filesystem::exists(python, failed))
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no {}: tools/bench/opal-environment makes it and prints its "
                            "folder",
                            python.string()));
  NOTP_TRY(make_folders(options.folder));
  const auto script = options.folder / "opal_clients.py";
  NOTP_TRY(write_file(script, kOpalClients));
  NOTP_ASSIGN(const uint16_t port, free_port());
  Command command;
  command.folder = options.folder;
  command.words = {python.string(),
                   script.string(),
                   fmt::format("{}", port),
                   fmt::format("{}", options.clients),
                   fmt::format("{}", options.rounds),
                   fmt::format("{}", options.bytes)};
  NOTP_ASSIGN(const std::string printed, run(command, kControlMs));
  NOTP_ASSIGN(const json::value figures, parse_json(printed));
  OpalResult result{.clients = options.clients, .rounds = options.rounds};
  result.version = figures.at("version").as_string();
  for (const json::value& round : figures.at("fetched_ms").as_array()) {
    Samples of_round;
    for (const json::value& ms : round.as_array()) of_round.add(ms.to_number<double>());
    result.fetched.add(of_round);
    result.all.add(of_round.percentile(100));
  }
  const double each = 1e6 / static_cast<double>(options.clients * options.rounds);
  result.server_us = figures.at("server_s").to_number<double>() * each;
  result.client_us = figures.at("client_s").to_number<double>() * each;
  return result;
}

json::object opal_json(const OpalResult& result) {
  return {{"version", result.version},    {"clients", result.clients},
          {"rounds", result.rounds},      {"fetched", result.fetched.to_json()},
          {"all", result.all.to_json()},  {"server_us", result.server_us},
          {"client_us", result.client_us}};
}

std::string opal_text(const OpalResult& result) {
  return fmt::format(
      "OPAL {}, {} clients in one process, without TLS and OPA: all after {:.0f} ms, p50 {:.0f} "
      "ms; the server {:.0f} us each, a client {:.0f} us\n",
      result.version, result.clients, result.all.p50(), result.fetched.p50(), result.server_us,
      result.client_us);
}

}  // namespace notp::bench
