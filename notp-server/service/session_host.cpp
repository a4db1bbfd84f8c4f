#include "notp-server/service/session_host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "notp-server/service/peer_error.hpp"
#include "protocol/transport/pump.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

constexpr uint32_t kComeBackMs = 1'000;

PreparedArtifact prepared(const ArtifactPtr& artifact) {
  return {.id = artifact->id,
          .encoding_tier = artifact->effort,
          .bytes = Content(artifact, &artifact->bytes),
          .partial = {}};
}

// Between two published releases, or a published one whole: what others may want as well.
bool is_plain(const server_event::ArtifactNeeded& need) {
  return need.pending_hash.is_zero() && need.missing_blobs.empty() && !need.inventory;
}

WantedArtifact wanted(const server_event::ArtifactNeeded& need) {
  return {need.ledger, need.version, need.base_version, need.resume};
}

}  // namespace

SessionHost::SessionHost(Service& service, Service::Lane& lane, asio::ip::tcp::socket socket)
    : service_(service),
      lane_(lane),
      verified_under_(service.parts_.tls.current()),
      connection_(std::move(socket), verified_under_),
      wake_(lane.context.get_executor()) {}

SessionHost::~SessionHost() = default;

asio::awaitable<void> SessionHost::run() {
  const auto self = shared_from_this();
  lane_.sessions.insert(this);
  const uint64_t number = service_.handshake_began(self, lane_);
  auto shaken = co_await connection_.handshake(limits::kHandshakeMs);
  service_.handshake_ended(number);
  if (shaken) {
    ++service_.counters_.sessions;
    co_await serve();
    --service_.counters_.sessions;
  } else if (!service_.stopping_) {
    ++service_.counters_.handshakes_refused;
    log::write(log::Level::kWarn, "handshake_refused", shaken.error(),
               {{"peer", connection_.peer_address()}});
  }
  lane_.sessions.erase(this);
}

asio::awaitable<void> SessionHost::serve() {
  identity_ = connection_.peer_identity().text();
  ServerInfo info = service_.parts_.introduction;
  info.peer = identity_;
  session_.emplace(ServerPorts{service_.catalog_, service_.catalog_, *this,
                               &service_.parts_.freshness, &service_.parts_.uploads},
                   std::move(info), read_clock());
  sends_.emplace(service_.sends_, [weak = weak_from_this(), &lane = lane_] {
    asio::post(lane.context, [weak] {
      if (const auto host = weak.lock()) host->make_room();
    });
  });
  session_->set_meter(this);
  service_.expect_end(lane_, connection_.peer_not_after_ms());
  if (const auto checked = check_peer(); !checked) {
    session_->refuse(checked.error());
    co_await pump(connection_, *session_, wake_, [this] { handle_events(); });
    co_return handle_events();
  }
  const auto admitted = service_.admit(identity_);
  if (!admitted) session_->refuse(admitted.error(), kComeBackMs);
  if (admitted) note_key();
  co_await pump(connection_, *session_, wake_, [this] { handle_events(); });
  handle_events();
  if (!admitted) co_return;
  const bool last = service_.depart(identity_);
  if (last && connection_.peer_identity().role == Role::kNode)
    if (auto seen = service_.parts_.fleet.node_seen(identity_, {}, false, read_clock().wall_ms);
        !seen)
      log::write(log::Level::kError, "fleet_not_written", seen.error());
}

Result<void> SessionHost::may(Action action, const LedgerId* ledger) const {
  return service_.parts_.rights.get()->may(connection_.peer_identity(), action, ledger);
}

// Authorities may have been reloaded while hands were shaken.
Result<void> SessionHost::check_peer() {
  if (service_.parts_.denied != nullptr) NOTP_TRY(service_.parts_.denied->check(identity_));
  if (const Enrollment* enrollment = service_.parts_.enrollment; enrollment != nullptr)
    NOTP_TRY(enrollment->check_key(connection_.peer_identity(), connection_.peer_key()));
  auto tls = service_.parts_.tls.current();
  if (tls == verified_under_ && read_clock().wall_ms < connection_.peer_not_after_ms()) return {};
  NOTP_TRY(connection_.verify_peer_again(*tls));
  verified_under_ = std::move(tls);
  return {};
}

