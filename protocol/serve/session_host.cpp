#include "protocol/serve/session_host.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <type_traits>
#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/serve/peer_error.hpp"

namespace notp::serve {

namespace asio = boost::asio;

namespace {

constexpr uint32_t kComeBackMs = 1'000;

}  // namespace

SessionHost::SessionHost(const HostContext& context, IoThread& thread, asio::ip::tcp::socket socket,
                         HandshakeQueue::Ticket ticket)
    : context_(context),
      thread_(thread),
      ticket_(ticket),
      verified_under_(context.services.tls.current()),
      connection_(std::move(socket), verified_under_),
      logs_(context.services.logs),
      recovery_(context.services.recovery, context.next_session),
      lane_(context.services.lanes) {}

SessionHost::~SessionHost() = default;

asio::awaitable<void> SessionHost::run() {
  const auto self = shared_from_this();
  thread_.add(*this);
  auto shaken = co_await connection_.handshake(limits::kHandshakeMs);
  thread_.handshakes().ended(ticket_);
  if (shaken && context_.stopping) {
    connection_.abort();  // those that were there have their Bye
  } else if (shaken) {
    ++context_.counters.sessions;
    co_await serve();
    --context_.counters.sessions;
  } else if (!context_.stopping) {
    ++context_.counters.handshakes_refused;
    log::write(log::Level::kWarn, "handshake_refused", shaken.error(),
               {{"peer", connection_.peer_address()}});
  }
  thread_.remove(*this);
}

asio::awaitable<void> SessionHost::serve() {
  const SessionServices& services = context_.services;
  const session::Identity& identity = connection_.peer_identity();
  peer_ = std::make_shared<const Peer>(identity, identity.text(), connection_.peer_key());
  session::ServerInfo info = services.info;
  info.peer = peer_->name;
  session_.emplace(
      session::ServerPorts{services.catalog, services.targets, *this, services.freshness,
                           services.uploads, services.sources, context_.classes},
      std::move(info), read_clock());
  sends_.emplace(context_.sends, [weak = weak_from_this(), executor = thread_.executor()] {
    asio::post(executor, [weak] {
      if (const auto host = weak.lock()) host->make_room();
    });
  });
  session_->set_meter(this);
  recovery_.begin({0, peer_->name, weak_from_this(), &thread_});
  logs_.begin({.session = &*session_,
               .peer = peer_,
               .thread = &thread_,
               .host = weak_from_this(),
               .progress = [this] { progress(); }});
  lane_.begin({.session = &*session_,
               .readers = &thread_.lane_readers(),
               .number = context_.next_session++,
               .identity = peer_->identity,
               .wake = [this] { wake_.notify(); }});
  thread_.expect_end(connection_.peer_not_after_ms());
  const auto checked = check_peer();
  if (!checked) session_->refuse(checked.error());
  const auto admitted = checked ? context_.admission.admit(peer_->name) : checked;
  if (checked && !admitted) session_->refuse(admitted.error(), kComeBackMs);
  if (admitted) services.peers.admitted(peer_);
  co_await transport::pump(connection_, *session_, wake_, [this] { handle_events(); });
  handle_events();
  recovery_.end();
  lane_.end();
  if (admitted && context_.admission.depart(peer_->name)) services.observer.departed(*peer_);
}

Result<void> SessionHost::may(wire::Action action, const model::LedgerId* ledger) const {
  return context_.services.peers.may(*peer_, action, ledger);
}

// Authorities may have been reloaded during the handshake.
Result<void> SessionHost::check_peer() {
  NOTP_TRY(context_.services.peers.check(*peer_));
  auto tls = context_.services.tls.current();
  if (tls == verified_under_ && read_clock().wall_ms < connection_.peer_not_after_ms()) return {};
  NOTP_TRY(connection_.verify_peer_again(*tls));
  verified_under_ = std::move(tls);
  return {};
}

void SessionHost::recheck() {
  if (!session_ || session_->is_closed()) return;
  const auto checked = check_peer();
  if (checked) return;
  session_->refuse(checked.error());
  progress();
}

void SessionHost::target_changed(const model::LedgerId& ledger) {
  if (!session_) return;
  session_->target_changed(ledger);
  progress();
}

void SessionHost::roots_changed() {
  if (!session_) return;
  session_->roots_changed(read_clock());
  progress();
}

void SessionHost::freshness_due() {
  if (!session_) return;
  session_->freshness_due_now(read_clock());
  wake_.notify();
}

void SessionHost::release_held(const wire::ReleaseHeld& release) {
  if (session_ && !session_->is_closed() && session_->release_held(release)) wake_.notify();
}

void SessionHost::say_bye(const std::string& reason, uint32_t retry_after_ms) {
  if (!session_) return connection_.abort();
  session_->say_bye(reason, retry_after_ms);
  wake_.notify();
}

void SessionHost::end_handshake() {
  if (!session_) connection_.abort();
}

void SessionHost::sending(size_t bytes, size_t taken) {
  sends_->set(bytes, taken, read_clock().boot_ms);
  lane_.on_output(taken > 0);
}

void SessionHost::sources_changed() {
  if (!session_) return;
  session_->sources_changed();
  wake_.notify();
}

void SessionHost::make_room() {
  session_->give_up({ErrorCode::kOverloaded,
                     "this client reads slower than others, and the registry needs the room",
                     {}},
                    kComeBackMs);
  progress();
}

void SessionHost::progress() {
  handle_events();
  wake_.notify();
}

void SessionHost::ask(const std::variant<wire::HeldRequest, wire::ReturnRequest>& question) {
  if (!session_) return;
  std::visit([this](const auto& request) { recovery_.ask(*session_, request); }, question);
  progress();
}

// --- events

void SessionHost::handle(auto& event) {
  using Event = std::decay_t<decltype(event)>;
  if constexpr (std::is_constructible_v<SessionLogs::Work, Event>)
    logs_.take(SessionLogs::Work(std::move(event)));
  else if constexpr (std::is_same_v<Event, session::server_event::WitnessArrived>)
    logs_.take(event);
  else if constexpr (requires(Now now) { lane_.take(event, now); })
    lane_.take(event, read_clock());
  else
    recovery_.take(event);
}

void SessionHost::handle_events() {
  for (auto events = session_->take_events(); !events.empty(); events = session_->take_events())
    for (session::ServerEvent& event : events) std::visit([this](auto& e) { handle(e); }, event);
}

void SessionHost::handle(session::server_event::Greeted& event) {
  log::info("session_opened", {{"identity", peer_->name},
                               {"peer", connection_.peer_address()},
                               {"agent", event.user_agent},
                               {"ledgers", event.ledgers.size()}});
  if (peer_->identity.role == session::Role::kNode) pushes_.joined(peer_->name, event.ledgers);
  context_.services.observer.greeted(*peer_, event);
}

void SessionHost::handle(session::server_event::Refused& event) {
  ++context_.counters.sessions_refused;
  const bool right = event.error.code == ErrorCode::kDenied;
  log::write(right ? log::Level::kWarn : log::Level::kError,
             right ? "right_refused" : "ledger_not_served", event.error,
             {{"identity", peer_->name}});
}

void SessionHost::handle(session::server_event::Unsendable& event) {
  log::write(log::Level::kError, "message_not_sent", event.error, {{"identity", peer_->name}});
}

void SessionHost::handle(session::server_event::Closed& event) {
  const bool ordinary =
      event.error.code == ErrorCode::kCancelled || event.error.code == ErrorCode::kUnavailable;
  if (!ordinary) ++context_.counters.sessions_refused;
  if (event.error.code == ErrorCode::kRevoked || event.error.code == ErrorCode::kDenied)
    ++context_.counters.sessions_revoked;
  log::write(ordinary ? log::Level::kInfo : log::Level::kWarn,
             ordinary ? "session_closed" : "session_refused", event.error,
             {{"identity", peer_->name}, {"peer", connection_.peer_address()}});
  pushes_.closed(event.error.code);
  context_.services.observer.closed(*peer_, event.error);
}

void SessionHost::handle(session::server_event::Committed& event) {
  context_.commits.add(event.commit);
  pushes_.committed(event.commit);
  log::debug("commit", {{"identity", peer_->name},
                        {"ledger", event.commit.ledger.text()},
                        {"version", event.commit.version},
                        {"state", wire::commit_state_name(event.commit.state)},
                        {"message", event.commit.message}});
  context_.services.observer.committed(*peer_, event.commit);
}

void SessionHost::handle(session::server_event::Attested& event) {
  context_.services.observer.attested(*peer_, *event.freshness);
}

void SessionHost::handle(session::server_event::UnknownKeyMet& event) {
  if (KeySources* const sources = context_.services.sources)
    sources->unknown_key(*peer_, event.key);
}

// --- artifacts

void SessionHost::handle(session::server_event::ArtifactNeeded& event) {
  ++context_.counters.offers;
  pushes_.began(event, read_clock().boot_ms);
  if (auto artifact = context_.services.artifacts.cached(event)) {
    pushes_.sent(event, *artifact);
    return hand_over(event.ticket, *std::move(artifact));
  }
  spawn(thread_.executor(), fetch_artifact(std::move(event)));
}

// A peer that retries soon will fit, because the slowest reader's session ends.
void SessionHost::hand_over(uint64_t ticket, session::PreparedArtifact artifact) {
  // Small ones of the cache are shared by all sessions.
  if (artifact.bytes->size() > session::OfferFrames::kArtifactBytesMax || !artifact.frames) {
    auto held = context_.sends.hold(artifact.bytes, read_clock().boot_ms);
    if (!held) return session_->refuse(held.error(), kComeBackMs);
    artifact.bytes = *std::move(held);
  }
  context_.counters.artifact_bytes += artifact.bytes->size();
  session_->artifact_ready(ticket, std::move(artifact));
}

asio::awaitable<void> SessionHost::fetch_artifact(session::server_event::ArtifactNeeded need) {
  const auto self = shared_from_this();
  Span making = pushes_.making(need);
  auto outcome = co_await context_.services.artifacts.obtain(peer_->name, need);
  making.end_with(outcome);
  if (session_->is_closed()) co_return;
  if (!outcome)
    artifact_failed(need, std::move(outcome).error().with("ledger", need.ledger.text()));
  else if (!*outcome)
    session_->inventory_unclear(need.ticket);
  else {
    pushes_.sent(need, **outcome);
    hand_over(need.ticket, std::move(**outcome));
  }
  progress();
}

// A peer whose request does not fit reconnects later: nothing else would deliver what it waits for.
void SessionHost::artifact_failed(const session::server_event::ArtifactNeeded& need, Error error) {
  pushes_.failed(need, error.code);
  if (error.code == ErrorCode::kOverloaded) return session_->refuse(error, kComeBackMs);
  if (is_own_matter(error.code)) {
    log::write(log::Level::kError, "artifact_failed", error, {{"identity", peer_->name}});
    error.message = peer_message(error.code, std::move(error.message),
                                 fmt::format("{} v{}", need.ledger.text(), need.version));
  }
  session_->artifact_ready(need.ticket, std::unexpected(std::move(error)));
}

// --- publishes and requests

void SessionHost::handle(session::server_event::PublishArrived& event) {
  spawn(thread_.executor(), publish(std::move(event)));
}

asio::awaitable<void> SessionHost::publish(session::server_event::PublishArrived arrived) {
  const auto self = shared_from_this();
  auto result = co_await context_.services.requests.publish(peer_, std::move(arrived));
  session_->publish_done(std::move(result));
  progress();
}

void SessionHost::handle(session::server_event::Asked& event) {
  spawn(thread_.executor(), answer(std::move(event.request)));
}

asio::awaitable<void> SessionHost::answer(wire::Request request) {
  const auto self = shared_from_this();
  auto response = co_await context_.services.requests.answer(peer_, std::move(request));
  session_->answer(std::move(response));
  progress();
}

}  // namespace notp::serve
