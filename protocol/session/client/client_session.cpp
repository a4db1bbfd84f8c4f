#include "protocol/session/client/client_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::session {
namespace {

// Segments follow each other, so they share a stream; publishes have the numbers from 1 on.
constexpr uint32_t kSegmentStream = 0;

}  // namespace

ClientSession::ClientSession(wire::Hello hello, std::vector<PartialArtifact> partials, Now now)
    : SessionBase(now, {wire::Welcome::kName, limits::kTransferStallMs}, /*pings=*/true),
      log_(hello.log ? std::optional(hello.log->log) : std::nullopt),
      class_freshness_(hello.class_freshness),
      partials_(std::move(partials)) {
  for (const wire::Want& want : hello.wants) table_.count(want);
  send(hello);
}

void ClientSession::commit(wire::Commit commit) {
  table_.compact(commit);
  send(commit);
}

void ClientSession::want(std::vector<wire::Want> wants) {
  for (const wire::Want& want : wants) table_.count(want);
  send(wire::WantMore{std::move(wants)});
}

void ClientSession::inventory(const model::LedgerId& ledger, delta::Inventory inventory) {
  const auto number = table_.number_of(ledger);
  NOTP_ASSERT(number, "an inventory is of a ledger that was asked about");
  send(wire::Inventory{*number, inventory.files, std::move(inventory.list),
                       std::move(inventory.sketch)});
}

Result<void> ClientSession::on_message(wire::Message&& message, Now) {
  return std::visit(
      [this](auto&& value) -> Result<void> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, wire::Welcome>) return on_welcome(std::move(value));
        if (!welcomed_) return fail(ErrorCode::kState, "the registry spoke before its Welcome");
        if constexpr (std::is_same_v<T, wire::Offer>) return on_offer(std::move(value));
        if constexpr (std::is_same_v<T, wire::Chunk>) return on_chunk(value);
        if constexpr (std::is_same_v<T, wire::PublishResult>) {
          events_.push_back(client_event::Published{std::move(value)});
          return {};
        }
        if constexpr (std::is_same_v<T, wire::Response>) {
          events_.push_back(client_event::Answered{std::move(value)});
          return {};
        }
        if constexpr (std::is_same_v<T, wire::RootUpdate>) return on_root(std::move(value));
        if constexpr (std::is_same_v<T, wire::InventoryRequest>) return on_inventory_request(value);
        if constexpr (std::is_same_v<T, wire::FreshnessUpdate>)
          return on_freshness(std::move(value));
        if constexpr (std::is_same_v<T, wire::Assignment>) return on_assignment(std::move(value));
        if constexpr (std::is_same_v<T, wire::LogGrant>) return on_log_grant(std::move(value));
        if constexpr (std::is_same_v<T, wire::LogReceipt>) return on_log_receipt(std::move(value));
        if constexpr (std::is_same_v<T, wire::ReleaseHeld>)
          return on_release_held(std::move(value));
        if constexpr (std::is_same_v<T, wire::SourceStatus>)
          return on_source_status(std::move(value));
        if constexpr (std::is_same_v<T, wire::LaneState>) return on_lane_state(std::move(value));
        if constexpr (std::is_same_v<T, wire::LaneStatement>)
          return on_lane_statement(std::move(value));
        if constexpr (std::is_same_v<T, wire::HeldRequest>)
          return on_held_request(std::move(value));
        if constexpr (std::is_same_v<T, wire::ReturnRequest>)
          return on_return_request(std::move(value));
        return fail(ErrorCode::kState, "the registry sent a message that only a client may send");
      },
      std::move(message));
}

Result<void> ClientSession::on_welcome(wire::Welcome&& welcome) {
  if (welcomed_) return fail(ErrorCode::kState, "a second Welcome");
  if (welcome.version != wire::kProtocolVersion)
    return fail(ErrorCode::kVersion,
                fmt::format("the registry chose protocol version {}, which was not offered",
                            welcome.version));
  welcomed_ = true;
  established();
  events_.push_back(client_event::Welcomed{std::move(welcome)});
  return {};
}

// The frame bounds the envelope; this bounds the chain (TUF 1.0.34 §5.3.3).
Result<void> ClientSession::on_root(wire::RootUpdate&& update) {
  if (++roots_ > limits::kRootStepsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("more than {} roots in one session", limits::kRootStepsMax));
  events_.push_back(client_event::RootArrived{std::move(update.envelope)});
  return {};
}

