#include "notp-client/agent/host/agent_host.hpp"

#include <algorithm>
#include <chrono>

#include "common/limits.hpp"

namespace notp::agent {

namespace asio = boost::asio;

AgentHost::AgentHost(asio::any_io_executor executor, AgentHostOptions options, AgentOptions agent,
                     AgentParts parts)
    : options_(std::move(options)),
      agent_options_(std::move(agent)),
      parts_(std::move(parts)),
      timer_(executor),
      dialer_(executor, options_, parts_.tls, *this),
      store_writer_(executor, parts_.store, parts_.store_worker),
      staging_writer_(executor, parts_.staging, parts_.staging_worker,
                      {.next = [this] { return core_->next_staging(); },
                       .failed = [this] { core_->stop_staging(); }}),
      activator_(
          executor, parts_.pdp, parts_.store, parts_.store_worker,
          [this](const DesiredState& state, const std::optional<Error>& rejected) {
            if (parts_.traces) parts_.traces->activation_ended(state, rejected);
            core_->on_pdp(state, rejected, read_clock());
            drive();
          },
          {.judge = parts_.gate,
           .failed =
               [this](const Error& error) {
                 core_->on_gate_failed(error, read_clock());
                 drive();
               }},
          agent_options_.txn),
      returner_(executor, parts_.store, parts_.store_worker, activator_.stored_contents()),
      status_(std::make_shared<const AgentStatus>()) {
  if (parts_.log)
    log_uploader_ = std::make_unique<LogUploader>(
        executor, *parts_.log,
        LogUploader::Handlers{.wake = [this] { dialer_.wake(); },
                              .failed = [this](const Error& error) { on_log_failed(error); },
                              .tree =
                                  [this](const TreeWitness& seen) {
                                    core_->alarms().on_tree(seen, read_clock().boot_ms);
                                    drive();
                                  }});
}

AgentHost::~AgentHost() = default;

Result<void> AgentHost::start() {
  NOTP_ASSIGN(store::StoreState state, parts_.store.load());
  mark_keys_only(state, parts_.store);
  const auto& identity = parts_.tls.current()->identity();
  NOTP_ASSIGN(AgentTrust trust, AgentTrust::open({.trust_domain = agent_options_.trust_domain,
                                                  .audience = identity ? identity->text() : "",
                                                  .ledgers = agent_options_.ledgers},
                                                 parts_.pinned_root, state, read_clock()));
  core_ = std::make_unique<AgentCore>(agent_options_, std::move(state), std::move(trust), random_,
                                      read_clock());
  core_->adopt_staged(parts_.staging.load());
  activator_.start();
  if (parts_.traces) parts_.traces->set_pdp(parts_.pdp.kind());
  if (parts_.lane)
    NOTP_TRY(parts_.lane->start(core_->trust().root().lane_key, core_->trust().now_ms()));
  core_->start(read_clock());
  // What was refused before is refused until a person accepts it.
  if (log_uploader_) core_->alarms().on_tree(log_uploader_->tree_witness(), read_clock().boot_ms);
  drive();
  store_writer_.collect_garbage();
  return {};
}

asio::awaitable<void> AgentHost::stop() {
  stopping_ = true;
  timer_.cancel();
  activator_.stop();
  staging_writer_.stop();
  returner_.stop();
  if (log_uploader_) log_uploader_->stop();
  store_writer_.stop();
  co_await dialer_.stop();
  if (parts_.lane) parts_.lane->stop();
  co_await store_writer_.persist_all(core_->changes_at_stop());
}

bool AgentHost::ask(const wire::Request& request) {
  const bool asked = core_ && core_->ask(request);
  if (asked) dialer_.wake();
  return asked;
}

void AgentHost::path_quarantined(const model::LedgerId& ledger, const std::string& path,
                                 const std::string& reason) {
  if (stopping_) return;
  core_->on_path_quarantine(ledger, path, reason, read_clock());
  drive();
}

void AgentHost::unknown_keys(const std::vector<wire::UnknownKey>& keys) {
  if (!core_ || stopping_) return;
  core_->on_unknown_keys(keys, read_clock());
  drive();
}

void AgentHost::lane_alarm(const Error& error) {
  if (!core_ || stopping_) return;
  core_->alarms().raise(error);
  drive();
}

void AgentHost::pdp_trouble(const std::string& reason) {
  if (stopping_) return;
  core_->on_pdp_trouble(reason, read_clock());
  drive();
}

// Runs effects until none is left: an effect may yield more.
void AgentHost::drive() {
  if (driving_) return;
  driving_ = true;
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (AgentEffect& effect : effects) std::visit([this](auto& e) { run(e); }, effect);
  driving_ = false;
  dialer_.wake();
  staging_writer_.run();
  auto status = std::make_shared<const AgentStatus>(core_->status());
  if (options_.on_status) options_.on_status(*status);
  status_.set(std::move(status));
  arm_timer();
}

// --- time

void AgentHost::arm_timer() {
  if (stopping_) return;
  const Now now = read_clock();
  const TimeMs deadline = core_->next_deadline(), registry_end_ms = dialer_.registry_end_ms();
  const TimeMs wait_ms =
      std::min(deadline == kNever ? kNever : deadline - now.boot_ms,
               registry_end_ms == kNever ? kNever : registry_end_ms - now.wall_ms);
  timer_.cancel();
  if (wait_ms == kNever) return;
  timer_.expires_after(
      std::chrono::milliseconds(std::clamp<TimeMs>(wait_ms, 0, limits::kWallWaitMs)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping_) look_at_clock();
  });
}

