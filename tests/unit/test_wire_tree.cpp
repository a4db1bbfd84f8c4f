// Messages about the registry's tree, holds and erasure: what their limits and rules refuse, and
// how pages are bounded.
#include <doctest/doctest.h>

#include <map>
#include <span>

#include "common/limits.hpp"
#include "protocol/wire/log_limits.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::wire {
namespace {

using namespace samples;

constexpr uint64_t kAbove = limits::kPositionMax + 1;
const Bytes kLog(16, 'l');

Bytes hashes(uint32_t number, size_t count) {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(number, samples::hash_bytes('h'));
  return out;
}

Bytes fields(uint32_t number, ByteView content, size_t count) {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(number, content);
  return out;
}

Bytes offer_with(const Bytes& tree) {
  return field(1, "\x01") +
         field(6, field(1, kLog) + varint_field(2, 5) + field(3, samples::hash_bytes()) + tree);
}

// A message whose fields a case may replace, by number.
struct Fields {
  std::map<uint32_t, Bytes> of;
  Bytes bytes() const {
    Bytes out;
    for (const auto& [number, field] : of) out += field;
    return out;
  }
  Bytes with(uint32_t number, Bytes by) const {
    Fields changed = *this;
    changed.of[number] = std::move(by);
    return changed.bytes();
  }
};

const Fields kReceipt{{{1, field(1, kLog)},
                       {2, varint_field(2, 5)},
                       {3, varint_field(3, 7)},
                       {4, field(4, "checkpoint")},
                       {8, varint_field(8, 1'750'000'000'000)}}};
const Fields kWitness{{{1, field(1, kLog)}, {4, field(4, Bytes(64, 's'))}}};
const Fields kReleased{{{1, field(1, ledger_bytes())}, {2, varint_field(2, 3)}}};
const Fields kPutHold{{{1, field(1, "case-7")}, {3, field(3, "a court wants them")}}};
const Fields kErase{{{2, field(2, "10111213-1415-8001-8000-000000000400")}, {3, field(3, "why")}}};
const Fields kReleaseRequest{
    {{1, field(1, "node")}, {2, field(2, ledger_bytes())}, {3, varint_field(3, 3)}}};
const Fields kPart{{{1, field(1, "announcement")},
                    {2, field(2, "checkpoint")},
                    {3, varint_field(3, 9)},
                    {4, varint_field(4, 8)},
                    {5, field(5, "entry")}}};
const Fields kProof{{{2, field(2, "frontier")},
                     {5, field(5, "checkpoint")},
                     {6, field(6, "announcement")},
                     {7, field(7, "entry")},
                     {8, field(8, "announcement")}}};

Bytes asked(uint32_t number, const Bytes& content) { return field(number, content); }

template <typename T>
Response decoded(const T& content) {
  FrameParser parser;
  parser.feed(encode_frame(Response{.request = 1, .what = content}));
  auto next = parser.next();
  REQUIRE((next && *next));
  return std::get<Response>(**next);
}

struct Row {
  std::string_view name;
  FrameType type;
  Bytes payload;
};

void check_refused(std::span<const Row> rows) {
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(decode_text(row.type, row.payload));
    CHECK(decode_code(row.type, row.payload) == ErrorCode::kMessage);
  }
}