// Its key is remembered, or the former one of its name ends.
void SessionHost::note_key() {
  Enrollment* const enrollment = service_.parts_.enrollment;
  if (enrollment == nullptr ||
      !enrollment->is_news(connection_.peer_identity(), connection_.peer_key()))
    return;
  spawn(lane_.context.get_executor(),
        [](std::shared_ptr<SessionHost> self, Enrollment& keeper) -> asio::awaitable<void> {
          const Connection& connection = self->connection_;
          const auto noted =
              co_await offload(self->service_.work_.orders, self->identity_, [&]() -> Result<void> {
                return keeper.seen_key(connection.peer_identity(), connection.peer_key());
              });
          if (!noted)
            log::write(log::Level::kError, "key_not_kept", noted.error(),
                       {{"identity", self->identity_}});
        }(shared_from_this(), *enrollment));
}

void SessionHost::recheck() {
  if (!session_ || session_->is_closed()) return;
  const auto checked = check_peer();
  if (checked) return;
  session_->refuse(checked.error());
  handle_events();
  wake_.notify();
}

void SessionHost::head_changed(const LedgerId& ledger) {
  if (!session_) return;
  session_->target_changed(ledger);
  handle_events();
  wake_.notify();
}

void SessionHost::roots_changed() {
  if (!session_) return;
  session_->roots_changed(read_clock());
  handle_events();
  wake_.notify();
}

void SessionHost::freshness_due() {
  if (!session_) return;
  session_->freshness_due_now(read_clock());
  wake_.notify();
}

void SessionHost::say_bye(const std::string& reason, uint32_t retry_after_ms) {
  if (!session_) return connection_.abort();
  session_->say_bye(reason, retry_after_ms);
  wake_.notify();
}

void SessionHost::sending(size_t bytes, size_t taken) {
  sends_->set(bytes, taken, read_clock().boot_ms);
}

void SessionHost::make_room() {
  session_->give_up({ErrorCode::kOverloaded,
                     "this client reads slower than others, and the registry needs the room",
                     {}},
                    kComeBackMs);
  handle_events();
  wake_.notify();
}

void SessionHost::handle_events() {
  for (auto events = session_->take_events(); !events.empty(); events = session_->take_events())
    for (ServerEvent& event : events) std::visit([this](auto& e) { handle(e); }, event);
}

void SessionHost::handle(server_event::Greeted& event) {
  log::info("session_opened", {{"identity", identity_},
                               {"peer", connection_.peer_address()},
                               {"agent", event.agent},
                               {"ledgers", event.ledgers.size()}});
  if (connection_.peer_identity().role != Role::kNode) return;
  auto seen = service_.parts_.fleet.node_seen(identity_, event.agent, true, read_clock().wall_ms);
  if (seen) seen = service_.parts_.fleet.subscribed(identity_, event.ledgers);
  if (!seen) log::write(log::Level::kError, "fleet_not_written", seen.error());
}

void SessionHost::handle(server_event::Refused& event) {
  ++service_.counters_.sessions_refused;
  const bool right = event.error.code == ErrorCode::kDenied;
  log::write(right ? log::Level::kWarn : log::Level::kError,
             right ? "right_refused" : "ledger_not_served", event.error, {{"identity", identity_}});
}

void SessionHost::handle(server_event::Unsendable& event) {
  log::write(log::Level::kError, "message_not_sent", event.error, {{"identity", identity_}});
}

void SessionHost::handle(server_event::Closed& event) {
  const bool ordinary =
      event.error.code == ErrorCode::kCancelled || event.error.code == ErrorCode::kUnavailable;
  if (!ordinary) ++service_.counters_.sessions_refused;
  if (event.error.code == ErrorCode::kRevoked || event.error.code == ErrorCode::kDenied)
    ++service_.counters_.sessions_revoked;
  log::write(ordinary ? log::Level::kInfo : log::Level::kWarn,
             ordinary ? "session_closed" : "session_refused", event.error,
             {{"identity", identity_}, {"peer", connection_.peer_address()}});
  const bool is_distrust =
      event.error.code == ErrorCode::kRollback || event.error.code == ErrorCode::kEquivocation;
  if (is_distrust && connection_.peer_identity().role == Role::kNode)
    service_.parts_.fleet.refused(identity_, event.error);
}