void AgentHost::clock_set() {
  if (!core_ || stopping_) return;
  look_at_clock();
  if (parts_.lane) parts_.lane->clock_set();
}

void AgentHost::look_at_clock() {
  const Now now = read_clock();
  dialer_.recheck_if_ended(now.wall_ms);
  core_->on_deadline(now);
  drive();
}

// --- the connection

void AgentHost::on_identity(std::string identity) {
  if (parts_.traces) parts_.traces->set_node(identity);
  core_->set_identity(std::move(identity));
}

session::ClientSession& AgentHost::on_connected(const session::Identity& registry,
                                                tls::Validity validity) {
  std::optional<wire::LogOffer> offer;
  if (log_uploader_) offer = log_uploader_->next_offer();
  session::ClientSession& session = core_->on_connected(read_clock(), validity, std::move(offer));
  if (log_uploader_)
    log_uploader_->session_begins(session, {registry.text(), registry.trust_domain});
  if (parts_.lane) parts_.lane->session_begins(session, [this] { dialer_.wake(); });
  return session;
}

void AgentHost::on_connect_failed(const Error& error, DialFailure failure) {
  core_->on_connect_failed(error, failure, read_clock());
}

void AgentHost::on_session_progress() {
  core_->on_session_progress(read_clock());
  drive();
}

std::string AgentHost::on_disconnected(const std::optional<Error>& why) {
  if (log_uploader_) log_uploader_->session_ended();
  if (parts_.lane) parts_.lane->session_ended();
  returner_.cancel();
  if (parts_.traces) parts_.traces->disconnected();
  core_->on_disconnected(why, read_clock());
  return core_->status().last_error;
}

void AgentHost::on_dial_ended() { drive(); }

// --- effects

void AgentHost::run(effect::Connect&) { dialer_.dial(); }

void AgentHost::run(effect::TracedOffer& effect) {
  if (parts_.traces) parts_.traces->offered(effect);
}

void AgentHost::run(effect::Install& effect) {
  if (parts_.traces) parts_.traces->install_began(effect.request.ledger, effect.request.version);
  store_writer_.install(std::move(effect.request), activator_.recent(),
                        [this](Result<store::StoredRelease> outcome) {
                          if (parts_.traces) parts_.traces->install_ended(outcome);
                          core_->on_installed(std::move(outcome), read_clock());
                          drive();
                        });
}

void AgentHost::run(effect::ScanContent& effect) {
  store_writer_.scan(std::move(effect.request),
                     [this](const ScanRequest& request, Result<ContentScan> scan) {
                       core_->on_content_scan(request, std::move(scan), read_clock());
                       drive();
                     });
}

void AgentHost::run(effect::GiveBack& effect) {
  returner_.give_back(std::move(effect.job),
                      [this](const ReturnJob& job, Result<ReturnedArtifact> artifact) {
                        core_->on_returned(job, std::move(artifact), read_clock());
                        drive();
                      });
}

void AgentHost::run(effect::Activate& effect) {
  if (parts_.traces) parts_.traces->activation_began(effect.desired);
  activator_.activate(std::move(effect));
}

void AgentHost::run(effect::Persist& effect) {
  log_effect(effect);
  store_writer_.persist(std::move(effect.change),
                        [this](const store::StoreChange& change, const Error& error) {
                          core_->on_persist_failed(change, error, read_clock());
                          drive();
                        });
}

void AgentHost::run(effect::Changed& effect) {
  dialer_.log_next_error();
  if (parts_.traces) parts_.traces->changed(effect);
  log_effect(effect, parts_.pdp.kind());
}

void AgentHost::run(effect::Answered& effect) {
  if (options_.on_answer) options_.on_answer(std::move(effect.response));
}

void AgentHost::run(effect::LogGranted& effect) {
  if (!log_uploader_) return;
  core_->alarms().on_log_shipped(log_uploader_->granted(effect.grant));
  core_->alarms().on_tree(log_uploader_->tree_witness(), read_clock().boot_ms);
}

void AgentHost::run(effect::LaneInput& effect) {
  using Input = effect::LaneInput;
  lane::LaneHost* const lane = parts_.lane;
  if (!lane) return;
  if (std::holds_alternative<Input::Welcomed>(effect.what))
    lane->on_connected();
  else if (auto* const state = std::get_if<wire::LaneState>(&effect.what))
    lane->on_state(std::move(*state));
  else if (auto* const statement = std::get_if<feed::SealedStatement>(&effect.what))
    lane->on_statement(std::move(*statement));
  else if (const auto* const root = std::get_if<Input::NewRoot>(&effect.what))
    lane->on_root(root->lane_key);
  else
    lane->on_clock_set_back(std::get<Input::ClockSetBack>(effect.what).now_ms);
}

void AgentHost::run(effect::ReceiptArrived& effect) {
  if (log_uploader_) log_uploader_->on_receipt(effect.receipt);
}

void AgentHost::on_log_failed(const Error& error) {
  core_->alarms().on_log_shipped(std::unexpected(error));
  drive();
}

}  // namespace notp::agent
