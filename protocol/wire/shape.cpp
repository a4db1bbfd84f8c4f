#include "protocol/wire/shape.hpp"

#include <fmt/format.h>

#include <array>
#include <span>

#include "common/limits.hpp"
#include "common/signature.hpp"

namespace notp::wire {
namespace {

enum class Kind : uint8_t { kBool, kUint32, kUint64, kBytes, kPackedUint32, kMessage };

struct Shape;

struct FieldRule {
  uint32_t number;
  Kind kind;
  size_t count_max = 1;
  size_t bytes_max = limits::kFrameBytesMax;
  const Shape* shape = nullptr;  // with kMessage
};

struct Shape {
  std::string_view name;
  std::span<const FieldRule> fields;
  bool one_of = false;  // of its message fields, at most one may be present
};

// Every field number of the schema is below this; a static_assert would need the descriptors that
// the lite runtime leaves out, so a test sends each message full.
constexpr size_t kFieldNumbersMax = 16;

constexpr FieldRule u32(uint32_t number) { return {number, Kind::kUint32}; }
constexpr FieldRule u64(uint32_t number) { return {number, Kind::kUint64}; }
constexpr FieldRule flag(uint32_t number) { return {number, Kind::kBool}; }
constexpr FieldRule hash(uint32_t number) { return {number, Kind::kBytes, 1, 32}; }
constexpr FieldRule text(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kErrorTextBytesMax};
}
constexpr FieldRule name(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kNameBytesMax};
}
constexpr FieldRule identity(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kIdentityBytesMax};
}
constexpr FieldRule envelope(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kEnvelopeBytesMax};
}
constexpr FieldRule signature(uint32_t number) {
  return {number, Kind::kBytes, 1, kSignatureBytes};
}
constexpr FieldRule request(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kCertificateRequestBytesMax};
}
constexpr FieldRule token(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kJoinTokenBytesMax};
}
constexpr FieldRule pem(uint32_t number) { return {number, Kind::kBytes, 1, limits::kPemBytesMax}; }
constexpr FieldRule hashes(uint32_t number, size_t count_max) {
  return {number, Kind::kBytes, count_max, 32};
}
constexpr FieldRule envelopes(uint32_t number, size_t count_max) {
  return {number, Kind::kBytes, count_max, limits::kEnvelopeBytesMax};
}
constexpr FieldRule leaves(uint32_t number) {
  return {number, Kind::kBytes, 1, limits::kInventoryLeavesMax * kLeafBytes};
}
constexpr FieldRule message(uint32_t number, const Shape& shape, size_t count_max = 1) {
  return {number, Kind::kMessage, count_max, limits::kFrameBytesMax, &shape};
}

constexpr size_t kPackedVersionsBytesMax = limits::kProtocolVersionsMax * 5;

constexpr std::array kLedgerFields = {u64(1), name(2)};
constexpr Shape kLedger{"LedgerName", kLedgerFields};

constexpr std::array kBaseFields = {u64(1), hash(2)};
constexpr Shape kBase{"Base", kBaseFields};

constexpr std::array kResumeFields = {hash(1), u64(2)};
constexpr Shape kResume{"ResumeToken", kResumeFields};

constexpr std::array kWantFields = {message(1, kLedger),
                                    message(2, kBase),
                                    message(3, kBase, limits::kOlderBasesMax),
                                    message(4, kResume),
                                    u64(5),
                                    flag(6),
                                    hash(7),
                                    hashes(8, limits::kLacksMax)};
constexpr Shape kWant{"Want", kWantFields};

constexpr std::array kHelloFields = {
    FieldRule{1, Kind::kPackedUint32, limits::kProtocolVersionsMax, kPackedVersionsBytesMax},
    name(2), u64(3), u64(4), message(5, kWant, limits::kLedgersPerSessionMax)};
constexpr Shape kHello{"Hello", kHelloFields};

constexpr std::array kHeadFields = {message(1, kLedger), u64(2), hash(3), hash(4), u64(5)};
constexpr Shape kHead{"Head", kHeadFields};

constexpr std::array kRefusalFields = {message(1, kLedger), u32(2), text(3)};
constexpr Shape kRefusal{"Refusal", kRefusalFields};

constexpr std::array kWelcomeFields = {u32(1),
                                       name(2),
                                       name(3),
                                       u64(4),
                                       message(6, kHead, limits::kLedgersPerSessionMax),
                                       message(7, kRefusal, limits::kLedgersPerSessionMax)};
constexpr Shape kWelcome{"Welcome", kWelcomeFields};