TEST_CASE("receipts: hostile payloads are refused") {
  const Row rows[] = {
      {"a tree id of 15 bytes", FrameType::kHello, offer_with(field(5, Bytes(15, 't')))},
      {"the size of a tree without a name", FrameType::kHello, offer_with(varint_field(6, 1))},
      {"a tree too large", FrameType::kHello,
       offer_with(field(5, Bytes(16, 't')) + varint_field(6, kAbove))},
      {"a receipt of no log", FrameType::kLogReceipt, kReceipt.with(1, {})},
      {"a receipt of too many records", FrameType::kLogReceipt,
       kReceipt.with(2, varint_field(2, kAbove))},
      {"a leaf past the last", FrameType::kLogReceipt, kReceipt.with(3, varint_field(3, kAbove))},
      {"a receipt without a checkpoint", FrameType::kLogReceipt, kReceipt.with(4, {})},
      {"a receipt with a checkpoint too long", FrameType::kLogReceipt,
       kReceipt.with(4, field(4, Bytes(limits::kCheckpointBytesMax + 1, 'c')))},
      {"too many hashes of inclusion", FrameType::kLogReceipt,
       kReceipt.with(5, hashes(5, limits::kProofHashesMax + 1))},
      {"too many hashes of consistency", FrameType::kLogReceipt,
       kReceipt.with(6, hashes(6, limits::kProofHashesMax + 1))},
      {"a hash of 31 bytes", FrameType::kLogReceipt,
       kReceipt.with(5, field(5, samples::hash_bytes('h', 31)))},
      {"an announcement too long", FrameType::kLogReceipt,
       kReceipt.with(7, field(7, Bytes(limits::kAnnouncementBytesMax + 1, 'a')))},
      {"a leaf without a time", FrameType::kLogReceipt, kReceipt.with(8, {})},
      {"a leaf from before 1970", FrameType::kLogReceipt,
       kReceipt.with(8, varint_field(8, UINT64_MAX))},
      {"a leaf from after 9999", FrameType::kLogReceipt,
       kReceipt.with(8, varint_field(8, limits::kTimestampMsMax + 1))},
      {"an answer about no log", FrameType::kLogWitness, kWitness.with(1, {})},
      {"an answer about a tree too large", FrameType::kLogWitness,
       kWitness.with(2, varint_field(2, kAbove))},
      {"a cosignature from before 1970", FrameType::kLogWitness,
       kWitness.with(3, varint_field(3, UINT64_MAX))},
      {"a cosignature from after 9999", FrameType::kLogWitness,
       kWitness.with(3, varint_field(3, limits::kTimestampMsMax / 1'000 + 1))},
      {"a cosignature of 63 bytes", FrameType::kLogWitness,
       kWitness.with(4, field(4, Bytes(63, 's')))},
      {"neither a cosignature nor a code", FrameType::kLogWitness, kWitness.with(4, {})},
      {"a cosignature and a code", FrameType::kLogWitness, kWitness.with(5, varint_field(5, 59))},
      {"a reason that is not UTF-8", FrameType::kLogWitness, kWitness.with(6, field(6, "caf\xe9"))},
      {"a kept checkpoint too long", FrameType::kLogWitness,
       kWitness.with(7, field(7, Bytes(limits::kCheckpointBytesMax + 1, 'c')))},
      {"no ledger let go", FrameType::kReleaseHeld, kReleased.with(1, {})},
      {"no release let go", FrameType::kReleaseHeld, kReleased.with(2, {})},
      {"a release above the last let go", FrameType::kReleaseHeld,
       kReleased.with(2, varint_field(2, limits::kVersionMax + 1))}};
  check_refused(rows);
}

TEST_CASE("the registry's tree: hostile requests and answers are refused") {
  const Row rows[] = {
      {"entries from past the last", FrameType::kRequest, asked(21, varint_field(1, kAbove))},
      {"a proof of no log's record", FrameType::kRequest, asked(22, varint_field(2, 5))},
      {"a proof of a record past the last", FrameType::kRequest,
       asked(22, field(1, kLog) + varint_field(2, kAbove))},
      {"a part without an announcement", FrameType::kResponse, asked(24, kPart.with(1, {}))},
      {"a part without a checkpoint", FrameType::kResponse, asked(24, kPart.with(2, {}))},
      {"a part of a tree too large", FrameType::kResponse,
       asked(24, kPart.with(3, varint_field(3, kAbove)))},
      {"entries past the end of the tree", FrameType::kResponse,
       asked(24, kPart.with(4, varint_field(4, 9)))},
      {"a first entry behind the tree", FrameType::kResponse,
       asked(24, kPart.with(4, varint_field(4, UINT64_MAX)))},
      {"an empty entry", FrameType::kResponse, asked(24, kPart.with(5, field(5, {})))},
      {"an entry too long", FrameType::kResponse,
       asked(24, kPart.with(5, field(5, Bytes(limits::kTreeEntryBytesMax + 1, 'e'))))},
      {"too many entries", FrameType::kResponse,
       asked(24, field(1, "a") + field(2, "c") + varint_field(3, 10'000) +
                     fields(5, "e", limits::kTreeEntriesPageMax + 1))},
      {"a proof without a frontier", FrameType::kResponse, asked(25, kProof.with(2, {}))},
      {"a frontier too long", FrameType::kResponse,
       asked(25, kProof.with(2, field(2, Bytes(limits::kFrontierBytesMax + 1, 'f'))))},
      {"a proof of a leaf past the last", FrameType::kResponse,
       asked(25, kProof.with(3, varint_field(3, kAbove)))},
      {"a proof with too many hashes", FrameType::kResponse,
       asked(25, kProof.with(4, hashes(4, limits::kProofHashesMax + 1)))},
      {"a proof without a checkpoint", FrameType::kResponse, asked(25, kProof.with(5, {}))},
      {"a proof without the tree's announcement", FrameType::kResponse,
       asked(25, kProof.with(6, {}))},
      {"a proof without its leaf", FrameType::kResponse, asked(25, kProof.with(7, {}))},
      {"a proof without the log's announcement", FrameType::kResponse,
       asked(25, kProof.with(8, {}))},
      {"a cosigner without an announcement", FrameType::kResponse,
       asked(25, kProof.with(9, field(9, field(1, "node"))))},
      {"too many cosigners", FrameType::kResponse,
       asked(25, kProof.with(9, fields(9, field(2, "a"), limits::kCosignaturesMax + 1)))}};
  check_refused(rows);
}

TEST_CASE("holds and erasure: hostile requests and answers are refused") {
  const Bytes long_text(limits::kErrorTextBytesMax + 1, 'r');
  const Row rows[] = {
      {"a page after an id too long", FrameType::kRequest,
       asked(23, field(1, Bytes(limits::kNameBytesMax + 1, 'i')))},
      {"a hold without an id", FrameType::kRequest, asked(24, kPutHold.with(1, {}))},
      {"a hold with an id too long", FrameType::kRequest,
       asked(24, kPutHold.with(1, field(1, Bytes(limits::kNameBytesMax + 1, 'i'))))},
      {"a hold of a time before 1970", FrameType::kRequest,
       asked(24, kPutHold.with(2, field(2, varint_field(1, UINT64_MAX))))},
      {"a hold without a reason", FrameType::kRequest, asked(24, kPutHold.with(3, {}))},
      {"a hold with a reason too long", FrameType::kRequest,
       asked(24, kPutHold.with(3, field(3, long_text)))},
      {"nothing to erase", FrameType::kRequest, asked(25, kErase.with(2, {}))},
      {"nothing to erase, by an empty filter", FrameType::kRequest,
       asked(25, kErase.with(2, field(1, {})))},
      {"too many records to erase", FrameType::kRequest,
       asked(25, kErase.with(2, fields(2, "id", limits::kErasedIdsMax + 1)))},
      {"a decision id too long", FrameType::kRequest,
       asked(25, kErase.with(2, field(2, Bytes(limits::kNameBytesMax + 1, 'i'))))},
      {"a decision id that is not UTF-8", FrameType::kRequest,
       asked(25, kErase.with(2, field(2, "caf\xe9")))},
      {"an erasure without a reason", FrameType::kRequest, asked(25, kErase.with(3, {}))},
      {"an erasure from a place too long", FrameType::kRequest,
       asked(25, kErase.with(5, field(5, Bytes(limits::kCursorBytesMax + 1, 'c'))))},
      {"a gate of no node", FrameType::kRequest, asked(26, kReleaseRequest.with(1, {}))},
      {"a gate's ledger missing", FrameType::kRequest, asked(26, kReleaseRequest.with(2, {}))},
      {"a gate's release missing", FrameType::kRequest, asked(26, kReleaseRequest.with(3, {}))},
      {"a row of a hold without an id", FrameType::kResponse, asked(26, field(3, "reason"))},
      {"more to erase without a cursor", FrameType::kResponse, asked(27, varint_field(5, 1))},
      {"a cursor of the last page", FrameType::kResponse, asked(27, field(6, "cursor"))},
      {"holds and an erasure", FrameType::kResponse,
       asked(26, field(1, "case-7")) + asked(27, varint_field(1, 1))}};
  check_refused(rows);
}

TEST_CASE("what the hostile rows vary is accepted as it is") {
  CHECK(decode_text(FrameType::kHello, offer_with(field(5, Bytes(16, 't')))) == "accepted");
  CHECK(decode_text(FrameType::kLogReceipt, kReceipt.bytes()) == "accepted");
  CHECK(decode_text(FrameType::kLogReceipt, kReceipt.with(5, hashes(5, limits::kProofHashesMax))) ==
        "accepted");
  CHECK(decode_text(FrameType::kLogWitness, kWitness.bytes()) == "accepted");
  CHECK(decode_text(FrameType::kLogWitness, kWitness.with(4, varint_field(5, 59))) == "accepted");
  CHECK(decode_text(FrameType::kReleaseHeld, kReleased.bytes()) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(21, {})) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(22, field(1, kLog))) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(23, {})) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(24, kPutHold.bytes())) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(25, kErase.bytes())) == "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(25, kErase.with(2, field(1, field(8, "alice"))))) ==
        "accepted");
  CHECK(decode_text(FrameType::kRequest, asked(26, kReleaseRequest.bytes())) == "accepted");
  CHECK(decode_text(FrameType::kResponse, asked(24, kPart.bytes())) == "accepted");
  CHECK(decode_text(FrameType::kResponse, asked(25, kProof.bytes())) == "accepted");
  CHECK(decode_text(FrameType::kResponse, asked(26, field(1, "case-7"))) == "accepted");
  CHECK(decode_text(FrameType::kResponse, asked(27, varint_field(1, 1))) == "accepted");
}