Result<void> ClientSession::on_freshness(wire::FreshnessUpdate&& update) {
  if (update.of_class && !class_freshness_)
    return fail(ErrorCode::kState,
                "the registry sent a statement for a class, which was not asked for");
  events_.push_back(client_event::FreshnessArrived{std::move(update)});
  return {};
}

Result<void> ClientSession::on_assignment(wire::Assignment&& assignment) {
  if (!class_freshness_)
    return fail(ErrorCode::kState, "the registry sent an assignment, which was not asked for");
  events_.push_back(client_event::AssignmentArrived{std::move(assignment.envelope)});
  return {};
}

Result<void> ClientSession::on_offer(wire::Offer&& offer) {
  if (transfers_.size() >= limits::kStreamsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("more than {} transfers at once", limits::kStreamsMax));
  if (offer.size > limits::kArtifactBytesMax || offer.offset > offer.size || offer.size == 0)
    return fail(ErrorCode::kLimit,
                fmt::format("an offer of {} bytes from {}", offer.size, offer.offset));
  NOTP_TRY(table_.expand(offer));
  Transfer transfer{offer, {offer.size, {}}};
  if (offer.offset > 0) {
    const auto partial = std::ranges::find(
        partials_, offer.artifact, [](const PartialArtifact& p) { return p.offer.artifact; });
    if (partial == partials_.end() || partial->bytes.size() < offer.offset)
      return fail(ErrorCode::kState, "an offer resumes where this node holds nothing");
    transfer.buffer.bytes = std::move(partial->bytes);
    transfer.buffer.bytes.resize(offer.offset);
    partials_.erase(partial);
  }
  const auto [place, fresh] = transfers_.emplace(offer.stream, std::move(transfer));
  if (!fresh) return fail(ErrorCode::kState, "an offer on a stream that is in use");
  events_.push_back(client_event::OfferStarted{std::move(offer)});
  finish_if_complete(place);
  return {};
}

// An inventory requires reading all content: the limit keeps a registry from occupying a node.
Result<void> ClientSession::on_inventory_request(const wire::InventoryRequest& request) {
  NOTP_ASSIGN(model::LedgerId ledger, table_.ledger_of(request.subscription));
  if (++inventories_[ledger] > limits::kInventoriesMax)
    return fail(ErrorCode::kState,
                fmt::format("more than {} inventories of {} asked for in one session",
                            limits::kInventoriesMax, ledger.text()));
  events_.push_back(client_event::InventoryWanted{
      std::move(ledger),
      request.listed ? delta::InventoryForm::kListed : delta::InventoryForm::kShortest});
  return {};
}

Result<void> ClientSession::on_chunk(const wire::Chunk& chunk) {
  const auto transfer = transfers_.find(chunk.stream);
  if (transfer == transfers_.end())
    return fail(ErrorCode::kState, "a chunk on a stream that was not offered");
  NOTP_TRY(transfer->second.buffer.append(chunk.bytes));
  finish_if_complete(transfer);
  return {};
}

Result<void> ClientSession::on_log_grant(wire::LogGrant&& grant) {
  if (!log_ || grant.log != *log_)
    return fail(ErrorCode::kState, "the registry granted a log that was not offered");
  events_.push_back(client_event::LogGranted{std::move(grant)});
  return {};
}

Result<void> ClientSession::on_log_receipt(wire::LogReceipt&& receipt) {
  if (!log_ || receipt.log != *log_)
    return fail(ErrorCode::kState, "the registry sent a receipt of a log that was not offered");
  events_.push_back(client_event::ReceiptArrived{std::move(receipt)});
  return {};
}

Result<void> ClientSession::on_release_held(wire::ReleaseHeld&& release) {
  if (!table_.number_of(release.ledger))
    return fail(ErrorCode::kState,
                "the registry let a release go of a ledger that this node does not want");
  events_.push_back(client_event::HeldReleased{std::move(release)});
  return {};
}

Result<void> ClientSession::on_source_status(wire::SourceStatus&& status) {
  for (const wire::IssuerStatus& issuer : status.issuers)
    if (!table_.number_of(issuer.ledger))
      return fail(ErrorCode::kState,
                  "the registry sent an issuer's status of a ledger that this node does not want");
  events_.push_back(client_event::SourceStatusArrived{std::move(status)});
  return {};
}

