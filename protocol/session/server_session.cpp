#include "protocol/session/server_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/session/session_limits.hpp"

namespace notp {
namespace {

ReleaseRef wire_head(const LedgerId& ledger, const std::optional<ReleaseRef>& entry) {
  return entry.value_or(ReleaseRef{.ledger = ledger, .release_hash = {}, .content_root = {}});
}

bool knows(const Catalog& catalog, const LedgerId& ledger, const wire::Base& base) {
  const auto entry = catalog.release(ledger, base.version);
  return entry && entry->content_root == base.content_root;
}

Hash resumed_artifact(const std::optional<wire::ResumeToken>& resume) {
  return resume ? resume->artifact : Hash{};
}

// A number of its own for each peer, evenly spread.
uint64_t spread_of(std::string_view peer) { return HashOfHash()(sha256(peer)); }

// More roots than this wait for the peer to read the ones before: the session's queue is bounded.
constexpr size_t kRootBytesMax = limits::kSendQueueBytesMax / 2;

}  // namespace

ServerSession::ServerSession(const Catalog& catalog, const SessionRights& rights,
                             const FreshnessSource* freshness, ServerIntroduction introduction,
                             Now now, UploadSpace* uploads)
    : SessionLink(now, limits::kFirstFrameMs, /*pings=*/false),
      catalog_(catalog),
      rights_(rights),
      freshness_(freshness),
      introduction_(std::move(introduction)),
      upload_space_(uploads),
      spread_(spread_of(introduction_.peer)) {}

Result<void> ServerSession::on_message(wire::Message&& message, Now now) {
  return std::visit(
      [this, now](auto&& value) -> Result<void> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, wire::Hello>) return on_hello(std::move(value), now);
        if (!greeted_) return fail(ErrorCode::kState, "the first message must be Hello");
        if constexpr (std::is_same_v<T, wire::WantMore>) return on_want_more(std::move(value), now);
        if constexpr (std::is_same_v<T, wire::Commit>) return on_commit(std::move(value));
        if constexpr (std::is_same_v<T, wire::Inventory>) return on_inventory(std::move(value));
        if constexpr (std::is_same_v<T, wire::Publish>) return on_publish(std::move(value), now);
        if constexpr (std::is_same_v<T, wire::Chunk>) return on_chunk(value, now);
        if constexpr (std::is_same_v<T, wire::Query>) return on_query(std::move(value));
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
                        .server = introduction_.server,
                        .trust_domain = introduction_.trust_domain,
                        .root_version = catalog_.newest_root(),
                        .heads = {},
                        .refusals = {}};
  root_sent_ = hello.root_version;
  sequence_ = hello.freshness_sequence;
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
  send_inventory_requests();
  send_roots();
  NOTP_TRY(send_freshness(now));
  freshness_deadline_ = renewal_after(now.boot_ms);
  return {};
}

Result<void> ServerSession::on_want_more(wire::WantMore&& more, Now now) {
  const size_t served = subscriptions_.size();
  wire::Welcome granted;
  for (wire::Want& want : more.wants) grant(std::move(want), granted);
  send_inventory_requests();
  if (subscriptions_.size() > served) freshness_due_now(now);
  if (granted.refusals.empty()) return {};
  const wire::Refusal& refusal = granted.refusals.front();
  return fail(refusal.code, refusal.message);
}