TEST_CASE("a part of the tree that is too long for a frame loses its last entries") {
  TreePart part = tree_part();
  part.announcement = Bytes(limits::kAnnouncementBytesMax, 'a');
  part.checkpoint = Bytes(limits::kCheckpointBytesMax, 'c');
  part.first = 0;
  part.entries.assign(40, Bytes(limits::kTreeEntryBytesMax, 'e'));
  part.entries[3][0] = 'f';
  const Response back = decoded(part);
  const auto& read = std::get<TreePart>(back.what);
  CHECK(read.entries.size() == 15);
  CHECK(read.entries[3] == part.entries[3]);
  CHECK(read.size == part.size);
}

TEST_CASE("a page of holds that is too long for a frame loses its last rows and says so") {
  Hold row = hold();
  row.reason = Bytes(limits::kErrorTextBytesMax, 'r');
  row.filter = decision_filter();
  row.filter.values.assign(limits::kFilterValuesMax, Bytes(limits::kFilterTextBytesMax, 'v'));
  const Response back = decoded(HoldsPage{std::vector<Hold>(40, row), false});
  const auto& page = std::get<HoldsPage>(back.what);
  CHECK(page.more);
  CHECK(page.rows.size() == 14);
  CHECK(page.rows.back().filter == row.filter);
}

