#include "protocol/feed/lane_statement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <ranges>
#include <string_view>
#include <utility>

#include "common/zstd.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/lane_codec.hpp"
#include "protocol/trust/envelope.hpp"
#include "protocol/trust/proto_codec.hpp"

namespace notp::feed {
namespace {

// Below it, the frame of zstd takes more than it saves.
constexpr size_t kCompressedFromBytes = 256;
constexpr int kWindowLogMax = 21;  // kLaneInflatedBytesMax

// The signature also covers how the body is coded: a type for each.
std::string_view payload_type(StatementType type, bool compressed) {
  switch (type) {
    case StatementType::kBatch:
      return compressed ? "application/vnd.notp.lane-batch.v1+zstd"
                        : "application/vnd.notp.lane-batch.v1";
    case StatementType::kSnapshot:
      return compressed ? "application/vnd.notp.lane-snapshot.v1+zstd"
                        : "application/vnd.notp.lane-snapshot.v1";
    case StatementType::kAnswer:
      return compressed ? "application/vnd.notp.lane-answer.v1+zstd"
                        : "application/vnd.notp.lane-answer.v1";
  }
  return {};
}

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("a statement of a lane: {}", why));
}

Result<void> check_terms(const LaneTerms& terms) {
  if (terms.hard_s == 0 || terms.hard_s > limits::kLaneHardSecondsMax)
    return refuse("hard_s is missing or out of range");
  if (terms.life_s == 0 || terms.life_s > limits::kLaneLifeSecondsMax)
    return refuse("life_s is missing or out of range");
  return {};
}

Result<void> check_header(const LaneHeader& header) {
  if (header.trust_domain.empty() || header.trust_domain.size() > limits::kNameBytesMax)
    return refuse("the trust domain is missing or too long");
  if (header.lane.empty() || header.lane.size() > limits::kLaneNameBytesMax)
    return refuse("the lane's name is missing or too long");
  if (header.instance.is_zero()) return refuse("instance is missing");
  if (header.grant == 0) return refuse("grant is missing");
  if (header.time_ms <= 0 || header.time_ms > limits::kTimestampMsMax)
    return refuse("time_ms is missing or out of range");
  return check_terms(header.terms);
}

void put(lane::v1::Header& out, const LaneHeader& header) {
  out.set_trust_domain(header.trust_domain);
  out.set_lane(header.lane);
  out.set_instance(Bytes(header.instance.view()));
  out.set_grant(header.grant);
  out.set_time_ms(header.time_ms);
  out.set_head(header.head);
  lane::v1::Terms& terms = *out.mutable_terms();
  terms.set_hard_s(header.terms.hard_s);
  terms.set_serves(header.terms.serves);
  terms.set_life_s(header.terms.life_s);
}

Result<LaneHeader> take(const lane::v1::Header& in) {
  LaneHeader header{.trust_domain = in.trust_domain(), .lane = in.lane()};
  NOTP_ASSIGN(header.instance, TokenId::from_bytes(in.instance()));
  header.grant = in.grant();
  header.time_ms = in.time_ms();
  header.head = in.head();
  header.terms = {in.terms().hard_s(), in.terms().serves(), in.terms().life_s()};
  NOTP_TRY(check_header(header));
  return header;
}

Result<std::vector<Event>> take_events(
    const google::protobuf::RepeatedPtrField<lane::v1::Event>& in) {
  std::vector<Event> events;
  events.reserve(static_cast<size_t>(in.size()));
  for (const lane::v1::Event& message : in) {
    NOTP_ASSIGN(Event event, feed::take(message));
    events.push_back(std::move(event));
  }
  return events;
}

Result<std::optional<EventKey>> take_key(const std::string& bytes) {
  if (bytes.empty()) return std::nullopt;
  NOTP_ASSIGN(const EventKey key, EventKey::from_bytes(bytes));
  return key;
}

// What encode() does not write is refused: a newer writer may mean more than this program reads.
template <typename Statement>
Result<Statement> canonical(Statement statement, ByteView body) {
  if (statement.encode() != body)
    return refuse("not in canonical form, or with a field that this program is too old for");
  return statement;
}

template <typename Message>
Result<Message> parse(ByteView body) {
  Message message;
  if (!trust::parse(body, message, limits::kLaneInflatedBytesMax))
    return refuse("it does not decode");
  return message;
}

bool is_in_range(const Snapshot& snapshot) {
  const auto keys = snapshot.rows | std::views::transform(key_of);
  if (std::ranges::adjacent_find(keys, std::greater_equal{}) != keys.end()) return false;
  if (snapshot.after && snapshot.last && *snapshot.after >= *snapshot.last) return false;
  if (snapshot.rows.empty()) return true;
  return (!snapshot.after || key_of(snapshot.rows.front()) > *snapshot.after) &&
         (!snapshot.last || key_of(snapshot.rows.back()) <= *snapshot.last);
}

}  // namespace