void ServerSession::grant(wire::Want&& want, wire::Welcome& welcome) {
  shorthand_.count(want);
  if (auto allowed = rights_.may(Action::kRead, &want.ledger); !allowed) {
    welcome.refusals.push_back({want.ledger, allowed.error().code, allowed.error().message});
    return;
  }
  // Not as a ledger without a release: its readers would take that for an attack.
  if (auto damage = catalog_.damage(want.ledger)) {
    welcome.refusals.push_back({want.ledger, damage->code, damage->message});
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
    const bool current =
        !head || (want.base && want.base->version >= head->version && want.lacks.empty());
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
  Subscription subscription{.ledger = want.ledger};
  if (want.base && knows(catalog_, want.ledger, *want.base)) subscription.base = want.base->version;
  for (const wire::Base& older : want.older)
    if (knows(catalog_, want.ledger, older)) subscription.older.push_back(older.version);
  if (!subscription.base && !subscription.older.empty())
    subscription.base = subscription.older.front();
  subscription.lacks.insert(want.lacks.begin(), want.lacks.end());
  subscription.resume = want.resume;
  auto& place = subscriptions_[want.ledger] = std::move(subscription);
  if (want.base && !place.base && catalog_.head(want.ledger))
    ask_inventory(want.ledger, place, /*listed=*/false);
  else
    offer_head(want.ledger, place);
}

void ServerSession::ask_inventory(const LedgerId& ledger, Subscription& subscription, bool listed) {
  subscription.inventory_asked = true;
  subscription.inventory_listed = listed;
  inventory_requests_.push_back({shorthand_.number_of(ledger).value(), listed});
}

// Of wants that were granted, and not before their answer.
void ServerSession::send_inventory_requests() {
  for (const wire::InventoryRequest& request : std::exchange(inventory_requests_, {}))
    send(request);
}

// One that nobody waits for any more answers a request that crossed a new want.
Result<void> ServerSession::on_inventory(wire::Inventory&& inventory) {
  NOTP_ASSIGN(const LedgerId ledger, shorthand_.ledger_of(inventory.subscription));
  Inventory held{inventory.files, std::move(inventory.list), std::move(inventory.sketch)};
  NOTP_TRY(check_inventory(held));
  const auto found = subscriptions_.find(ledger);
  if (found == subscriptions_.end() || !found->second.inventory_asked) return {};
  Subscription& subscription = found->second;
  if (subscription.inventory_listed && !held.sketch.empty())
    return fail(ErrorCode::kState, "a sketch where a list was asked for");
  subscription.inventory_asked = false;
  if (auto allowed = rights_.may(Action::kRead, &ledger); !allowed) {
    events_.push_back(server_event::Refused{std::move(allowed).error()});
    return {};
  }
  const auto head = catalog_.head(ledger);
  if (!head) return {};
  subscription.target = head->version;
  subscription.ticket = need_artifact({.ledger = ledger,
                                       .version = head->version,
                                       .inventory = std::move(held),
                                       .resume = resumed_artifact(subscription.resume)});
  return {};
}

void ServerSession::inventory_unclear(uint64_t ticket) {
  --preparing_;
  Subscription* const subscription = is_closed() ? nullptr : waiting_for(ticket);
  if (subscription == nullptr) return;
  subscription->target = subscription->ticket = 0;
  ask_inventory(subscription->ledger, *subscription, /*listed=*/true);
  send_inventory_requests();
}

void ServerSession::offer_head(const LedgerId& ledger, Subscription& subscription) {
  const auto head = catalog_.head(ledger);
  if (!head || subscription.target != 0 || subscription.inventory_asked) return;
  if (head->version <= subscription.refused) return;
  if (subscription.base && *subscription.base >= head->version && subscription.lacks.empty())
    return;
  subscription.target = head->version;
  subscription.ticket = need_artifact({.ledger = ledger,
                                       .base_version = subscription.base.value_or(0),
                                       .version = head->version,
                                       .lacks = std::exchange(subscription.lacks, {}),
                                       .resume = resumed_artifact(subscription.resume)});
}

void ServerSession::offer_one(const wire::Want& want, wire::Welcome& welcome) {
  if (!want.pending_hash.is_zero())
    if (auto allowed = rights_.may(Action::kReview, &want.ledger); !allowed) {
      welcome.refusals.push_back({want.ledger, allowed.error().code, allowed.error().message});
      return;
    }
  const bool based = want.base && knows(catalog_, want.ledger, *want.base);
  const OneShot shot{want.ledger, based ? want.base->version : 0, want.version, want.pending_hash};
  if (find(shot)) {
    one_shots_[need_artifact({.ledger = shot.ledger,
                              .base_version = shot.base,
                              .version = shot.version,
                              .pending_hash = shot.pending_hash})] = shot;
    return;
  }
  const auto head = catalog_.head(want.ledger);
  welcome.refusals.push_back(
      {want.ledger, ErrorCode::kNotFound,
       shot.pending_hash.is_zero()
           ? fmt::format("{} has no release v{}; the newest is v{}", want.ledger.text(),
                         want.version, head ? head->version : 0)
           : fmt::format("no release {} of {} waits for signatures as v{}",
                         shot.pending_hash.brief(), want.ledger.text(), want.version)});
}

std::optional<ReleaseRef> ServerSession::find(const OneShot& what) const {
  return what.pending_hash.is_zero()
             ? catalog_.release(what.ledger, what.version)
             : catalog_.pending(what.ledger, what.version, what.pending_hash);
}

uint64_t ServerSession::need_artifact(server_event::ArtifactNeeded need) {
  need.ticket = next_ticket_++;
  ++preparing_;
  const uint64_t ticket = need.ticket;
  events_.push_back(std::move(need));
  return ticket;
}

// nullptr: a Want that came in between has made that artifact needless.
ServerSession::Subscription* ServerSession::waiting_for(uint64_t ticket) {
  const auto found = std::ranges::find(subscriptions_, ticket,
                                       [](const auto& entry) { return entry.second.ticket; });
  return found == subscriptions_.end() ? nullptr : &found->second;
}

void ServerSession::artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact) {
  --preparing_;
  if (is_closed()) return;
  if (!artifact) return artifact_failed(ticket, artifact.error());
  if (const auto shot = one_shots_.extract(ticket)) {
    const auto offer = make_offer(shot.mapped(), *artifact);
    return offer ? send_offer(*offer, std::move(artifact->bytes)) : refuse(offer.error());
  }
  Subscription* const subscription = waiting_for(ticket);
  if (subscription == nullptr) return;
  subscription->ticket = 0;
  auto offer = make_offer({.ledger = subscription->ledger,
                           .base = subscription->base.value_or(0),
                           .version = subscription->target},
                          *artifact);
  if (!offer) return refuse(offer.error());
  const auto resume = std::exchange(subscription->resume, std::nullopt);
  if (resume && resume->artifact == offer->artifact && resume->offset <= offer->size)
    offer->offset = resume->offset;
  shorthand_.shorten(*offer);
  send_offer(*offer, std::move(artifact->bytes));
}