TEST_CASE("the largest receipt and the largest proof fit into a frame") {
  LogReceipt receipt = log_receipt();
  receipt.checkpoint = Bytes(limits::kCheckpointBytesMax, 'c');
  receipt.announcement = Bytes(limits::kAnnouncementBytesMax, 'a');
  receipt.inclusion.assign(limits::kProofHashesMax, samples::hash_of(1));
  receipt.consistency = receipt.inclusion;
  CHECK(try_encode_frame(receipt));
  RecordProof proof = record_proof();
  proof.inclusion = receipt.inclusion;
  proof.checkpoint = receipt.checkpoint;
  proof.announcement = proof.log_announcement = receipt.announcement;
  proof.entry = Bytes(limits::kTreeEntryBytesMax, 'e');
  proof.cosigners.assign(limits::kCosignaturesMax,
                         {Bytes(limits::kIdentityBytesMax, 'n'), receipt.announcement});
  CHECK(try_encode_frame(Response{.what = proof}));
  EraseRequest erase{
      {},
      std::vector<std::string>(limits::kErasedIdsMax, std::string(limits::kNameBytesMax, 'i')),
      "why",
      false,
      {}};
  CHECK(try_encode_frame(Request{1, erase}));
}

TEST_CASE("an erasure that says nothing of which records is not sent") {
  const auto refused = try_encode_frame(Request{1, EraseRequest{{}, {}, "why", false, {}}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.contains("nothing says which records to erase"));
}

}  // namespace
}  // namespace notp::wire
