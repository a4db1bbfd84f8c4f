#include "protocol/session/server_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp {
namespace {

wire::Head wire_head(const LedgerId& ledger, const std::optional<CatalogEntry>& entry) {
  wire::Head head{
      .ledger = ledger, .version = 0, .release_hash = {}, .content_root = {}, .epoch = 0};
  if (!entry) return head;
  head.version = entry->version;
  head.release_hash = entry->release;
  head.content_root = entry->content_root;
  head.epoch = entry->epoch;
  return head;
}

bool knows(const Catalog& catalog, const LedgerId& ledger, const wire::Base& base) {
  const auto entry = catalog.release(ledger, base.version);
  return entry && entry->content_root == base.content_root;
}

}  // namespace

ServerSession::ServerSession(const Catalog& catalog, const SessionRights& rights,
                             ServerIntroduction introduction, Now now)
    : SessionLink(now, limits::kFirstFrameMs, /*pings=*/false),
      catalog_(catalog),
      rights_(rights),
      introduction_(std::move(introduction)) {}

Result<void> ServerSession::on_message(wire::Message&& message, Now) {
  return std::visit(
      [this](auto&& value) -> Result<void> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, wire::Hello>) return on_hello(std::move(value));
        if (!greeted_) return fail(ErrorCode::kState, "the first message must be Hello");
        if constexpr (std::is_same_v<T, wire::WantMore>) return on_want_more(std::move(value));
        if constexpr (std::is_same_v<T, wire::Commit>) return on_commit(std::move(value));
        if constexpr (std::is_same_v<T, wire::Publish>) return on_publish(std::move(value));
        if constexpr (std::is_same_v<T, wire::Chunk>) return on_chunk(value);
        if constexpr (std::is_same_v<T, wire::Query>) return on_query(std::move(value));
        return fail(ErrorCode::kState, "a client sent a message that only a registry may send");
      },
      std::move(message));
}

Result<void> ServerSession::on_hello(wire::Hello&& hello) {
  if (greeted_) return fail(ErrorCode::kState, "a second Hello");
  if (std::ranges::find(hello.versions, wire::kProtocolVersion) == hello.versions.end())
    return fail(ErrorCode::kVersion,
                fmt::format("this registry speaks protocol version {} only; upgrade the client",
                            wire::kProtocolVersion));
  greeted_ = true;
  established();
  wire::Welcome welcome{.version = wire::kProtocolVersion,
                        .server = introduction_.server,
                        .trust_domain = introduction_.trust_domain,
                        .root_version = introduction_.root_version,
                        .heads = {},
                        .refusals = {}};
  events_.push_back(server_event::Greeted{std::move(hello.agent), {}});
  const size_t greeting = events_.size() - 1;
  std::vector<LedgerId> granted;
  for (wire::Want& want : hello.wants) grant(std::move(want), welcome);
  for (const wire::Refusal& refusal : welcome.refusals)
    events_.push_back(server_event::Refused{{refusal.code, refusal.message, {}}});
  for (const auto& [ledger, subscription] : subscriptions_) granted.push_back(ledger);
  std::get<server_event::Greeted>(events_[greeting]).ledgers = std::move(granted);
  // The Welcome travels before the offers that granting has begun: those wait for their artifacts.
  send(welcome);
  return {};
}

Result<void> ServerSession::on_want_more(wire::WantMore&& more) {
  wire::Welcome granted;
  for (wire::Want& want : more.wants) grant(std::move(want), granted);
  if (granted.refusals.empty()) return {};
  const wire::Refusal& refusal = granted.refusals.front();
  return fail(refusal.code, refusal.message);
}

void ServerSession::grant(wire::Want&& want, wire::Welcome& welcome) {
  if (auto allowed = rights_.may(Action::kRead, &want.ledger); !allowed) {
    welcome.refusals.push_back({want.ledger, allowed.error().code, allowed.error().message});
    return;
  }
  const auto head = catalog_.head(want.ledger);
  if (want.heads_only) {
    welcome.heads.push_back(wire_head(want.ledger, head));
  } else if (auto room = check_room(want); !room) {
    welcome.refusals.push_back({want.ledger, room.error().code, room.error().message});
  } else if (want.version != 0) {
    offer_one(want, welcome);
  } else {
    // Told only when nothing is offered: an offer carries the same facts, signed.
    const bool current = !head || (want.base && want.base->version >= head->version);
    if (current) welcome.heads.push_back(wire_head(want.ledger, head));
    subscribe(want);
  }
}

