// All that is read of logs of decisions and comes from others. The first byte chooses the reader.
// What a reader accepts must be the one encoding of what it returns, and keep its promises.
#include <bit>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree_entry.hpp"
#include "tests/fuzz/record_seeds.hpp"

namespace {

using namespace notp;
using namespace notp::record;

void read_record(ByteView bytes) {
  const auto start = decode_start(bytes);
  const auto record = decode(bytes);
  if (!record) return;
  NOTP_ASSERT(encode(*record) == bytes, "a record has one encoding");
  NOTP_ASSERT(start && start->kind == record->kind() && start->place == record->place,
              "its front says what the whole does");
  if (const auto* decision = std::get_if<DecisionContent>(&record->content))
    static_cast<void>(outcome_of(decision->result));
}

// A witness's line goes into a note that somebody else has made.
void check_cosigning(ByteView note) {
  const PublicKey key = fuzz::log_key().public_key();
  const auto signature = cosign(note, 7, fuzz::log_key());
  NOTP_ASSERT(signature && verify_cosignature(note, 7, *signature, key), "a note is cosigned");
  const auto cosigned = add_cosignature(note, {"witness", 7, *signature}, key);
  if (!cosigned) {
    NOTP_ASSERT(cosigned.error().code == ErrorCode::kLimit, "only a full note takes no more");
    return;
  }
  NOTP_ASSERT(cosigned->size() <= limits::kCheckpointBytesMax, "a note within its limit");
  NOTP_ASSERT(cosigned_at(*cosigned, "witness", key) == 7, "a cosignature is found again");
  NOTP_ASSERT(*parse_checkpoint(*cosigned) == *parse_checkpoint(note), "and changes nothing else");
  NOTP_ASSERT(signer_names(*cosigned).back() == "witness", "its line is the last one");
}

void read_checkpoint(ByteView bytes) {
  const auto checkpoint = parse_checkpoint(bytes);
  const auto verified = verify_checkpoint(bytes, fuzz::log_key().public_key());
  NOTP_ASSERT(!verified || (checkpoint && *checkpoint == *verified), "one reading");
  if (!checkpoint) return;
  check_cosigning(bytes);
  const std::string again = sign_checkpoint(*checkpoint, fuzz::log_key());
  NOTP_ASSERT(again.substr(0, again.find("\n\n")) == bytes.substr(0, bytes.find("\n\n")),
              "the text of a checkpoint has one form");
}

void read_announcement(ByteView bytes) {
  const auto announcement = verify_announcement(bytes);
  if (!announcement) return;
  NOTP_ASSERT(announcement->node.starts_with("spiffe://" + announcement->trust_domain + "/"),
              "the node is of its domain");
}

// The content is compressed here, so that the fuzzer need not find frames of zstd; or it is the
// frame itself.
struct Input {
  SegmentHead head;
  Bytes body;
};

Input segment_input(ByteView bytes, size_t content_extra) {
  Input out;
  const auto flags = static_cast<uint8_t>(bytes.empty() ? 0 : bytes.front());
  if (!bytes.empty()) bytes.remove_prefix(1);
  out.head = fuzz::head();
  out.head.count = flags & 7U;
  if ((flags & 8U) != 0) {
    out.body = bytes;
    const auto size = zstd_content_bytes(bytes);
    out.head.content_bytes = size ? *size : bytes.size();
  } else {
    out.body = *zstd_compress(bytes, {}, {});
    out.head.content_bytes = bytes.size();
  }
  if ((flags & 16U) != 0) out.head.content_bytes += content_extra;
  return out;
}

void read_segment(ByteView bytes) {
  const Input in = segment_input(bytes, 1);
  const auto opened = OpenedSegment::open(in.head, in.body);
  if (!opened) return;
  NOTP_ASSERT(opened->records().size() == in.head.count, "as many as the head says");
  size_t content = 0;
  for (const ByteView record : opened->records()) {
    read_record(record);
    content += record.size();
  }
  NOTP_ASSERT(content < in.head.content_bytes, "no more than the head says");
  static_cast<void>(check_places(in.head, *opened));
  Frontier tree;
  const Segment segment{in.head, in.body, {}};
  static_cast<void>(extend_tree(tree, segment, &*opened, fuzz::log_key().public_key()));
  SegmentHead shown = in.head;
  shown.secret.clear();
  const auto reduced =
      open_reduced(shown, *reduce(in.head, *opened, [](size_t i) { return i % 2 == 0; }));
  NOTP_ASSERT(reduced, "what was reduced is read");
  const auto leaves = leaf_hashes(in.head, *opened);
  for (size_t i = 0; i < leaves.size(); ++i)
    NOTP_ASSERT((*reduced)[i].leaf == leaves[i], "a reduced segment has the same leaves");
}

void read_reduced(ByteView bytes) {
  const Input in = segment_input(bytes, 1'000);
  const auto reduced = open_reduced(in.head, in.body);
  if (reduced) NOTP_ASSERT(reduced->size() == in.head.count, "as many as the head says");
}

void read_frontier(ByteView bytes) {
  auto tree = Frontier::decode(bytes);
  if (!tree) return;
  NOTP_ASSERT(tree->encode() == bytes, "a frontier has one encoding");
  const Hash root = tree->root();
  const uint64_t count = bytes.size() % 77;
  std::vector<Hash> hashes(subtree_count(tree->size(), count));
  const bool fits = count <= limits::kPositionMax - tree->size();
  const uint64_t before = tree->size();
  NOTP_ASSERT(tree->extend(count, hashes).has_value() == fits, "it grows up to its limit");
  NOTP_ASSERT(tree->size() == (fits ? before + count : before), "it has grown by the count");
  NOTP_ASSERT(count == 0 || !fits || tree->root() != root, "another tree, another root");
  NOTP_ASSERT((tree->encode().size() - std::popcount(tree->size()) * Hash::kSize) <= 10,
              "a hash for each bit of its size");
}

void read_address(ByteView bytes) {
  const auto address = DecisionAddress::parse(bytes);
  if (!address) return;
  NOTP_ASSERT(DecisionAddress::parse(address->text()) == *address, "an address has one meaning");
  NOTP_ASSERT(address->run <= limits::kRunMax && address->position <= limits::kPositionMax,
              "an address is one of a record");
}

void read_tree_entry(ByteView bytes) {
  const auto entry = decode_tree_entry(bytes);
  if (!entry) {
    NOTP_ASSERT(entry.error().code == ErrorCode::kMessage, "a refusal with a foreign code");
    return;
  }
  NOTP_ASSERT(encode(*entry) == bytes, "an entry has one encoding");
  NOTP_ASSERT(bytes.size() <= limits::kTreeEntryBytesMax, "an entry within its limit");
  NOTP_ASSERT(entry->positions.size() <= limits::kSegmentRecordsMax &&
                  entry->hashes.size() <= limits::kSegmentRecordsMax,
              "an entry about one segment at most");
  for (size_t i = 1; i < entry->positions.size(); ++i)
    NOTP_ASSERT(entry->positions[i - 1] < entry->positions[i], "its positions ascend");
}

void read_tlog_proof(ByteView text) {
  const auto proof = parse_tlog_proof(text);
  if (!proof) return;
  NOTP_ASSERT(proof->inclusion.size() <= limits::kProofHashesMax &&
                  proof->index < limits::kPositionMax &&
                  proof->checkpoint.size() <= limits::kCheckpointBytesMax,
              "a proof within its limits");
  const std::string again = to_text(*proof);
  NOTP_ASSERT(parse_tlog_proof(again) == *proof, "a proof is read as it was written");
  NOTP_ASSERT(again == text || text.contains("\nextra "), "its text has one form");
}

void read_named_key(ByteView text) {
  const auto key = parse_named_key(text);
  if (key) NOTP_ASSERT(named_key_text(*key) == text, "a key's text has one form");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr void (*kReaders[])(ByteView) = {
      read_record,   read_checkpoint, read_announcement, read_segment,    read_reduced,
      read_frontier, read_address,    read_tree_entry,   read_tlog_proof, read_named_key};
  const ByteView bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  kReaders[data[0] % std::size(kReaders)](bytes);
  return 0;
}