constexpr std::array kPartialBaseFields = {hash(1), leaves(2)};
constexpr Shape kPartialBase{"PartialBase", kPartialBaseFields};
constexpr std::array kOfferFields = {u32(1),
                                     message(2, kLedger),
                                     u64(3),
                                     message(4, kBase),
                                     hash(5),
                                     u64(6),
                                     u64(7),
                                     hash(8),
                                     u32(9),
                                     u64(10),
                                     message(11, kPartialBase),
                                     u32(12)};
constexpr Shape kOffer{"Offer", kOfferFields};

constexpr std::array kCommitFields = {
    message(1, kLedger), u64(2), u32(3), u32(4), text(5), hash(6), u32(7), u32(8)};
constexpr Shape kCommit{"Commit", kCommitFields};

constexpr std::array kRootUpdateFields = {envelope(1)};
constexpr Shape kRootUpdate{"RootUpdate", kRootUpdateFields};

constexpr std::array kFreshnessHeadFields = {message(1, kLedger), u64(2), u64(3), hash(4),
                                             hashes(5, limits::kWithdrawnMax)};
constexpr Shape kFreshnessHead{"FreshnessHead", kFreshnessHeadFields};
constexpr std::array kFreshnessUpdateFields = {
    u64(1),
    u64(2),
    u64(3),
    u64(4),
    u64(5),
    message(6, kFreshnessHead, limits::kLedgersPerSessionMax),
    message(7, kLedger, limits::kLedgersPerSessionMax),
    signature(8)};
constexpr Shape kFreshnessUpdate{"FreshnessUpdate", kFreshnessUpdateFields};

constexpr std::array kWantMoreFields = {message(1, kWant, limits::kLedgersPerSessionMax)};
constexpr Shape kWantMore{"WantMore", kWantMoreFields};

constexpr std::array kInventoryRequestFields = {u32(1), flag(2)};
constexpr Shape kInventoryRequest{"InventoryRequest", kInventoryRequestFields};
constexpr std::array kInventoryFields = {u32(1), u64(2), leaves(3), leaves(4)};
constexpr Shape kInventory{"Inventory", kInventoryFields};

constexpr std::array kPingFields = {u64(1)};
constexpr Shape kPing{"Ping", kPingFields};
constexpr Shape kPong{"Pong", kPingFields};

constexpr std::array kErrorFields = {u32(1), text(2), u32(3)};
constexpr Shape kError{"Error", kErrorFields};

constexpr std::array kByeFields = {text(1), u32(2)};
constexpr Shape kBye{"Bye", kByeFields};

constexpr std::array kPublishFields = {u64(1),
                                       message(2, kLedger),
                                       message(3, kBase),
                                       u64(4),
                                       hash(5),
                                       u64(6),
                                       text(7),
                                       u32(8),
                                       flag(9),
                                       flag(10)};
constexpr Shape kPublish{"Publish", kPublishFields};

constexpr std::array kFindingFields = {text(1), u32(2), name(3), text(4)};
constexpr Shape kFinding{"Finding", kFindingFields};

constexpr std::array kPublishResultFields = {u64(1),
                                             u64(2),
                                             hash(3),
                                             name(4),
                                             u32(5),
                                             text(6),
                                             message(7, kHead),
                                             identity(8),
                                             u64(9),
                                             message(10, kFinding, limits::kFindingsMax),
                                             u32(11),
                                             u32(12),
                                             message(13, kFinding, limits::kFindingsMax)};
constexpr Shape kPublishResult{"PublishResult", kPublishResultFields};

constexpr std::array kHistoryQueryFields = {message(1, kLedger), u64(2), u32(3)};
constexpr Shape kHistoryQuery{"HistoryQuery", kHistoryQueryFields};
constexpr std::array kNodesQueryFields = {identity(1), u32(2)};
constexpr Shape kNodesQuery{"NodesQuery", kNodesQueryFields};
constexpr std::array kLedgersQueryFields = {message(1, kLedger)};
constexpr Shape kLedgersQuery{"LedgersQuery", kLedgersQueryFields};
constexpr std::array kRootsQueryFields = {u64(1)};
constexpr Shape kRootsQuery{"RootsQuery", kRootsQueryFields};
constexpr std::array kPublishRootFields = {envelope(1)};
constexpr Shape kPublishRoot{"PublishRoot", kPublishRootFields};
constexpr std::array kWithdrawFields = {message(1, kLedger), u64(2), text(3)};
constexpr Shape kWithdraw{"Withdraw", kWithdrawFields};
constexpr std::array kPendingQueryFields = {message(1, kLedger), message(2, kLedger), hash(3)};
constexpr Shape kPendingQuery{"PendingQuery", kPendingQueryFields};
constexpr std::array kCosignFields = {message(1, kLedger), hash(2), signature(3)};
constexpr Shape kCosign{"Cosign", kCosignFields};
constexpr std::array kDropPendingFields = {message(1, kLedger), hash(2)};
constexpr Shape kDropPending{"DropPending", kDropPendingFields};
constexpr Shape kTrustQuery{"TrustQuery", {}};
constexpr std::array kNewJoinTokenFields = {name(1), u64(2), flag(3)};
constexpr Shape kNewJoinToken{"NewJoinToken", kNewJoinTokenFields};
constexpr std::array kRenewFields = {request(1)};
constexpr Shape kRenew{"RenewCertificate", kRenewFields};
constexpr std::array kQueryFields = {u64(1),
                                     message(2, kHistoryQuery),
                                     message(3, kNodesQuery),
                                     message(4, kLedgersQuery),
                                     message(5, kRootsQuery),
                                     message(6, kPublishRoot),
                                     message(7, kWithdraw),
                                     message(8, kPendingQuery),
                                     message(9, kCosign),
                                     message(10, kDropPending),
                                     message(11, kTrustQuery),
                                     message(12, kNewJoinToken),
                                     message(13, kRenew)};
