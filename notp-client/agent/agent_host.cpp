#include "notp-client/agent/agent_host.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <future>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/pump.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

constexpr TimeMs kConnectMs = limits::kHandshakeMs + 5'000;

VersionSet versions_of(const Composition& composition) {
  VersionSet versions;
  for (const auto& [ledger, release] : composition.ledgers)
    versions.emplace(ledger, release.version);
  return versions;
}

}  // namespace

AgentHost::AgentHost(asio::any_io_executor executor, AgentHostOptions options, AgentOptions agent,
                     AgentParts parts)
    : executor_(executor),
      options_(std::move(options)),
      agent_options_(std::move(agent)),
      parts_(std::move(parts)),
      timer_(executor),
      wake_(executor),
      ended_(executor),
      status_(std::make_shared<const AgentStatus>()) {}

AgentHost::~AgentHost() = default;

Result<void> AgentHost::start() {
  NOTP_ASSIGN(StoreState state, parts_.store.load());
  core_ = std::make_unique<AgentCore>(agent_options_, std::move(state), parts_.root, random_,
                                      read_clock());
  parts_.pdp.start([this](PdpOutcome outcome) { on_pdp(outcome); });
  core_->start(read_clock());
  drive();
  return {};
}

asio::awaitable<void> AgentHost::stop() {
  stopping_ = true;
  timer_.cancel();
  if (session_) {
    session_->say_bye("the agent is stopping");
    wake_.notify();
  }
  // Bounded by the pump's and the dial's own limits.
  while (conversing_) co_await ended_.wait();
  // A restart then knows what to fall back to, should its PDP refuse the newest release.
  co_await offload(parts_.store_worker, [this, active = core_->active()]() -> Result<void> {
    for (const auto& [ledger, version] : active) {
      NOTP_TRY(parts_.store.confirm(ledger, version));
    }
    return {};
  });
}

// Runs effects until none is left: an effect may make the core ask for more.
void AgentHost::drive() {
  if (driving_) return;
  driving_ = true;
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (AgentEffect& effect : effects) std::visit([this](auto& e) { run(e); }, effect);
  driving_ = false;
  if (session_) wake_.notify();
  auto status = std::make_shared<const AgentStatus>(core_->status());
  if (options_.on_status) options_.on_status(*status);
  status_.set(std::move(status));
  arm_timer();
}

void AgentHost::arm_timer() {
  const TimeMs deadline = core_->next_deadline();
  if (stopping_ || deadline == kNever) return;
  const TimeMs wait_ms = std::max<TimeMs>(0, deadline - read_clock().boot_ms);
  timer_.expires_after(std::chrono::milliseconds(wait_ms));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error || stopping_) return;
    core_->on_deadline(read_clock());
    drive();
  });
}

// --- the connection

void AgentHost::run(agent_effect::Connect&) {
  if (!stopping_) spawn(executor_, converse());
}

asio::awaitable<Result<std::unique_ptr<Connection>>> AgentHost::dial() {
  // Certificates are short lived and replaced by tools that send no signal: each dial looks.
  if (auto fresh = parts_.tls.reload(); !fresh)
    log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
  auto connection = co_await connect(options_.registry, parts_.tls.current(), kConnectMs);
  if (!connection) co_return connection;
  const Identity& peer = (*connection)->peer_identity();
  const std::string shown = fmt::format("{}/{}", role_name(peer.role), peer.name);
  if (options_.registry_identity == "registry/*" || options_.registry_identity == shown)
    co_return connection;
  co_await (*connection)->close(limits::kHandshakeMs);
  co_return fail(ErrorCode::kIdentity,
                 fmt::format("{} answered as {}, the configuration expects {}", options_.registry,
                             shown, options_.registry_identity));
}

asio::awaitable<void> AgentHost::converse() {
  conversing_ = true;
  co_await dial_and_pump();
  conversing_ = false;
  ended_.notify();
  if (!stopping_) drive();
}

asio::awaitable<void> AgentHost::dial_and_pump() {
  auto connection = co_await dial();
  if (!connection) {
    log_connection(connection.error());
    core_->on_connect_failed(connection.error(), read_clock());
    co_return;
  }
  if (stopping_) co_return;
  session_ = &core_->on_connected(read_clock());
  drive();
  const auto ended = co_await pump(**connection, *session_, wake_, [this] {
    core_->on_session_progress(read_clock());
    drive();
  });
  session_ = nullptr;
  core_->on_disconnected(ended ? std::nullopt : std::optional(ended.error()), read_clock());
  if (!stopping_) log_connection(Error{ErrorCode::kUnavailable, core_->status().last_error, {}});
}

