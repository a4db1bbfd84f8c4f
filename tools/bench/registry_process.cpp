#include "tools/bench/registry_process.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/storage/files.hpp"
#include "tools/bench/agent_arm.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kStartMs = 60'000, kStopMs = 30'000;
constexpr int kPollMs = 5;

// Disables recompression: its savings depend on when the machine was idle.
std::string config_text(const std::string& name, const std::string& trust_domain, uint16_t port) {
  return fmt::format(
      "trust_domain: {}\n"
      "listen: 127.0.0.1:{}\n"
      "port_file: {}.port\n"
      "data_dir: {}\n"
      "root: root.envelope\n"
      "artifact_recompress_level: 0\n"
      "tls: {{certificate: pki/main.crt, key: pki/main.key, ca: pki/ca.crt}}\n"
      "rights:\n"
      "  - {{identity: node/*, ledgers: ['*/*'], actions: [read]}}\n"
      "  - {{identity: publisher/*, ledgers: ['*/*'], actions: [read, publish]}}\n"
      "  - {{identity: admin/*, ledgers: ['*/*'], actions: [read, fleet]}}\n",
      trust_domain, port, name, name);
}

}  // namespace

Result<RegistryProcess> RegistryProcess::start(const std::filesystem::path& programs,
                                               const std::filesystem::path& folder,
                                               const std::string& name,
                                               const std::string& trust_domain,
                                               const std::string& more, uint16_t listen_port) {
  NOTP_TRY(
      write_file(folder / (name + ".yaml"), config_text(name, trust_domain, listen_port) + more));
  Command command;
  command.words = {(programs / "notp-server").string(), "--config", name + ".yaml"};
  command.folder = folder;
  command.log = folder / (name + ".log");
  const auto port_file = folder / (name + ".port");
  std::error_code ignored;
  std::filesystem::remove(port_file, ignored);  // of an earlier start
  NOTP_ASSIGN(Child process, Child::start(command));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  while (!std::filesystem::exists(port_file, ignored)) {
    if (process.poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kUnavailable, "notp-server does not serve:\n" + log_tail(command.log));
    ::poll(nullptr, 0, kPollMs);
  }
  NOTP_ASSIGN(const uint16_t port, port_in(port_file));
  return RegistryProcess(std::move(process), port);
}

Result<void> RegistryProcess::stop() { return process_.stop(kStopMs); }

}  // namespace notp::bench