// One ledger that cannot be served does not end the session for the others: its head is not offered
// again before there is a newer one. Who asked for one certain release waits for it, and is told.
void ServerSession::artifact_failed(uint64_t ticket, const Error& error) {
  if (one_shots_.erase(ticket) > 0) return refuse(error);
  Subscription* const subscription = waiting_for(ticket);
  if (subscription == nullptr) return;
  subscription->refused = subscription->target;
  subscription->target = subscription->ticket = 0;
  events_.push_back(server_event::Refused{error});
}

Result<wire::Offer> ServerSession::make_offer(const OneShot& what,
                                              const PreparedArtifact& artifact) const {
  const auto target = find(what);
  const auto from = what.base ? catalog_.release(what.ledger, what.base) : std::nullopt;
  if (!target || (what.base && !from))
    return what.pending_hash.is_zero()
               ? fail(ErrorCode::kInternal,
                      fmt::format("{} lost release v{}", what.ledger.text(), what.version))
               : fail(ErrorCode::kNotFound,
                      fmt::format("release {} of {} no longer waits for signatures",
                                  what.pending_hash.brief(), what.ledger.text()));
  // The lowest number is the shortest.
  uint32_t stream = 0;
  while (outbox().has_transfer(stream)) ++stream;
  wire::Offer offer{.stream = stream,
                    .ledger = what.ledger,
                    .version = what.version,
                    .base = {},
                    .artifact = artifact.id,
                    .size = artifact.bytes->size(),
                    .offset = 0,
                    .content_root = {},
                    .partial = artifact.partial,
                    .effort = artifact.effort};
  if (from) offer.base = wire::Base{what.base, from->content_root};
  return offer;
}