void AgentHost::log_connection(const Error& error) {
  if (error.message == logged_error_) return;
  logged_error_ = error.message;
  log::write(log::Level::kWarn, "registry_unavailable", error, {{"registry", options_.registry}});
}

// --- installation and activation

void AgentHost::run(agent_effect::Install& effect) {
  spawn(executor_, install(std::move(effect.request)));
}

asio::awaitable<void> AgentHost::install(InstallRequest request) {
  auto outcome = co_await offload(parts_.store_worker, [this, &request] {
    return install_release(request, parts_.store, read_clock().wall_ms);
  });
  if (!outcome)
    log::write(log::Level::kError, "release_not_installed", outcome.error(),
               {{"ledger", request.ledger.text()}, {"version", request.version}});
  core_->on_installed(std::move(outcome), read_clock());
  drive();
}

void AgentHost::run(agent_effect::Activate& effect) {
  spawn(executor_, activate(std::move(effect.versions)));
}

asio::awaitable<void> AgentHost::activate(VersionSet versions) {
  auto composition =
      co_await offload(parts_.store_worker, [this, &versions] { return compose(versions); });
  if (composition) {
    parts_.pdp.activate(std::move(*composition), loader());
  } else {
    core_->on_pdp(versions, composition.error(), read_clock());
    drive();
  }
}

Result<CompositionPtr> AgentHost::compose(const VersionSet& versions) {
  NOTP_ASSIGN(const StoreState state, parts_.store.load());
  auto composition = std::make_shared<Composition>();
  for (const auto& [ledger, version] : versions) {
    const auto stored = state.ledgers.find(ledger);
    const StoredRelease* found = nullptr;
    if (stored != state.ledgers.end())
      for (const StoredRelease& release : stored->second.releases)
        if (release.version == version) found = &release;
    if (!found)
      return fail(ErrorCode::kNotFound,
                  fmt::format("{} v{} is not in the store", ledger.text(), version));
    NOTP_ASSIGN(ComposedRelease release, compose_one(*found));
    composition->ledgers.emplace(ledger, std::move(release));
  }
  return composition;
}

Result<ComposedRelease> AgentHost::compose_one(const StoredRelease& stored) {
  NOTP_ASSIGN(const Envelope envelope, Envelope::decode(stored.envelope));
  NOTP_ASSIGN(Release release, Release::decode(envelope.payload));
  NOTP_ASSIGN(TreePtr tree, parts_.store.tree(stored.ledger, stored.version));
  return ComposedRelease{.version = stored.version,
                         .epoch = stored.epoch,
                         .release = stored.release,
                         .content_root = stored.content_root,
                         .roots = std::move(release.roots),
                         .tree = std::move(tree)};
}

// PDPs load on threads of their own; the store has one.
BlobLoader AgentHost::loader() {
  return [this](const Hash& hash) -> Result<Content> {
    std::promise<Result<Content>> loaded;
    auto future = loaded.get_future();
    asio::post(parts_.store_worker.executor(), [&] { loaded.set_value(parts_.store.blob(hash)); });
    return future.get();
  };
}

void AgentHost::on_pdp(const PdpOutcome& outcome) {
  if (stopping_) return;
  core_->on_pdp(versions_of(*outcome.composition), outcome.rejected, read_clock());
  drive();
}

void AgentHost::run(agent_effect::Quarantine& effect) {
  spawn(executor_, quarantine(std::move(effect)));
}

asio::awaitable<void> AgentHost::quarantine(agent_effect::Quarantine effect) {
  const auto kept = co_await offload(parts_.store_worker, [this, &effect] {
    return parts_.store.quarantine(effect.ledger, effect.version, effect.error);
  });
  if (!kept)
    log::write(log::Level::kError, "quarantine_not_stored", kept.error(),
               {{"ledger", effect.ledger.text()}, {"version", effect.version}});
}

void AgentHost::run(agent_effect::Alarm& effect) {
  log::write(log::Level::kError, "alarm", effect.error);
}

void AgentHost::run(agent_effect::Changed& effect) {
  const bool rejected = effect.state == wire::CommitState::kRejected;
  logged_error_.clear();
  log::write(rejected ? log::Level::kError : log::Level::kInfo, "release",
             {{"ledger", effect.ledger.text()},
              {"version", effect.version},
              {"state", wire::commit_state_name(effect.state)},
              {"pdp", parts_.pdp.kind()},
              {"message", effect.message}});
}

}  // namespace notp
