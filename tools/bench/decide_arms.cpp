#include "tools/bench/decide_arms.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/pki/pki.hpp"

namespace notp::bench {
namespace {

constexpr unsigned kOwnerOnly = 0600;
constexpr std::string_view kServerName = "decide-server", kClientName = "decide-client";

std::string_view key_of(Way way) { return way == Way::kUnix ? "listen_unix" : "listen_tls"; }

// The error names the configuration key of this way.
bool names(const Error& error, Way way) {
  return error.message.find(key_of(way)) != std::string::npos;
}

}  // namespace

Result<std::unique_ptr<DecideArms>> DecideArms::start(const DecideOptions& options,
                                                      const std::filesystem::path& folder,
                                                      std::vector<std::string>& notes) {
  std::unique_ptr<DecideArms> arms(new DecideArms(folder));
  NOTP_ASSIGN(arms->model_, RbacModel::make(folder / "model", options.seed));
  NOTP_ASSIGN(arms->notp_, NotpArm::start(arms->proxy_, {.programs = options.programs,
                                                         .folder = arms->notp_folder()}));
  NOTP_TRY(arms->notp_->issue("--registry", std::string(kServerName)));
  NOTP_TRY(arms->notp_->issue("--node", std::string(kClientName)));
  const auto pki = arms->notp_folder() / "pki";
  NOTP_ASSIGN(arms->tls_, LoadTls::make(pki / fmt::format("{}.crt", kClientName),
                                        pki / fmt::format("{}.key", kClientName), pki / "ca.crt"));
  NOTP_TRY(arms->start_agent(notes));
  NOTP_TRY(arms->start_opa(options.opa));
  NOTP_ASSIGN(arms->publisher_, arms->notp_->open_publisher());
  for (const DecidePdp pdp : {DecidePdp::kAgent, DecidePdp::kOpa}) {
    NOTP_TRY(arms->swap(pdp));
    NOTP_TRY(arms->await_swapped(pdp));
  }
  return arms;
}

// The listener lines of the agent's configuration. Every client of the trust domain may ask
// anything.
Result<std::string> DecideArms::listener_text(Way way) {
  if (way == Way::kUnix)
    return fmt::format("listen_unix: {{path: {}, mode: '0600'}}\n", agent_socket().string());
  NOTP_ASSIGN(agent_tls_port_, free_port());
  return fmt::format(
      "listen_tls: {{address: '127.0.0.1:{0}', certificate: pki/{1}.crt, key: pki/{1}.key, "
      "client_ca: pki/ca.crt}}\n",
      agent_tls_port_, kServerName);
}

Result<void> DecideArms::start_agent(std::vector<std::string>& notes) {
  agent_ways_ = {Way::kUnix, Way::kTls};
  for (int attempt = 0;; ++attempt) {
    std::string listeners;
    for (const Way way : agent_ways_) {
      NOTP_ASSIGN(const std::string text, listener_text(way));
      listeners += text;
    }
    NOTP_ASSIGN(agent_, notp_->make_agent(fmt::format("decide{}", attempt), notp_->registry_port(),
                                          AgentPdp::kEmbedded, listeners));
    const auto opened = notp_->open_session(*agent_);
    if (opened) return {};
    const auto refused =
        std::ranges::partition(agent_ways_, [&](Way way) { return !names(opened.error(), way); });
    if (refused.empty()) return opened;
    for (const Way way : refused)
      notes.push_back(
          fmt::format("the agent's configuration does not know {}: left out", key_of(way)));
    agent_ways_.erase(refused.begin(), refused.end());
  }
}

Result<void> DecideArms::start_opa(const std::filesystem::path& program) {
  NOTP_TRY(make_folders(folder_ / "opa"));
  const auto pki = notp_folder() / "pki";
  NOTP_ASSIGN(opa_, OpaArm::start(proxy_, program, folder_ / "opa",
                                  {.socket = opa_socket(),
                                   .certificate = pki / fmt::format("{}.crt", kServerName),
                                   .key = pki / fmt::format("{}.key", kServerName),
                                   .ca = pki / "ca.crt"}));
  return {};
}

std::optional<PdpAddress> DecideArms::address(DecidePdp pdp, Way way) const {
  const bool is_agent = pdp == DecidePdp::kAgent;
  if (way == Way::kTcp) return PdpAddress{.port = is_agent ? agent_->port() : opa_->port()};
  if (is_agent && std::ranges::find(agent_ways_, way) == agent_ways_.end()) return std::nullopt;
  if (way == Way::kUnix) return PdpAddress{.socket = is_agent ? agent_socket() : opa_socket()};
  return PdpAddress{.port = is_agent ? agent_tls_port_ : opa_->tls_port(), .tls = tls_};
}

Result<std::vector<LoadTls>> DecideArms::make_peps(size_t count) const {
  const auto pki = notp_folder() / "pki";
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(pki / "ca.crt", limits::kPemBytesMax));
  NOTP_ASSIGN(authority.key_pem, read_file(pki / "ca.key", limits::kPemBytesMax));
  std::vector<LoadTls> out;
  for (size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("pep-{}", i);
    NOTP_ASSIGN(const pki::Credential pep,
                pki::issue(authority,
                           {.common_name = name,
                            .uris = {fmt::format("spiffe://{}/pep/{}", NotpArm::kTrustDomain, i)},
                            .emails = {},
                            .validity = pki::Validity::days(read_clock().wall_ms, 1),
                            .client_auth = true}));
    const auto certificate = pki / (name + ".crt"), key = pki / (name + ".key");
    NOTP_TRY(write_file(certificate, pep.certificate_pem));
    NOTP_TRY(write_file(key, pep.key_pem, kOwnerOnly));
    NOTP_ASSIGN(LoadTls tls, LoadTls::make(certificate, key, pki / "ca.crt"));
    out.push_back(std::move(tls));
  }
  return out;
}

