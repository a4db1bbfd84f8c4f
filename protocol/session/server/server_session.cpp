#include "protocol/session/server/server_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "common/limits.hpp"

namespace notp::session {
namespace {

template <typename T, typename... Options>
constexpr bool is_one_of = (std::is_same_v<T, Options> || ...);

}  // namespace

ServerSession::ServerSession(ServerPorts ports, ServerInfo info, Now now)
    : SessionBase(now, {wire::Hello::kName, limits::kFirstFrameMs}, /*pings=*/false),
      context_{.ports = ports, .info = std::move(info), .output = *this} {}

Result<void> ServerSession::on_message(wire::Message&& message, Now now) {
  return std::visit(
      [this, now](auto&& value) -> Result<void> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, wire::Hello>) return on_hello(std::move(value), now);
        if (!greeted_) return fail(ErrorCode::kState, "the first message must be Hello");
        if constexpr (std::is_same_v<T, wire::WantMore>) {
          NOTP_TRY(subscriptions_.on_message(std::move(value), now));
          sources_changed();
          return {};
        }
        if constexpr (is_one_of<T, wire::Commit, wire::Inventory>)
          return subscriptions_.on_message(std::move(value), now);
        if constexpr (std::is_same_v<T, wire::UnknownKey>)
          return report(server_event::UnknownKeyMet{std::move(value)});
        if constexpr (std::is_same_v<T, wire::LaneSubscribe>)
          return report(server_event::LaneSubscribed{std::move(value)});
        if constexpr (std::is_same_v<T, wire::LaneAsk>)
          return report(server_event::LaneAsked{std::move(value)});
        if constexpr (std::is_same_v<T, wire::LaneApplied>)
          return report(server_event::LaneAppliedArrived{std::move(value)});
        if constexpr (is_one_of<T, wire::Publish, wire::Segment>)
          NOTP_TRY(check_stream(value.stream));
        if constexpr (std::is_same_v<T, wire::Publish>)
          return transfers_.on_message(std::move(value), now);
        if constexpr (is_one_of<T, wire::LogAnnouncement, wire::Segment, wire::LogWitness>)
          return logs_.on_message(std::move(value), now);
        if constexpr (std::is_same_v<T, wire::Return>)
          if (value.code == 0) NOTP_TRY(check_stream(value.stream));
        if constexpr (is_one_of<T, wire::Held, wire::Return>)
          return holdings_.on_message(std::move(value), now);
        if constexpr (std::is_same_v<T, wire::Chunk>) return on_chunk(value, now);
        if constexpr (std::is_same_v<T, wire::Request>)
          return requests_.on_message(std::move(value), now);
        return fail(ErrorCode::kState, "a client sent a message that only a registry may send");
      },
      std::move(message));
}

Result<void> ServerSession::on_hello(wire::Hello&& hello, Now now) {
  if (greeted_) return fail(ErrorCode::kState, "a second Hello");
  if (std::ranges::find(hello.versions, wire::kProtocolVersion) == hello.versions.end())
    return fail(ErrorCode::kVersion,
                fmt::format("this registry speaks protocol version {} only; upgrade the client",
                            wire::kProtocolVersion));
  greeted_ = true;
  established();
  wire::Welcome welcome{.version = wire::kProtocolVersion,
                        .server = context_.info.server,
                        .trust_domain = context_.info.trust_domain,
                        .root_version = context_.ports.catalog.newest_root(),
                        .heads = {},
                        .refusals = {}};
  freshness_.on_hello(hello);
  subscriptions_.on_hello(hello);
  const std::optional<wire::LogOffer> log = std::move(hello.log);
  // Inserted as the first event, although its ledgers are known only after the artifacts have been
  // requested.
  const auto first = static_cast<ptrdiff_t>(context_.events.size());
  subscriptions_.grant(std::move(hello.wants), welcome);
  context_.events.insert(
      context_.events.begin() + first,
      server_event::Greeted{std::move(hello.user_agent), subscriptions_.ledgers()});
  for (const wire::Refusal& refusal : welcome.refusals)
    context_.events.push_back(server_event::Refused{{refusal.code, refusal.message, {}}});
  // The Welcome precedes the offers that granting has started: those wait for their artifacts.
  send(welcome);
  subscriptions_.send_inventory_requests();
  const bool holds_more = subscriptions_.report_holdings();
  if (log) logs_.on_offer(*log);
  sources_changed();
  return freshness_.start(now, holds_more);
}

