#include "notp-client/agent/agent_host.hpp"

#include <fmt/format.h>

#include <algorithm>
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

Goal goal_of(const Composition& composition) {
  Goal goal;
  for (const auto& [ledger, release] : composition.ledgers)
    goal.emplace(ledger, GoalRelease{release.ref.version, release.standing});
  return goal;
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
  const auto& identity = parts_.tls.current()->identity();
  NOTP_ASSIGN(AgentTrust trust, AgentTrust::open({.trust_domain = agent_options_.trust_domain,
                                                  .audience = identity ? identity->text() : "",
                                                  .ledgers = agent_options_.ledgers},
                                                 parts_.pinned_root, state, read_clock()));
  core_ = std::make_unique<AgentCore>(agent_options_, std::move(state), std::move(trust), random_,
                                      read_clock());
  core_->adopt_staged(parts_.staging.load());
  parts_.pdp.start([this](PdpOutcome outcome) { on_pdp(outcome); });
  core_->start(read_clock());
  drive();
  tidy();
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
  co_await offload(parts_.store_worker, [this, proven = core_->proven()]() -> Result<void> {
    for (const auto& [ledger, version] : proven) {
      NOTP_TRY(parts_.store.confirm(ledger, version));
    }
    return {};
  });
}

bool AgentHost::ask(const wire::Request& request) {
  const bool asked = core_ && core_->ask(request);
  if (asked) wake_.notify();
  return asked;
}

Result<void> AgentHost::trusts_registry(const TlsContext& tls) {
  return connection_ == nullptr ? Result<void>{} : connection_->verify_peer_again(tls);
}

void AgentHost::recheck_registry() {
  if (session_ == nullptr || session_->is_closed()) return;
  const auto trusted = trusts_registry(*parts_.tls.current());
  if (trusted) return;
  session_->refuse(trusted.error());
  wake_.notify();
}

// Runs effects until none is left: an effect may make the core ask for more.
void AgentHost::drive() {
  if (driving_) return;
  driving_ = true;
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (AgentEffect& effect : effects) std::visit([this](auto& e) { run(e); }, effect);
  driving_ = false;
  if (session_) wake_.notify();
  stage_next();
  auto status = std::make_shared<const AgentStatus>(core_->status());
  if (options_.on_status) options_.on_status(*status);
  status_.set(std::move(status));
  arm_timer();
}

void AgentHost::arm_timer() {
  if (stopping_) return;
  const Now now = read_clock();
  const TimeMs deadline = core_->next_deadline();
  const TimeMs wait_ms =
      std::min(deadline == kNever ? kNever : deadline - now.boot_ms,
               registry_end_ms_ == kNever ? kNever : registry_end_ms_ - now.wall_ms);
  timer_.cancel();
  if (wait_ms == kNever) return;
  timer_.expires_after(
      std::chrono::milliseconds(std::clamp<TimeMs>(wait_ms, 0, limits::kWallWaitMs)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping_) look_at_clock();
  });
}

void AgentHost::clock_set() {
  if (core_ && !stopping_) look_at_clock();
}

void AgentHost::look_at_clock() {
  const Now now = read_clock();
  if (now.wall_ms >= registry_end_ms_) {
    registry_end_ms_ = kNever;
    recheck_registry();
  }
  core_->on_deadline(now);
  drive();
}

// --- the connection

void AgentHost::run(agent_effect::Connect&) {
  if (!stopping_) spawn(executor_, converse());
}

asio::awaitable<Result<std::unique_ptr<Connection>>> AgentHost::dial() {
  // Certificates are short lived and replaced by tools that send no signal: each dial looks.
  if (auto fresh = parts_.tls.reload(); !fresh)
    log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
  const auto tls = parts_.tls.current();
  if (const auto& identity = tls->identity()) core_->set_identity(identity->text());
  auto connection = co_await connect(options_.registry, tls, kConnectMs, options_.route.proxy);
  if (!connection) co_return connection;
  const Identity& peer = (*connection)->peer_identity();
  const auto& expected = options_.registry_identity;
  if (!expected || expected->covers(peer)) co_return connection;
  co_await (*connection)->close(limits::kHandshakeMs);
  co_return fail(ErrorCode::kIdentity,
                 fmt::format("{} answered as {}, the configuration expects {}", options_.registry,
                             peer.short_text(), expected->text()));
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
  session_ = &core_->on_connected(read_clock(), (*connection)->peer_validity());
  connection_ = connection->get();
  registry_end_ms_ = connection_->peer_not_after_ms();
  drive();
  const auto ended = co_await pump(**connection, *session_, wake_, [this] {
    core_->on_session_progress(read_clock());
    drive();
  });
  session_ = nullptr;
  connection_ = nullptr;
  registry_end_ms_ = kNever;
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
    // Only the embedded engine compares documents with what they were before.
    const bool compares = parts_.pdp.kind() == "embedded";
    return install_release(request, parts_.store, compares ? &recent_ : nullptr);
  });
  if (!outcome)
    log::write(log::Level::kError, "release_not_installed", outcome.error(),
               {{"ledger", request.ledger.text()}, {"version", request.version}});
  core_->on_installed(std::move(outcome), read_clock());
  drive();
  tidy();
}

