#include "notp-client/app/enroll_service.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "common/http/client.hpp"
#include "notp-client/app/app_config.hpp"

namespace notp::client {
namespace {

constexpr unsigned kHttpOk = 200;
// A first release is fetched, verified and compiled meanwhile.
constexpr TimeMs kReadyMs = 60'000;
constexpr std::chrono::milliseconds kAskAgain{200};

// Where the agent says whether it is ready; empty: at no fixed address. The service does not have
// the environment of this process.
Result<std::string> health_url(const std::filesystem::path& file) {
  NOTP_ASSIGN(const ClientConfig config, ClientConfig::load(file, /*environment=*/{}));
  const auto& listen = config.api.listen;
  if (!listen || listen->port == 0) return std::string();
  return fmt::format("http://{}/health/ready", HostPort{listen->address, listen->port}.text());
}

Result<void> wait_until_ready(const std::string& url, const std::string& unit) {
  const TimeMs until_ms = read_clock().boot_ms + kReadyMs;
  std::string said;
  while (read_clock().boot_ms < until_ms) {
    const auto answer = http::call_blocking({.url = url});
    if (answer && answer->status == kHttpOk) return {};
    said = answer ? fmt::format("status {}: {}", answer->status, printable(answer->body))
                  : answer.error().message;
    std::this_thread::sleep_for(kAskAgain);
  }
  return fail(ErrorCode::kTimeout,
              fmt::format("{}.service runs, and has not been ready within {} s: {} says {}; see "
                          "journalctl -u {}, and 'notp nodes' at the registry",
                          unit, kReadyMs / 1000, url, said, unit));
}

}  // namespace

Result<ServiceEnrollment> ServiceEnrollment::begin() {
  const systemd::Service& service = systemd::agent_service();
  NOTP_ASSIGN(systemd::ServiceUser user, systemd::ServiceUser::find(service));
  NOTP_TRY(systemd::is_configured(service, identity::config_file_of(service.folder)));
  NOTP_TRY(user.own(service.folder));
  return ServiceEnrollment(std::move(user));
}

Result<identity::Enrolled> ServiceEnrollment::enroll(const identity::EnrollOptions& options) const {
  return user_.run([&] { return identity::enroll(options); });
}

Result<void> ServiceEnrollment::finish(bool again) {
  const systemd::Service& service = systemd::agent_service();
  const std::filesystem::path config = identity::config_file_of(service.folder);
  NOTP_ASSIGN(const bool made, systemd::configure(service, config));
  std::printf("%s -> %s%s\n", service.configuration.c_str(), config.c_str(),
              made ? "" : " (was there before)");
  if (!systemd::is_running()) {
    std::printf(
        "no systemd runs this machine, so that nothing was started; as its unit would:\n"
        "  %s\n",
        systemd::command_of(service).c_str());
    return {};
  }
  std::fflush(stdout);
  NOTP_TRY(systemd::start(service, again));
  NOTP_ASSIGN(const std::string url, health_url(config));
  if (!url.empty()) NOTP_TRY(wait_until_ready(url, service.unit));
  std::printf("%s.service is enabled and %s\n", service.unit.c_str(),
              url.empty() ? "runs" : "decides");
  return {};
}

}  // namespace notp::client