pid_t DecideArms::pid(DecidePdp pdp) const {
  return pdp == DecidePdp::kAgent ? agent_->pid() : opa_->pid();
}

Result<void> DecideArms::swap(DecidePdp pdp) {
  NOTP_TRY(model_->set_release(++number_));
  if (pdp == DecidePdp::kOpa) {
    NOTP_ASSIGN(model::Content bundle, OpaArm::pack(model_->folder()));
    opa_->serve(std::move(bundle));
    return {};
  }
  NOTP_ASSIGN(const Publisher::Prepared prepared,
              publisher_->prepare(model_->content(), RbacModel::roots()));
  NOTP_ASSIGN(version_, publisher_->publish(prepared));
  return {};
}

Result<void> DecideArms::await_swapped(DecidePdp pdp) {
  return pdp == DecidePdp::kOpa ? opa_->await_waiting() : agent_->await_active(version_);
}

Result<void> DecideArms::stop() {
  publisher_.reset();
  NOTP_TRY(agent_->stop());
  NOTP_TRY(notp_->stop());
  return opa_->stop();
}

Flood::Flood(LoadPlan plan) : plan_(std::move(plan)) {
  plan_.judge = [this](size_t, const HttpAnswer& answer) {
    constexpr unsigned kOk = 200;
    if (!has_begun_.test_and_set()) has_begun_.notify_all();
    return answer.status == kOk ? Verdict::kRight : Verdict::kRefused;
  };
  thread_ = std::jthread([this](std::stop_token stop) {
    plan_.stop = std::move(stop);
    figures_ = run_load(plan_);
    has_begun_.test_and_set();
    has_begun_.notify_all();
  });
}

Result<LoadFigures> Flood::stop() {
  thread_.request_stop();
  thread_.join();
  return std::move(figures_);
}

Swapper::Swapper(DecideArms& arms, DecidePdp pdp, double every_s)
    : arms_(arms),
      pdp_(pdp),
      thread_([this, every_s](std::stop_token stop) { run(stop, every_s); }) {}

void Swapper::run(std::stop_token stop, double every_s) {
  const auto every = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(every_s));
  auto next = std::chrono::steady_clock::now() + every / 2;
  std::unique_lock lock(mutex_);
  const auto is_stopped = [&stop] { return stop.stop_requested(); };
  // At least once, however short the time was.
  while (!stopped_.wait_until(lock, stop, next, is_stopped) || *swapped_ == 0) {
    if (auto swapped = arms_.swap(pdp_); !swapped) {
      swapped_ = std::unexpected(std::move(swapped).error());
      return;
    }
    ++*swapped_;
    // A late swap is not caught up: two at once would be a different load.
    next = std::max(next + every, std::chrono::steady_clock::now() + every / 2);
  }
}

Result<uint64_t> Swapper::stop() {
  thread_.request_stop();
  thread_.join();
  return swapped_;
}

}  // namespace notp::bench