void AgentHost::run(agent_effect::TakeStock& effect) {
  spawn(executor_, take_stock(std::move(effect.request)));
}

asio::awaitable<void> AgentHost::take_stock(StockRequest request) {
  auto stock = co_await offload(
      parts_.store_worker, [this, &request] { return notp::take_stock(request, parts_.store); });
  core_->on_stock(request, std::move(stock), read_clock());
  drive();
}

void AgentHost::run(agent_effect::Activate& effect) {
  spawn(executor_, activate(std::move(effect)));
}

asio::awaitable<void> AgentHost::activate(agent_effect::Activate effect) {
  auto composition =
      co_await offload(parts_.store_worker, [this, &effect] { return compose(effect); });
  if (composition) {
    parts_.pdp.activate(std::move(*composition), loader());
  } else {
    core_->on_pdp(effect.goal, composition.error(), read_clock());
    drive();
  }
}

Result<CompositionPtr> AgentHost::compose(const agent_effect::Activate& effect) {
  auto composition = std::make_shared<Composition>();
  composition->as_of_ms = effect.as_of_ms;
  for (const auto& [ledger, stored] : effect.releases) {
    NOTP_ASSIGN(ComposedRelease release, compose_one(stored, effect.goal.at(ledger).standing));
    composition->ledgers.emplace(ledger, std::move(release));
  }
  composed_ = composition;
  return composition;
}

// A release that is in use already is not read again: damage of the store on its way must not keep
// an expired one in force.
Result<ComposedRelease> AgentHost::compose_one(const StoredRelease& stored,
                                               const Standing& standing) {
  if (composed_) {
    const auto before = composed_->ledgers.find(stored.ref.ledger);
    if (before != composed_->ledgers.end() &&
        before->second.ref.release_hash == stored.ref.release_hash) {
      ComposedRelease again = before->second;
      again.standing = standing;
      return again;
    }
  }
  NOTP_ASSIGN(const Envelope envelope, Envelope::decode(stored.envelope));
  NOTP_ASSIGN(Release release, Release::decode(envelope.payload));
  NOTP_ASSIGN(TreePtr tree, parts_.store.tree(stored.ref.ledger, stored.ref.version));
  if (tree->content_root() != stored.ref.content_root)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} v{}: the stored file list is of another release",
                            stored.ref.ledger.text(), stored.ref.version));
  return ComposedRelease{.ref = stored.ref,
                         .data_roots = std::move(release.data_roots),
                         .tree = std::move(tree),
                         .standing = standing};
}

// PDPs load on threads of their own; the store has one.
BlobLoader AgentHost::loader() {
  return [this, stored = stored_contents()](const Hash& hash) -> Result<Content> {
    if (Content content = recent_.take(hash)) return content;
    return stored(hash);
  };
}

BlobLoader AgentHost::stored_contents() {
  return [this](const Hash& hash) -> Result<Content> {
    // Only the work holds the promise: if it is dropped, the wait ends.
    auto loaded = std::make_shared<std::promise<Result<Content>>>();
    auto future = loaded->get_future();
    asio::post(parts_.store_worker.executor(), [this, hash, loaded = std::move(loaded)] {
      loaded->set_value(parts_.store.blob(hash));
    });
    try {
      return future.get();
    } catch (const std::future_error&) {
      return fail(ErrorCode::kCancelled, "the agent stops");
    }
  };
}

void AgentHost::pdp_trouble(const std::string& reason) {
  if (stopping_) return;
  core_->on_pdp_trouble(reason, read_clock());
  drive();
}