Result<void> ServerSession::report(ServerEvent event) {
  context_.events.push_back(std::move(event));
  return {};
}

Result<void> ServerSession::on_chunk(const wire::Chunk& chunk, Now now) {
  if (logs_.receives(chunk.stream)) return logs_.on_message(chunk, now);
  if (holdings_.receives(chunk.stream)) return holdings_.on_message(chunk, now);
  return transfers_.on_message(chunk, now);
}

Result<void> ServerSession::check_stream(uint32_t stream) const {
  if (!logs_.receives(stream) && !transfers_.receives(stream) && !holdings_.receives(stream))
    return {};
  return fail(ErrorCode::kState, "an upload or a segment on a stream that is in use");
}

Result<void> ServerSession::check_subscribed(const model::LedgerId& ledger) const {
  if (!is_closed() && subscriptions_.contains(ledger)) return {};
  return fail(ErrorCode::kState,
              fmt::format("this session does not serve {} to its node", ledger.text()));
}

void ServerSession::sources_changed() {
  if (!greeted_ || is_closed() || context_.ports.sources == nullptr) return;
  wire::SourceStatus status;
  for (const wire::IssuerStatus& issuer : context_.ports.sources->issuers()->issuers)
    if (subscriptions_.contains(issuer.ledger)) status.issuers.push_back(issuer);
  // A peer that follows ledgers learns with the first one, too, which issuers there are not.
  if (status == sent_sources_ || (!sent_sources_ && subscriptions_.ledgers().empty())) return;
  send(status);
  sent_sources_ = std::move(status);
}

Result<void> ServerSession::release_held(const wire::ReleaseHeld& release) {
  NOTP_TRY(check_subscribed(release.ledger));
  send(release);
  return {};
}

Result<void> ServerSession::ask_held(const wire::HeldRequest& request) {
  NOTP_TRY(check_subscribed(request.ledger));
  return holdings_.ask_held(request);
}

Result<void> ServerSession::ask_return(const wire::ReturnRequest& request, Now now) {
  NOTP_TRY(check_subscribed(request.ledger));
  return holdings_.ask_return(request, now);
}

void ServerSession::artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact) {
  transfers_.ticket_done();
  if (is_closed() || transfers_.single_ready(ticket, artifact)) return;
  subscriptions_.artifact_ready(ticket, std::move(artifact));
}

void ServerSession::inventory_unclear(uint64_t ticket) {
  transfers_.ticket_done();
  if (!is_closed()) subscriptions_.inventory_unclear(ticket);
}

void ServerSession::target_changed(const model::LedgerId& ledger) {
  if (!is_closed()) subscriptions_.target_changed(ledger);
}

void ServerSession::roots_changed(Now now) {
  if (!greeted_) return;
  freshness_.send_roots();
  if (!is_closed()) subscriptions_.roots_changed();
  freshness_.hasten(now);
}

TimeMs ServerSession::own_deadline() const {
  return std::min({transfers_.next_deadline(), logs_.next_deadline(), holdings_.next_deadline(),
                   freshness_.next_deadline()});
}

void ServerSession::on_own_deadline(Now now) {
  if (now.boot_ms >= transfers_.next_deadline()) return transfers_.on_deadline(now);
  if (now.boot_ms >= logs_.next_deadline()) return logs_.on_deadline(now);
  if (now.boot_ms >= holdings_.next_deadline()) return holdings_.on_deadline(now);
  freshness_.on_deadline(now);
}

void ServerSession::on_unsendable(const Error& error) {
  context_.events.push_back(server_event::Unsendable{error});
}

void ServerSession::on_closed(const Error& error, uint32_t, Now) {
  transfers_.drop_uploads();
  logs_.drop_segment();
  holdings_.drop_artifact();
  context_.events.push_back(server_event::Closed{error});
}

}  // namespace notp::session