void ServerSession::send_offer(const wire::Offer& offer, Content artifact) {
  send_roots();
  if (is_closed()) return;
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
  NOTP_TRY(shorthand_.expand(commit));
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

Result<void> ServerSession::on_publish(wire::Publish&& publish, Now now) {
  NOTP_TRY(rights_.may(Action::kPublish, &publish.ledger));
  if (uploads_.size() >= limits::kUploadsPerSessionMax)
    return fail(ErrorCode::kLimit, "too many publishes at once in one session");
  if (publish.size == 0 || publish.size > limits::kArtifactBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("an artifact of {} bytes; at most {} are taken",
                                               publish.size, limits::kArtifactBytesMax));
  const uint32_t stream = publish.stream;
  if (uploads_.contains(stream))
    return fail(ErrorCode::kState, "a publish on a stream that is in use");
  MemoryUploads memory;
  UploadSpace& space = upload_space_ ? *upload_space_ : memory;
  NOTP_ASSIGN(std::unique_ptr<Upload> upload, space.open(introduction_.peer, publish.size));
  uploads_.emplace(stream,
                   Arriving{std::move(publish), std::move(upload), now.boot_ms, now.boot_ms});
  return {};
}

Result<void> ServerSession::on_chunk(const wire::Chunk& chunk, Now now) {
  const auto upload = uploads_.find(chunk.stream);
  if (upload == uploads_.end())
    return fail(ErrorCode::kState, "a chunk on a stream that was not announced");
  Arriving& arriving = upload->second;
  if (chunk.bytes.size() > arriving.publish.size - arriving.received)
    return fail(ErrorCode::kState,
                fmt::format("a transfer of {} bytes goes on after its end", arriving.publish.size));
  NOTP_TRY(arriving.upload->append(chunk.bytes));
  arriving.received += chunk.bytes.size();
  arriving.last_ms = now.boot_ms;
  finish_upload_if_complete(upload);
  return {};
}

void ServerSession::finish_upload_if_complete(std::map<uint32_t, Arriving>::iterator upload) {
  Arriving& arriving = upload->second;
  if (arriving.received != arriving.publish.size) return;
  events_.push_back(
      server_event::PublishArrived{std::move(arriving.publish), std::move(arriving.upload)});
  uploads_.erase(upload);
}

Result<void> ServerSession::may_ask(const wire::Query& query) const {
  if (asked_ >= limits::kQueriesPerSessionMax)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} questions of this session wait for their answers already; ask "
                            "again when some have come",
                            asked_));
  return std::visit(
      [this](const auto& what) -> Result<void> {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, wire::HistoryQuery>)
          return rights_.may(Action::kRead, &what.ledger);
        if constexpr (std::is_same_v<T, wire::NodesQuery>)
          return rights_.may(Action::kFleet, nullptr);
        if constexpr (std::is_same_v<T, wire::PublishRoot>)
          return rights_.may(Action::kTrust, nullptr);
        if constexpr (std::is_same_v<T, wire::Withdraw> || std::is_same_v<T, wire::Cosign> ||
                      std::is_same_v<T, wire::DropPending>)
          return rights_.may(Action::kPublish, &what.ledger);
        if constexpr (std::is_same_v<T, wire::PendingQuery>) {
          // Without a ledger the answer holds what the peer may see.
          if (what.ledger) return rights_.may(Action::kReview, &*what.ledger);
        }
        if constexpr (std::is_same_v<T, wire::NewJoinToken>)
          return rights_.may(Action::kEnroll, nullptr);
        if constexpr (std::is_same_v<T, wire::RenewCertificate>)
          return rights_.may(Action::kRenew, nullptr);
        return {};
      },
      query.what);
}

Result<void> ServerSession::on_query(wire::Query&& query) {
  if (auto allowed = may_ask(query); !allowed) {
    wire::Answer answer;
    answer.request = query.request;
    answer.code = static_cast<uint32_t>(allowed.error().code);
    answer.message = allowed.error().message;
    send(answer);
    events_.push_back(server_event::Refused{std::move(allowed).error()});
    return {};
  }
  ++asked_;
  events_.push_back(server_event::Asked{std::move(query)});
  return {};
}

