// All that is read of token lanes and comes from others. The first byte chooses the reader. What a
// reader accepts is the one encoding of what it returns, and obeys every rule.
#include <algorithm>
#include <optional>
#include <string>

#include "common/assert.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/trust/envelope.hpp"
#include "tests/support/wire/lane_samples.hpp"

namespace {

using namespace notp;
using namespace notp::feed;

void check_event(const Event& event) {
  NOTP_ASSERT(event.check(), "an event that was read obeys the rules");
  NOTP_ASSERT(event.end_s() > 0, "it ends");
  NOTP_ASSERT(EventKey::from_bytes(key_of(event).bytes()) == key_of(event), "a key has one form");
}

void check_events(const Batch& batch) {
  NOTP_ASSERT(batch.from <= batch.to && batch.to <= batch.header.head, "revisions in order");
  for (const Event& event : batch.events) check_event(event);
}
void check_events(const Snapshot& snapshot) {
  std::optional<EventKey> before = snapshot.after;
  for (const Event& row : snapshot.rows) {
    check_event(row);
    NOTP_ASSERT(!before || *before < key_of(row), "rows in order");
    before = key_of(row);
  }
  NOTP_ASSERT(!before || !snapshot.last || *before <= *snapshot.last, "rows in their range");
}
void check_events(const Answer& answer) {
  if (!answer.event) return;
  check_event(*answer.event);
  NOTP_ASSERT(answer.event->id == answer.id, "an answer about another token");
}

template <typename Statement>
void read_statement(ByteView bytes) {
  const auto statement = Statement::decode(bytes);
  if (!statement) return;
  NOTP_ASSERT(statement->encode() == bytes, "a statement with two encodings");
  NOTP_ASSERT(statement->header.grant != 0 && !statement->header.instance.is_zero(),
              "a statement of no history");
  check_events(*statement);
}

void read_record(ByteView bytes) {
  const auto record = decode_record(bytes);
  if (!record) return;
  NOTP_ASSERT(encode_record(*record).size() <= limits::kTokenRecordBytesMax, "a small record");
  NOTP_ASSERT(decode_record(encode_record(*record)) == *record, "a record is read as written");
}

// As the holder of the lane's key may sign it.
void open_signed(ByteView body, bool compressed) {
  const std::string type =
      std::string("application/vnd.notp.lane-batch.v1") + std::string(compressed ? "+zstd" : "");
  const SealedStatement sealed{
      .type = StatementType::kBatch,
      .compressed = compressed,
      .body = Bytes(body),
      .signature = samples::lane_key().sign(trust::pre_authentication_encoding(type, body))};
  const PublicKey key = samples::lane_key().public_key();
  if (const auto opened = open(sealed, key)) {
    NOTP_ASSERT(opened->size() <= limits::kLaneInflatedBytesMax || !compressed, "a bomb");
    read_statement<Batch>(*opened);
  } else {
    NOTP_ASSERT(opened.error().code != ErrorCode::kSignature, "it was signed");
  }
  SealedStatement other = sealed;
  other.type = StatementType::kAnswer;
  NOTP_ASSERT(!open(other, key), "a signature is of one type");
}

// Signature and body as they come.
void open_foreign(ByteView bytes) {
  SealedStatement sealed;
  sealed.signature = bytes.substr(0, std::min<size_t>(bytes.size(), 64));
  sealed.body = bytes.substr(sealed.signature.size());
  NOTP_ASSERT(!open(sealed, samples::lane_key().public_key()), "nobody has signed it");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'b':
      read_statement<Batch>(bytes);
      break;
    case 's':
      read_statement<Snapshot>(bytes);
      break;
    case 'a':
      read_statement<Answer>(bytes);
      break;
    case 'r':
      read_record(bytes);
      break;
    case 'k':
      if (const auto key = EventKey::from_bytes(bytes))
        NOTP_ASSERT(key->bytes() == bytes, "a key with two encodings");
      break;
    case 'h':
      if (const auto id = TokenId::from_hex(bytes))
        NOTP_ASSERT(TokenId::from_hex(id->hex()) == *id, "digits are read as they are written");
      break;
    case 'o':
      open_signed(bytes, false);
      break;
    case 'z':
      open_signed(bytes, true);
      break;
    default:
      open_foreign(bytes);
  }
  return 0;
}