Result<void> ServerSession::check_room(const wire::Want& want) const {
  if (want.version == 0 && !subscriptions_.contains(want.ledger) &&
      subscriptions_.size() >= limits::kLedgersPerSessionMax)
    return fail(ErrorCode::kLimit, fmt::format("more than {} ledgers wanted in one session",
                                               limits::kLedgersPerSessionMax));
  if (preparing_ + outbox().transfers() >= limits::kStreamsMax)
    return fail(ErrorCode::kLimit, fmt::format("more than {} artifacts wanted at once; take what "
                                               "is on its way first",
                                               limits::kStreamsMax));
  return {};
}

void ServerSession::subscribe(const wire::Want& want) {
  Subscription subscription;
  if (want.base && knows(catalog_, want.ledger, *want.base)) subscription.base = want.base->version;
  for (const wire::Base& older : want.older)
    if (knows(catalog_, want.ledger, older)) subscription.older.push_back(older.version);
  if (!subscription.base && !subscription.older.empty())
    subscription.base = subscription.older.front();
  subscription.resume = want.resume;
  auto& place = subscriptions_[want.ledger] = std::move(subscription);
  offer_head(want.ledger, place);
}

void ServerSession::offer_head(const LedgerId& ledger, Subscription& subscription) {
  const auto head = catalog_.head(ledger);
  if (!head || subscription.target != 0 || head->version <= subscription.refused) return;
  if (subscription.base && *subscription.base >= head->version) return;
  subscription.target = head->version;
  subscription.ticket = need_artifact(ledger, subscription.base.value_or(0), head->version);
}

void ServerSession::offer_one(const wire::Want& want, wire::Welcome& welcome) {
  const auto entry = catalog_.release(want.ledger, want.version);
  if (!entry) {
    const auto head = catalog_.head(want.ledger);
    welcome.refusals.push_back(
        {want.ledger, ErrorCode::kNotFound,
         fmt::format("{} has no release v{}; the newest is v{}", want.ledger.text(), want.version,
                     head ? head->version : 0)});
    return;
  }
  const bool based = want.base && knows(catalog_, want.ledger, *want.base);
  const OneShot shot{want.ledger, based ? want.base->version : 0, want.version};
  one_shots_[need_artifact(shot.ledger, shot.base, shot.version)] = shot;
}

uint64_t ServerSession::need_artifact(const LedgerId& ledger, uint64_t base, uint64_t version) {
  const uint64_t ticket = next_ticket_++;
  ++preparing_;
  events_.push_back(server_event::ArtifactNeeded{ticket, ledger, base, version});
  return ticket;
}

void ServerSession::artifact_ready(uint64_t ticket, Result<Content> artifact) {
  --preparing_;
  if (is_closed()) return;
  if (!artifact) return artifact_failed(ticket, artifact.error());
  if (const auto shot = one_shots_.extract(ticket)) {
    const OneShot& one = shot.mapped();
    return send_offer(one.ledger, one.base, one.version, std::move(*artifact), std::nullopt);
  }
  const auto found = std::ranges::find(subscriptions_, ticket,
                                       [](const auto& entry) { return entry.second.ticket; });
  // A Want that came in between has made this artifact needless.
  if (found == subscriptions_.end()) return;
  auto& [ledger, subscription] = *found;
  subscription.ticket = 0;
  send_offer(ledger, subscription.base.value_or(0), subscription.target, std::move(*artifact),
             std::exchange(subscription.resume, std::nullopt));
}

// One ledger that cannot be served does not end the session for the others: its head is not offered
// again before there is a newer one. Who asked for one certain release waits for it, and is told.
void ServerSession::artifact_failed(uint64_t ticket, const Error& error) {
  const auto found = std::ranges::find(subscriptions_, ticket,
                                       [](const auto& entry) { return entry.second.ticket; });
  if (found == subscriptions_.end()) return refuse(error);
  Subscription& subscription = found->second;
  subscription.refused = subscription.target;
  subscription.target = subscription.ticket = 0;
  events_.push_back(server_event::Refused{error});
}