constexpr Shape kQuery{"Query", kQueryFields, true};

constexpr std::array kHistoryRowFields = {u64(1), hash(2), hash(3), identity(4),  text(5), u64(6),
                                          u64(7), u64(8),  name(9), envelope(10), text(11)};
constexpr Shape kHistoryRow{"HistoryRow", kHistoryRowFields};
constexpr std::array kNodeLedgerFields = {
    message(1, kLedger), u64(2), u32(3), u64(4), u32(5), text(6), u64(7), u64(8), u32(9), u64(10)};
constexpr Shape kNodeLedger{"NodeLedger", kNodeLedgerFields};
constexpr std::array kNodeRowFields = {identity(1), name(2), flag(3), u64(4),
                                       message(5, kNodeLedger, limits::kLedgersPerSessionMax)};
constexpr Shape kNodeRow{"NodeRow", kNodeRowFields};
constexpr std::array kPendingRowFields = {
    message(1, kLedger), u64(2), hash(3), identity(4), text(5), u64(6), u32(7), u32(8),
    envelope(9)};
constexpr Shape kPendingRow{"PendingRow", kPendingRowFields};
constexpr std::array kTrustRowFields = {u64(1), message(2, kLedger), u64(3), identity(4)};
constexpr Shape kTrustRow{"TrustRow", kTrustRowFields};
constexpr std::array kCertificateFields = {pem(1), pem(2)};
constexpr Shape kCertificate{"Certificate", kCertificateFields};
constexpr std::array kAnswerFields = {u64(1),
                                      u32(2),
                                      text(3),
                                      message(4, kHistoryRow, limits::kQueryRowsMax),
                                      message(5, kNodeRow, limits::kQueryRowsMax),
                                      message(6, kHead, limits::kLedgersMax),
                                      flag(7),
                                      envelopes(8, limits::kRootStepsMax),
                                      message(9, kPendingRow, limits::kQueryRowsMax),
                                      message(10, kPublishResult),
                                      message(11, kTrustRow),
                                      token(12),
                                      message(13, kCertificate),
                                      message(14, kRefusal, limits::kLedgersMax)};
constexpr Shape kAnswer{"Answer", kAnswerFields};

constexpr std::array kJoinFields = {token(1), request(2)};
constexpr Shape kJoin{"Join", kJoinFields};
constexpr std::array kJoinedFields = {message(1, kCertificate),
                                      envelopes(2, limits::kRootStepsMax)};
constexpr Shape kJoined{"Joined", kJoinedFields};

const Shape& shape_of(FrameType type) {
  switch (type) {
    case FrameType::kHello:
      return kHello;
    case FrameType::kWelcome:
      return kWelcome;
    case FrameType::kOffer:
      return kOffer;
    case FrameType::kCommit:
      return kCommit;
    case FrameType::kWantMore:
      return kWantMore;
    case FrameType::kPing:
      return kPing;
    case FrameType::kPong:
      return kPong;
    case FrameType::kError:
      return kError;
    case FrameType::kBye:
      return kBye;
    case FrameType::kPublish:
      return kPublish;
    case FrameType::kPublishResult:
      return kPublishResult;
    case FrameType::kQuery:
      return kQuery;
    case FrameType::kAnswer:
      return kAnswer;
    case FrameType::kRootUpdate:
      return kRootUpdate;
    case FrameType::kFreshnessUpdate:
      return kFreshnessUpdate;
    case FrameType::kInventoryRequest:
      return kInventoryRequest;
    case FrameType::kInventory:
      return kInventory;
    case FrameType::kJoin:
      return kJoin;
    case FrameType::kJoined:
      return kJoined;
    case FrameType::kChunk:
      break;
  }
  return kLedgersQuery;  // a Chunk is raw bytes and is never checked here
}