void AgentHost::path_quarantined(const LedgerId& ledger, const std::string& path,
                                 const std::string& reason) {
  if (stopping_) return;
  core_->on_path_quarantine(ledger, path, reason, read_clock());
  drive();
}

void AgentHost::on_pdp(const PdpOutcome& outcome) {
  if (stopping_) return;
  recent_.clear();
  if (!outcome.rejected) confirmed_.set(outcome.composition);
  core_->on_pdp(goal_of(*outcome.composition), outcome.rejected, read_clock());
  drive();
}

// --- what has to be durable; the store worker takes one write after the other

void AgentHost::run(agent_effect::PinRoot& effect) {
  log::info("root", {{"version", effect.pinned.root.version}});
  spawn(executor_, keep([this, pinned = std::move(effect.pinned)] {
          return parts_.store.pin_root(pinned.root, pinned.freshness_key_changed);
        }));
}

void AgentHost::run(agent_effect::KeepFreshness& effect) {
  spawn(executor_, keep([this, freshness = std::move(effect.keep)] {
          return parts_.store.keep_freshness(freshness);
        }));
}

void AgentHost::run(agent_effect::KeepTime& effect) {
  spawn(executor_, keep([this, marks = effect.marks] { return parts_.store.keep_time(marks); }));
}

asio::awaitable<void> AgentHost::keep(std::function<Result<void>()> write) {
  const auto kept = co_await offload(parts_.store_worker, std::move(write));
  if (kept) co_return tidy();
  core_->on_store_failed(kept.error(), read_clock());
  drive();
}

// One piece after the other, so that what waits for a slow disk waits in the session.
void AgentHost::stage_next() {
  if (staging_ || stopping_) return;
  auto step = core_->next_staging();
  if (!step) return;
  staging_ = true;
  spawn(executor_, stage(*std::move(step)));
}

asio::awaitable<void> AgentHost::stage(StagingStep step) {
  const auto staged = co_await offload(parts_.staging_worker, [this, &step]() -> Result<void> {
    if (const auto* piece = std::get_if<StagedPiece>(&step)) return parts_.staging.write(*piece);
    parts_.staging.drop(std::get<DropStaged>(step).ledger);
    return {};
  });
  staging_ = false;
  if (!staged) {
    log::write(log::Level::kWarn, "staging_failed", staged.error());
    core_->stop_staging();
  }
  stage_next();
}

void AgentHost::tidy() {
  if (tidying_ || stopping_) return;
  tidying_ = true;
  spawn(executor_, collect());
}

// In the pauses of the store: an installation waits for one step at most.
asio::awaitable<void> AgentHost::collect() {
  for (bool more = true; more && !stopping_;) {
    const auto collected =
        co_await offload(parts_.store_worker, [this] { return parts_.store.collect(); });
    if (!collected) log::write(log::Level::kWarn, "garbage_not_collected", collected.error());
    more = collected && *collected;
  }
  tidying_ = false;
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

void AgentHost::run(agent_effect::Aged& effect) {
  const Standing& standing = effect.standing;
  const bool expired = standing.state == FreshnessState::kExpired;
  log::write(expired ? log::Level::kError : log::Level::kInfo, "freshness",
             {{"ledger", effect.ledger.text()},
              {"version", effect.version},
              {"state", freshness_state_name(standing.state)},
              {"withdrawn", standing.withdrawn},
              {"denies", standing.denies()},
              {"vouched_ms", standing.vouched_ms}});
}

void AgentHost::run(agent_effect::RootAged& effect) {
  const RootExpiry expiry = root_expiry(effect.root.expires_ms, effect.at_ms);
  log::write(
      expiry == RootExpiry::kFar    ? log::Level::kInfo
      : expiry == RootExpiry::kSoon ? log::Level::kWarn
                                    : log::Level::kError,
      "root_expiry",
      {{"state", root_expiry_name(expiry)},
       {"root_version", effect.root.version},
       {"expires", effect.root.expires_ms == 0 ? "never" : utc_time(effect.root.expires_ms)},
       {"message", expiry == RootExpiry::kFar ? "a newer root has come"
                                              : root_expiry_text(effect.root, effect.at_ms)}});
}

void AgentHost::run(agent_effect::Answered& effect) {
  if (options_.on_answer) options_.on_answer(std::move(effect.response));
}

}  // namespace notp