void SessionHost::handle(server_event::Committed& event) {
  log::info("commit", {{"identity", identity_},
                       {"ledger", event.commit.ledger.text()},
                       {"version", event.commit.version},
                       {"state", wire::commit_state_name(event.commit.state)},
                       {"message", event.commit.message}});
  if (connection_.peer_identity().role != Role::kNode) return;
  if (auto kept = service_.parts_.fleet.report(identity_, event.commit, read_clock().wall_ms);
      !kept)
    log::write(log::Level::kError, "fleet_not_written", kept.error());
}

void SessionHost::handle(server_event::Vouched& event) {
  if (connection_.peer_identity().role == Role::kNode)
    service_.parts_.fleet.vouched(identity_, event.freshness);
}

// --- artifacts

ArtifactPtr SessionHost::cached(const server_event::ArtifactNeeded& need) const {
  return is_plain(need) ? service_.source_.cached(wanted(need)) : nullptr;
}

void SessionHost::handle(server_event::ArtifactNeeded& event) {
  ++service_.counters_.offers;
  if (const ArtifactPtr artifact = cached(event))
    return hand_over(event.ticket, prepared(artifact));
  spawn(lane_.context.get_executor(), fetch_artifact(std::move(event)));
}

// Who comes back in a moment finds room, as the slowest reader has to go.
void SessionHost::hand_over(uint64_t ticket, PreparedArtifact artifact) {
  auto held = service_.sends_.hold(artifact.bytes, read_clock().boot_ms);
  if (!held) return session_->refuse(held.error(), kComeBackMs);
  artifact.bytes = *std::move(held);
  session_->artifact_ready(ticket, std::move(artifact));
}

asio::awaitable<void> SessionHost::fetch_artifact(server_event::ArtifactNeeded need) {
  const auto self = shared_from_this();
  auto outcome = co_await obtain(need);
  if (session_->is_closed()) co_return;
  if (!outcome)
    artifact_failed(need, std::move(outcome).error().with("ledger", need.ledger.text()));
  else if (!*outcome)
    session_->inventory_unclear(need.ticket);
  else
    hand_over(need.ticket, std::move(**outcome));
  handle_events();
  wake_.notify();
}

// Who asked for more than there is room for comes back in a while: nothing else would bring it what
// it waits for.
void SessionHost::artifact_failed(const server_event::ArtifactNeeded& need, Error error) {
  if (error.code == ErrorCode::kOverloaded) return session_->refuse(error, kComeBackMs);
  if (is_own_matter(error.code)) {
    log::write(log::Level::kError, "artifact_failed", error, {{"identity", identity_}});
    error.message = peer_message(error.code, std::move(error.message),
                                 fmt::format("{} v{}", need.ledger.text(), need.version));
  }
  session_->artifact_ready(need.ticket, std::unexpected(std::move(error)));
}

asio::awaitable<Result<std::optional<PreparedArtifact>>> SessionHost::obtain(
    const server_event::ArtifactNeeded& need) {
  if (!is_plain(need))
    co_return co_await offload(service_.work_.artifacts, identity_,
                               [this, &need] { return make_special(need); });
  const auto artifact = co_await service_.source_.fetch(identity_, wanted(need));
  if (!artifact) co_return std::unexpected(artifact.error());
  co_return prepared(*artifact);
}

Result<std::optional<PreparedArtifact>> SessionHost::make_special(
    const server_event::ArtifactNeeded& need) const {
  Registry& registry = service_.parts_.registry;
  SnapshotPtr base;
  if (need.base_version != 0) {
    NOTP_ASSIGN(base, registry.snapshot(need.ledger, need.base_version));
  }
  if (!need.pending_hash.is_zero()) {
    NOTP_ASSIGN(
        const ArtifactPtr artifact,
        service_.door_.pending_artifact(need.ledger, need.version, need.pending_hash, base));
    return prepared(artifact);
  }
  NOTP_ASSIGN(const SnapshotPtr target, registry.snapshot(need.ledger, need.version));
  return service_.partials_.make(need, base, target);
}