void ServerSession::send_offer(const LedgerId& ledger, uint64_t base, uint64_t version,
                               Content artifact, const std::optional<wire::ResumeToken>& resume) {
  const auto target = catalog_.release(ledger, version);
  const auto from = base ? catalog_.release(ledger, base) : std::nullopt;
  if (!target || (base && !from))
    return refuse(Error{
        ErrorCode::kInternal, fmt::format("{} lost release v{}", ledger.text(), version), {}});
  wire::Offer offer{.stream = next_stream_++,
                    .ledger = ledger,
                    .version = version,
                    .base = {},
                    .artifact = artifact_id(from ? from->release : Hash{}, target->release),
                    .size = artifact->size(),
                    .offset = 0,
                    .content_root = {}};
  if (from) offer.base = wire::Base{base, from->content_root};
  if (resume && resume->artifact == offer.artifact && resume->offset <= offer.size)
    offer.offset = resume->offset;
  send(offer);
  if (!is_closed()) outbox().push_transfer(offer.stream, std::move(artifact), offer.offset);
}

void ServerSession::head_changed(const LedgerId& ledger) {
  if (is_closed()) return;
  const auto found = subscriptions_.find(ledger);
  if (found == subscriptions_.end()) return;
  if (auto allowed = rights_.may(Action::kRead, &ledger); !allowed) {
    // The subscription stays: a Commit for what was offered before may still be under way.
    events_.push_back(server_event::Refused{std::move(allowed).error()});
    return;
  }
  offer_head(ledger, found->second);
}

Result<void> ServerSession::on_commit(wire::Commit&& commit) {
  const auto found = subscriptions_.find(commit.ledger);
  if (found == subscriptions_.end())
    return fail(ErrorCode::kState, "a Commit for a ledger that this session does not serve");
  Subscription& subscription = found->second;
  if (commit.version > std::max(subscription.target, subscription.base.value_or(0)) &&
      !catalog_.release(commit.ledger, commit.version))
    return fail(ErrorCode::kState, "a Commit for a release that was never offered");
  if (commit.version == subscription.target && subscription.ticket == 0) {
    if (commit.state == wire::CommitState::kRejected)
      subscription.refused = commit.version;
    else
      subscription.base = commit.version;
    subscription.target = 0;
  }
  events_.push_back(server_event::Committed{std::move(commit)});
  offer_head(found->first, subscription);
  return {};
}

Result<void> ServerSession::on_publish(wire::Publish&& publish) {
  NOTP_TRY(rights_.may(Action::kPublish, &publish.ledger));
  if (uploads_.size() >= limits::kUploadsPerSessionMax)
    return fail(ErrorCode::kLimit, "too many publishes at once in one session");
  if (publish.size == 0 || publish.size > limits::kArtifactBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("an artifact of {} bytes; at most {} are taken",
                                               publish.size, limits::kArtifactBytesMax));
  const uint32_t stream = publish.stream;
  const Upload upload{publish, {publish.size, {}}};
  if (!uploads_.emplace(stream, upload).second)
    return fail(ErrorCode::kState, "a publish on a stream that is in use");
  return {};
}

Result<void> ServerSession::on_chunk(const wire::Chunk& chunk) {
  const auto upload = uploads_.find(chunk.stream);
  if (upload == uploads_.end())
    return fail(ErrorCode::kState, "a chunk on a stream that was not announced");
  NOTP_TRY(upload->second.incoming.append(chunk.bytes));
  finish_upload_if_complete(upload);
  return {};
}

void ServerSession::finish_upload_if_complete(std::map<uint32_t, Upload>::iterator upload) {
  if (!upload->second.incoming.complete()) return;
  events_.push_back(server_event::PublishArrived{std::move(upload->second.publish),
                                                 std::move(upload->second.incoming.bytes)});
  uploads_.erase(upload);
}

Result<void> ServerSession::on_query(wire::Query&& query) {
  Result<void> allowed;
  if (const auto* history = std::get_if<wire::HistoryQuery>(&query.what))
    allowed = rights_.may(Action::kRead, &history->ledger);
  else if (std::holds_alternative<wire::NodesQuery>(query.what))
    allowed = rights_.may(Action::kFleet, nullptr);
  if (!allowed) {
    events_.push_back(server_event::Refused{allowed.error()});
    send(wire::Answer{.request = query.request,
                      .code = static_cast<uint32_t>(allowed.error().code),
                      .message = allowed.error().message,
                      .history = {},
                      .nodes = {},
                      .ledgers = {},
                      .more = false});
    return {};
  }
  events_.push_back(server_event::Asked{std::move(query)});
  return {};
}

TimeMs ServerSession::transfer_waiting_since() const {
  return uploads_.empty() ? kNever : last_received_ms();
}

void ServerSession::on_closed(const Error& error, uint32_t, Now) {
  events_.push_back(server_event::Closed{error});
}

}  // namespace notp