void ServerSession::answer(wire::Answer answer) {
  if (asked_ > 0) --asked_;
  send(answer);
}

// --- roots and freshness

void ServerSession::send_roots() {
  if (is_closed() || root_sent_ >= catalog_.newest_root()) return;
  for (const CatalogRoot& root : catalog_.roots_after(root_sent_)) {
    if (roots_sent_ == limits::kRootStepsMax || outbox().control_bytes() > kRootBytesMax)
      return say_bye("there are more roots than one session walks; come back for the others");
    send(wire::RootUpdate{*root.envelope});
    root_sent_ = root.version;
    ++roots_sent_;
    if (!root.new_freshness_key) continue;
    // The peer forgets what was signed with the old key, a sequence that a thief of it ran up to
    // the end included: without this nobody could vouch for anything here before the next session.
    sequence_ = 0;
    last_freshness_.reset();
  }
}

void ServerSession::roots_changed(Now now) {
  if (!greeted_) return;
  send_roots();
  freshness_due_now(now);
}

void ServerSession::freshness_due_now(Now now) {
  if (freshness_deadline_ == kNever) return;
  const auto within = static_cast<TimeMs>(spread_ % limits::kFreshnessSoonMs);
  freshness_deadline_ = std::min(freshness_deadline_, now.boot_ms + within);
}

TimeMs ServerSession::renewal_after(TimeMs boot_ms) const {
  if (freshness_ == nullptr) return kNever;
  const TimeMs interval = std::max<TimeMs>(freshness_->interval_ms(), 1);
  const auto phase = static_cast<TimeMs>(spread_ % static_cast<uint64_t>(interval));
  const TimeMs passed = (boot_ms - phase) % interval;
  return boot_ms + interval - (passed < 0 ? passed + interval : passed);
}

void ServerSession::on_own_deadline(Now now) {
  freshness_deadline_ = renewal_after(now.boot_ms);
  if (auto sent = send_freshness(now); !sent) refuse(sent.error());
}

Result<std::vector<LedgerId>> ServerSession::vouched_ledgers() const {
  std::vector<LedgerId> ledgers;
  for (const auto& [ledger, subscription] : subscriptions_) {
    NOTP_TRY(rights_.may(Action::kRead, &ledger));
    ledgers.push_back(ledger);
  }
  return ledgers;
}

Result<void> ServerSession::send_freshness(Now now) {
  if (freshness_ == nullptr || is_closed()) return {};
  NOTP_ASSIGN(std::vector<LedgerId> ledgers, vouched_ledgers());
  if (ledgers.empty() || !freshness_->enabled()) return {};
  auto statement = freshness_->sign(std::move(ledgers), introduction_.peer, sequence_ + 1, now);
  if (!statement) return {};
  auto& [freshness, signature] = *statement;
  // A root may have come since the last one was sent; the statement speaks of it.
  send_roots();
  if (is_closed()) return {};
  send(make_freshness_update(freshness, signature, last_freshness_ ? &*last_freshness_ : nullptr));
  sequence_ = freshness.sequence;
  events_.push_back(server_event::Vouched{freshness});
  last_freshness_ = std::move(freshness);
  return {};
}

TimeMs ServerSession::transfer_waiting_since() const {
  TimeMs since = kNever;
  for (const auto& [stream, arriving] : uploads_) {
    const auto earned =
        static_cast<TimeMs>(arriving.received * 1000 / limits::kUploadBytesPerSecondMin);
    since = std::min({since, arriving.last_ms, arriving.since_ms + earned});
  }
  return since;
}

void ServerSession::on_unsendable(const Error& error) {
  events_.push_back(server_event::Unsendable{error});
}

void ServerSession::on_closed(const Error& error, uint32_t, Now) {
  uploads_.clear();
  events_.push_back(server_event::Closed{error});
}

}  // namespace notp