// --- publishes

void SessionHost::handle(server_event::PublishArrived& event) {
  spawn(lane_.context.get_executor(), publish(std::move(event)));
}

asio::awaitable<void> SessionHost::publish(server_event::PublishArrived arrived) {
  const auto self = shared_from_this();
  const LedgerId ledger = arrived.publish.ledger;
  const uint64_t request = arrived.publish.request, version = arrived.publish.version;
  PublishAttempt attempt{
      std::move(arrived.publish), {}, connection_.peer_identity(), read_clock().wall_ms};
  // Whom the deny list names is to be out at once.
  const bool is_order = service_.options_.facts.deny_list == ledger;
  auto handled =
      co_await offload(is_order ? service_.work_.now_publishes : service_.work_.validations,
                       identity_, [this, &attempt, &arrived]() -> Result<PublishOutcome> {
                         // Its room in the budget is given back when the publish is done.
                         NOTP_ASSIGN(attempt.artifact, arrived.artifact->take());
                         PublishOutcome outcome = service_.door_.handle(std::move(attempt));
                         if (outcome.published) service_.take_in(outcome.published->ref.ledger);
                         return outcome;
                       });
  wire::PublishResult result;
  if (handled) {
    result = std::move(handled->result);
    if (handled->published) {
      ++service_.counters_.publishes;
      service_.announce(ledger);
    }
  } else {
    result.request = request;
    result.code = static_cast<uint32_t>(handled.error().code);
    result.message = handled.error().message;
  }
  if (result.code != 0) ++service_.counters_.publishes_refused;
  log::write(result.code == 0 ? log::Level::kInfo : log::Level::kWarn,
             result.code != 0        ? "publish_refused"
             : result.threshold != 0 ? "publish_waits"
                                     : "published",
             {{"identity", identity_},
              {"ledger", ledger.text()},
              {"version", result.version},
              {"release", result.release_hash.brief()},
              {"commit", result.commit},
              {"code", result.code},
              {"message", result.message}});
  result.message = peer_message(error_code_from_wire(result.code), std::move(result.message),
                                fmt::format("{} v{}", ledger.text(), version));
  session_->publish_done(std::move(result));
  handle_events();
  wake_.notify();
}

// --- queries

void SessionHost::hide_own_matters(wire::Answer& answer) const {
  const auto hide = [&](uint32_t code, std::string& message, std::string_view about) {
    if (code == 0 || !is_own_matter(error_code_from_wire(code))) return;
    log::write(log::Level::kError, "query_failed", Error{error_code_from_wire(code), message, {}},
               {{"identity", identity_}});
    message = peer_message(error_code_from_wire(code), std::move(message), about);
  };
  hide(answer.code, answer.message, "");
  if (answer.published) hide(answer.published->code, answer.published->message, "");
}

void SessionHost::handle(server_event::Asked& event) {
  spawn(lane_.context.get_executor(), answer(std::move(event.query)));
}

asio::awaitable<void> SessionHost::answer(wire::Query query) {
  const auto self = shared_from_this();
  // A last signature publishes.
  const bool publishes = std::holds_alternative<wire::Cosign>(query.what);
  WorkLanes& work = service_.work_;
  FairLane& lane = publishes ? work.now_publishes : work.for_query(query);
  auto outcome = co_await offload(lane, identity_, [this, &query]() -> Result<DeskAnswer> {
    DeskAnswer answer = service_.desk_.handle(query, connection_.peer_identity(),
                                              connection_.peer_key(), read_clock().wall_ms);
    if (answer.new_head) service_.take_in(*answer.new_head);
    return answer;
  });
  DeskAnswer handled = outcome ? std::move(*outcome) : refusal(query, outcome.error());
  if (handled.roots_changed) service_.roots_changed();
  if (handled.freshness_due) service_.freshness_due();
  if (handled.new_head) {
    ++service_.counters_.publishes;
    service_.announce(*handled.new_head);
  }
  hide_own_matters(handled.answer);
  session_->answer(std::move(handled.answer));
  handle_events();
  wake_.notify();
}

}  // namespace notp