SealedStatement seal(StatementType type, Bytes body, const PrivateKey& key) {
  SealedStatement out{.type = type, .body = std::move(body)};
  if (out.body.size() >= kCompressedFromBytes) {
    auto small = zstd_compress(out.body, {}, {});
    if (small && small->size() < out.body.size()) {
      out.body = *std::move(small);
      out.compressed = true;
    }
  }
  out.signature =
      key.sign(trust::pre_authentication_encoding(payload_type(type, out.compressed), out.body));
  return out;
}

Result<Bytes> open(const SealedStatement& statement, const PublicKey& key) {
  const Bytes message = trust::pre_authentication_encoding(
      payload_type(statement.type, statement.compressed), statement.body);
  if (!verify_signature(key, message, statement.signature))
    return fail(ErrorCode::kSignature, "a statement of a lane is not signed by the lane key");
  if (!statement.compressed) return statement.body;
  const auto bytes = zstd_content_bytes(statement.body);
  if (!bytes || *bytes > limits::kLaneInflatedBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("a statement of a lane inflates to more than {} "
                                               "bytes",
                                               limits::kLaneInflatedBytesMax));
  return zstd_decompress(statement.body, {}, *bytes, kWindowLogMax);
}

Bytes Batch::encode() const {
  lane::v1::Batch message;
  put(*message.mutable_header(), header);
  message.set_from(from);
  message.set_to(to);
  for (const Event& event : events) feed::put(*message.add_events(), event);
  return trust::serialize(message);
}

Result<Batch> Batch::decode(ByteView body) {
  NOTP_ASSIGN(const auto message, parse<lane::v1::Batch>(body));
  Batch batch;
  NOTP_ASSIGN(batch.header, take(message.header()));
  batch.from = message.from();
  batch.to = message.to();
  if (batch.from > batch.to || batch.to > batch.header.head)
    return refuse("from, to and head of a batch are not in order");
  if (message.events_size() > static_cast<int>(limits::kLaneBatchEventsMax))
    return refuse("a batch has too many events");
  NOTP_ASSIGN(batch.events, take_events(message.events()));
  if (!batch.events.empty() && batch.from == batch.to)
    return refuse("a batch has events and no revision");
  return canonical(std::move(batch), body);
}

Bytes Snapshot::encode() const {
  lane::v1::Snapshot message;
  put(*message.mutable_header(), header);
  message.set_as_of(as_of);
  if (after) message.set_after(after->bytes());
  if (last) message.set_last(last->bytes());
  for (const Event& row : rows) feed::put(*message.add_rows(), row);
  return trust::serialize(message);
}

Result<Snapshot> Snapshot::decode(ByteView body) {
  NOTP_ASSIGN(const auto message, parse<lane::v1::Snapshot>(body));
  Snapshot snapshot;
  NOTP_ASSIGN(snapshot.header, take(message.header()));
  snapshot.as_of = message.as_of();
  if (snapshot.as_of > snapshot.header.head) return refuse("as_of is above head");
  NOTP_ASSIGN(snapshot.after, take_key(message.after()));
  NOTP_ASSIGN(snapshot.last, take_key(message.last()));
  NOTP_ASSIGN(snapshot.rows, take_events(message.rows()));
  if (!is_in_range(snapshot)) return refuse("rows of a snapshot are not in order or in its range");
  return canonical(std::move(snapshot), body);
}

Bytes Answer::encode() const {
  lane::v1::TokenAnswer message;
  put(*message.mutable_header(), header);
  message.set_revision(revision);
  message.set_id(Bytes(id.view()));
  if (event) feed::put(*message.mutable_event(), *event);
  return trust::serialize(message);
}

Result<Answer> Answer::decode(ByteView body) {
  NOTP_ASSIGN(const auto message, parse<lane::v1::TokenAnswer>(body));
  Answer answer;
  NOTP_ASSIGN(answer.header, take(message.header()));
  answer.revision = message.revision();
  if (answer.revision > answer.header.head) return refuse("revision is above head");
  NOTP_ASSIGN(answer.id, TokenId::from_bytes(message.id()));
  if (message.has_event()) {
    NOTP_ASSIGN(answer.event, feed::take(message.event()));
    if (answer.event->id != answer.id ||
        (answer.event->kind != EventKind::kToken && answer.event->kind != EventKind::kDeleted))
      return refuse("an answer is about another id");
  }
  return canonical(std::move(answer), body);
}

}  // namespace notp::feed