void ClientSession::lane_subscribe(const wire::LaneSubscribe& subscribe) {
  lane_ = subscribe.lane;
  send(subscribe);
}

Result<void> ClientSession::on_lane_state(wire::LaneState&& state) {
  if (lane_.empty() || state.lane != lane_)
    return fail(ErrorCode::kState, "the registry spoke of a lane that this node does not follow");
  events_.push_back(client_event::LaneStateArrived{std::move(state)});
  return {};
}

Result<void> ClientSession::on_lane_statement(wire::LaneStatement&& statement) {
  if (lane_.empty())
    return fail(ErrorCode::kState,
                "the registry sent a statement of a lane, which this node does "
                "not follow");
  events_.push_back(client_event::LaneStatementArrived{std::move(statement.statement)});
  return {};
}

Result<void> ClientSession::on_held_request(wire::HeldRequest&& request) {
  if (!table_.number_of(request.ledger))
    return fail(ErrorCode::kState,
                "the registry asked what this node holds of a ledger that it does not want");
  if (++held_requests_[request.ledger] > limits::kHeldRequestsMax)
    return fail(ErrorCode::kState,
                fmt::format("the registry asked more than {} times in one session what is held of "
                            "{}",
                            limits::kHeldRequestsMax, request.ledger.text()));
  events_.push_back(client_event::HeldWanted{std::move(request)});
  return {};
}

// An artifact that the registry does not read counts as open: otherwise more and more would wait.
Result<void> ClientSession::on_return_request(wire::ReturnRequest&& request) {
  if (!table_.number_of(request.ledger))
    return fail(ErrorCode::kState,
                "the registry asked for a release of a ledger that this node does not want");
  if (return_request_ || queue().is_sending(return_stream_))
    return fail(ErrorCode::kState, "the registry asked for a release before it had the one before");
  return_request_ = request.request;
  events_.push_back(client_event::ReturnWanted{std::move(request)});
  return {};
}

void ClientSession::give_back(wire::Return head, model::Content artifact) {
  NOTP_ASSERT(return_request_, "a release is given back that was asked for");
  NOTP_ASSERT((head.code == 0) == (artifact && !artifact->empty()), "an artifact, or a code");
  head.request = *std::exchange(return_request_, std::nullopt);
  head.size = artifact ? artifact->size() : 0;
  head.stream = artifact ? (return_stream_ = next_stream_++) : 0;
  send(head);
  if (artifact) send_transfer(head.stream, std::move(artifact), 0);
}

void ClientSession::finish_if_complete(std::map<uint32_t, Transfer>::iterator transfer) {
  if (!transfer->second.buffer.complete()) return;
  events_.push_back(client_event::OfferComplete{std::move(transfer->second.offer),
                                                std::move(transfer->second.buffer.bytes)});
  transfers_.erase(transfer);
}

void ClientSession::publish(wire::Publish publish, model::Content artifact) {
  NOTP_ASSERT(artifact && !artifact->empty(), "an artifact has content");
  publish.stream = next_stream_++;
  publish.size = artifact->size();
  send(publish);
  send_transfer(publish.stream, std::move(artifact), 0);
}

void ClientSession::send_segment(record::Segment segment, uint64_t oldest_age_ms) {
  const wire::Segment head{std::move(segment.head), segment.body.size(), kSegmentStream,
                           std::move(segment.subtrees), oldest_age_ms};
  send_background(
      head, kSegmentStream,
      segment.body.empty() ? nullptr : std::make_shared<const Bytes>(std::move(segment.body)));
}

ByteView ClientSession::received(uint32_t stream) const {
  const auto transfer = transfers_.find(stream);
  return transfer == transfers_.end() ? ByteView() : ByteView(transfer->second.buffer.bytes);
}

std::vector<PartialArtifact> ClientSession::take_partials() {
  std::vector<PartialArtifact> out;
  for (auto& [stream, transfer] : transfers_)
    if (!transfer.buffer.bytes.empty())
      out.push_back({std::move(transfer.offer), std::move(transfer.buffer.bytes)});
  transfers_.clear();
  return out;
}

TimeMs ClientSession::own_deadline() const {
  return transfers_.empty() ? kNever : last_received_ms() + limits::kTransferStallMs;
}

void ClientSession::on_closed(const Error& error, uint32_t retry_after_ms, Now) {
  events_.push_back(client_event::Closed{error, retry_after_ms});
}

}  // namespace notp::session