// Wire types of the Protobuf encoding.
constexpr uint64_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5;

std::unexpected<Error> refuse(const Shape& shape, uint64_t number, std::string_view what) {
  return fail(ErrorCode::kMessage, fmt::format("{}, field {}: {}", shape.name, number, what));
}

// Takes the value of one field: its number, or its bytes.
struct Value {
  uint64_t number = 0;
  ByteView bytes;
};

Result<Value> take_value(const Shape& shape, uint64_t field, uint64_t wire_type, ByteView& in) {
  switch (wire_type) {
    case kVarint: {
      NOTP_ASSIGN(const uint64_t number, take_varint(in));
      return Value{number, {}};
    }
    case kFixed64:
    case kFixed32: {
      NOTP_ASSIGN(const ByteView bytes, take_bytes(in, wire_type == kFixed64 ? 8 : 4));
      return Value{0, bytes};
    }
    case kLengthDelimited: {
      NOTP_ASSIGN(const uint64_t length, take_varint(in));
      NOTP_ASSIGN(const ByteView bytes, take_bytes(in, length));
      return Value{0, bytes};
    }
    default:
      return refuse(shape, field, fmt::format("wire type {} is not allowed", wire_type));
  }
}

Result<void> check(const Shape& shape, ByteView payload);

bool wire_type_fits(Kind kind, uint64_t wire_type) {
  switch (kind) {
    case Kind::kBool:
    case Kind::kUint32:
    case Kind::kUint64:
      return wire_type == kVarint;
    case Kind::kPackedUint32:
      return wire_type == kVarint || wire_type == kLengthDelimited;
    case Kind::kBytes:
    case Kind::kMessage:
      return wire_type == kLengthDelimited;
  }
  return false;
}

Result<void> check_packed(const Shape& shape, const FieldRule& rule, ByteView packed) {
  size_t count = 0;
  while (!packed.empty()) {
    NOTP_ASSIGN(const uint64_t number, take_varint(packed));
    if (number > UINT32_MAX) return refuse(shape, rule.number, "a number is over 32 bits");
    if (++count > rule.count_max) return refuse(shape, rule.number, "too many numbers");
  }
  return {};
}

Result<void> check_value(const Shape& shape, const FieldRule& rule, uint64_t wire_type,
                         const Value& value) {
  if (!wire_type_fits(rule.kind, wire_type))
    return refuse(shape, rule.number, fmt::format("wire type {} is not the field's", wire_type));
  if (rule.kind == Kind::kBool && value.number > 1)
    return refuse(shape, rule.number, "a truth value is neither 0 nor 1");
  if ((rule.kind == Kind::kUint32 || rule.kind == Kind::kPackedUint32) && value.number > UINT32_MAX)
    return refuse(shape, rule.number, "a number is over 32 bits");
  if (value.bytes.size() > rule.bytes_max)
    return refuse(shape, rule.number,
                  fmt::format("{} bytes, at most {}", value.bytes.size(), rule.bytes_max));
  if (rule.kind == Kind::kPackedUint32) return check_packed(shape, rule, value.bytes);
  return rule.kind == Kind::kMessage ? check(*rule.shape, value.bytes) : Result<void>{};
}

const FieldRule* find_rule(const Shape& shape, uint64_t number) {
  for (const FieldRule& rule : shape.fields)
    if (rule.number == number) return &rule;
  return nullptr;
}

// Recursion ends with the schema, which has no cycle: at most five levels.
Result<void> check(const Shape& shape, ByteView payload) {
  std::array<size_t, kFieldNumbersMax> counts{};
  size_t members = 0;
  while (!payload.empty()) {
    NOTP_ASSIGN(const uint64_t tag, take_varint(payload));
    const uint64_t number = tag >> 3;
    if (tag > UINT32_MAX || number == 0) return refuse(shape, number, "not a field number");
    NOTP_ASSIGN(const Value value, take_value(shape, number, tag & 7, payload));
    const FieldRule* rule = find_rule(shape, number);
    if (rule == nullptr) continue;
    if (++counts[number] > rule->count_max)
      return refuse(shape, number, fmt::format("comes more often than {}", rule->count_max));
    if (shape.one_of && rule->kind == Kind::kMessage && ++members > 1)
      return refuse(shape, number, "a second member of a oneof");
    NOTP_TRY(check_value(shape, *rule, tag & 7, value));
  }
  return {};
}

}  // namespace

Result<void> check_shape(FrameType type, ByteView payload) {
  return check(shape_of(type), payload);
}

}  // namespace notp::wire
