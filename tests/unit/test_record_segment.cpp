// Segments: what a node seals, a registry checks and an auditor reads.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"
#include "tests/support/decision_records.hpp"

using namespace notp;
using namespace notp::record;

namespace {

const PrivateKey& log_key() {
  static const PrivateKey key = PrivateKey::from_seed({1, 2, 3});
  return key;
}
const LogId kLog = LogId::of(log_key().public_key());
const std::string kOrigin = log_origin("spiffe://core-platform.internal/node/edge-1", kLog);

std::vector<Bytes> records_of(Position first, size_t count) {
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(samples::decision_record(1, first + i, first + i));
  return out;
}

Segment seal(Frontier& tree, const std::vector<Bytes>& records, char secret = 's') {
  SegmentBuilder builder(tree.size(), Bytes(kSegmentSecretBytes, secret));
  for (const Bytes& record : records) builder.add(record, tree);
  auto segment = std::move(builder).seal(kLog, tree, kOrigin, log_key());
  REQUIRE(segment);
  return *std::move(segment);
}

Segment a_segment(size_t count = 5) {
  Frontier tree;
  return seal(tree, records_of(0, count));
}

// The body of other records, below the same head.
void set_records(Segment& segment, const std::vector<Bytes>& records) {
  Bytes content;
  for (const Bytes& record : records) {
    put_varint(content, record.size());
    content += record;
  }
  segment.head.content_bytes = content.size();
  segment.body = *zstd_compress(content, {}, {});
}

ErrorCode open_error(const Segment& segment) {
  const auto opened = OpenedSegment::open(segment.head, segment.body);
  return opened ? ErrorCode{} : opened.error().code;
}

// Opens a segment and extends a tree that ends at its first record, as a registry does.
Result<Checkpoint> take(const Segment& segment, Frontier& tree) {
  if (segment.body.empty()) return extend_tree(tree, segment, nullptr, log_key().public_key());
  NOTP_ASSIGN(const OpenedSegment opened, OpenedSegment::open(segment.head, segment.body));
  NOTP_TRY(check_places(segment.head, opened));
  return extend_tree(tree, segment, &opened, log_key().public_key());
}

ErrorCode take_error(const Segment& segment) {
  Frontier tree;
  const auto taken = take(segment, tree);
  if (taken) return ErrorCode{};
  CHECK(tree == Frontier());
  return taken.error().code;
}

// A zstd frame of one raw block, which declares a window of 2^window_log bytes.
Bytes raw_frame(ByteView content, int window_log) {
  Bytes out("\x28\xb5\x2f\xfd\x80", 5);
  out += static_cast<char>((window_log - 10) << 3);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(content.size() >> 8 * i);
  const size_t block = content.size() << 3 | 1;
  for (int i = 0; i < 3; ++i) out += static_cast<char>(block >> 8 * i);
  return out.append(content);
}

}  // namespace

TEST_CASE("sealed segments are opened, and their trees end as their checkpoints say") {
  Frontier at_node, at_registry;
  Position position = 0;
  for (const size_t count : {1, 2, 7, 100, 1'024, 3}) {
    const auto records = records_of(position, count);
    const Segment segment = seal(at_node, records);
    CHECK(segment.head.first == position);
    CHECK(segment.head.end() == position + count);
    const auto opened = OpenedSegment::open(segment.head, segment.body);
    REQUIRE(opened);
    CHECK(std::ranges::equal(opened->records(), records));
    const auto checkpoint = take(segment, at_registry);
    REQUIRE_MESSAGE(checkpoint, checkpoint.error().message);
    CHECK(*checkpoint == Checkpoint{kOrigin, position + count, at_node.root()});
    CHECK(at_registry == at_node);
    position += count;
  }
}

TEST_CASE("a segment without a body extends the tree by its subtrees") {
  Frontier at_node, at_registry;
  for (const size_t count : {5, 300, 77}) {
    const Position first = at_node.size();
    Segment segment = seal(at_node, records_of(first, count));
    const auto opened = OpenedSegment::open(segment.head, segment.body);
    REQUIRE(opened);
    segment.subtrees = subtrees(first, leaf_hashes(segment.head, *opened));
    segment.body.clear();
    Segment other = segment;
    other.subtrees.back().bytes[0] ^= 1;
    CHECK(take(other, at_registry).error().code == ErrorCode::kLogFork);
    other.subtrees.pop_back();
    CHECK(take(other, at_registry).error().code == ErrorCode::kMessage);
    REQUIRE(take(segment, at_registry));
    CHECK(at_registry == at_node);
  }
}

TEST_CASE("a builder is full at the limits of a segment") {
  Frontier tree;
  SegmentBuilder builder(0, Bytes(kSegmentSecretBytes, 's'));
  CHECK_FALSE(builder.is_full_for(SIZE_MAX / 2));
  const Bytes record(limits::kRecordBytesMax, 'r');
  builder.add(record, tree);
  const size_t left = limits::kSegmentContentBytesMax - builder.content_bytes();
  CHECK_FALSE(builder.is_full_for(left - 3));  // its length takes 3 bytes
  CHECK(builder.is_full_for(left - 2));
  builder.add(Bytes(left - 3, 'r'), tree);
  CHECK(builder.content_bytes() == limits::kSegmentContentBytesMax);
  const auto largest = std::move(builder).seal(kLog, tree, kOrigin, log_key());
  REQUIRE(largest);
  CHECK(OpenedSegment::open(largest->head, largest->body));

  Frontier many;
  SegmentBuilder small(0, Bytes(kSegmentSecretBytes, 's'));
  for (size_t i = 0; i < limits::kSegmentRecordsMax; ++i) {
    CHECK_FALSE(small.is_full_for(1));
    small.add("r", many);
  }
  CHECK(small.is_full_for(1));
}

TEST_CASE("hostile sizes of a segment are refused before they cost memory") {
  const Segment good = a_segment();
  const auto error_with = [&](auto change) {
    Segment segment = good;
    change(segment);
    return open_error(segment);
  };
  CHECK(error_with([](Segment& s) { s.head.count = 0; }) == ErrorCode::kLimit);
  CHECK(error_with([](Segment& s) { s.head.count = 1'025; }) == ErrorCode::kLimit);
  CHECK(error_with([](Segment& s) { s.head.count = UINT32_MAX; }) == ErrorCode::kLimit);
  CHECK(error_with([](Segment& s) { s.head.count -= 1; }) == ErrorCode::kMessage);
  CHECK(error_with([](Segment& s) { s.head.count += 1; }) == ErrorCode::kMessage);
  CHECK(error_with([](Segment& s) { s.head.first = limits::kPositionMax; }) == ErrorCode::kMessage);
  CHECK(error_with([](Segment& s) { s.head.first = UINT64_MAX; }) == ErrorCode::kMessage);
  CHECK(error_with([](Segment& s) { s.head.content_bytes += 1; }) == ErrorCode::kArtifact);
  CHECK(error_with([](Segment& s) { s.head.content_bytes = 0; }) == ErrorCode::kArtifact);
  CHECK(error_with([](Segment& s) { s.head.content_bytes = (4 << 20) + 1; }) == ErrorCode::kLimit);
  CHECK(error_with([](Segment& s) { s.head.content_bytes = UINT64_MAX; }) == ErrorCode::kLimit);
  CHECK(error_with([](Segment& s) { s.head.secret.pop_back(); }) == ErrorCode::kMessage);
  CHECK(error_with([](Segment& s) { s.body += '\0'; }) == ErrorCode::kArtifact);
  CHECK(error_with([](Segment& s) { s.body += s.body; }) == ErrorCode::kArtifact);
  for (size_t size = 0; size < good.body.size(); ++size)
    CHECK(error_with([size](Segment& s) { s.body.resize(size); }) == ErrorCode::kArtifact);

  Bytes content;
  for (const Bytes& record : records_of(0, good.head.count)) {
    put_varint(content, record.size());
    content += record;
  }
  CHECK(error_with([&](Segment& s) { s.body = raw_frame(content, 22); }) == ErrorCode{});
  CHECK(error_with([&](Segment& s) { s.body = raw_frame(content, 23); }) == ErrorCode::kArtifact);
  CHECK(error_with([&](Segment& s) { s.body = raw_frame(content, 31); }) == ErrorCode::kArtifact);
}

TEST_CASE("lengths of records that do not fit are refused") {
  Segment segment = a_segment(1);
  const auto error_of = [&](const Bytes& content) {
    segment.head.content_bytes = content.size();
    segment.body = *zstd_compress(content, {}, {});
    return open_error(segment);
  };
  CHECK(error_of("\x01r") == ErrorCode{});
  CHECK(error_of(Bytes("\x00", 1)) == ErrorCode::kMessage);       // a record of no bytes
  CHECK(error_of("\x02r") == ErrorCode::kMessage);                // cut short
  CHECK(error_of("\x01rr") == ErrorCode::kMessage);               // more than its records
  CHECK(error_of(Bytes("\x81\x00r", 3)) == ErrorCode::kMessage);  // not the shortest form
  CHECK(error_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01r") == ErrorCode::kLimit);
  CHECK(error_of("\x80\x80\x80") == ErrorCode::kMessage);
  Bytes large;
  put_varint(large, limits::kRecordBytesMax + 1);
  CHECK(error_of(large + Bytes(limits::kRecordBytesMax + 1, 'r')) == ErrorCode::kLimit);
}

TEST_CASE("records that were swapped, removed, repeated or exchanged are found") {
  const Segment good = a_segment();
  const auto records = records_of(0, good.head.count);
  const auto error_of = [&](const std::vector<Bytes>& other, uint32_t count) {
    Segment segment = good;
    set_records(segment, other);
    segment.head.count = count;
    return take_error(segment);
  };
  Frontier tree;
  CHECK(take(good, tree));
  auto other = records;
  std::swap(other[1], other[2]);
  CHECK(error_of(other, 5) == ErrorCode::kMessage);  // by their places
  other = records;
  other.erase(other.begin() + 4);
  CHECK(error_of(other, 5) == ErrorCode::kMessage);
  CHECK(error_of(other, 4) == ErrorCode::kMessage);  // the checkpoint is of five
  other = records;
  other.push_back(records_of(5, 1)[0]);
  CHECK(error_of(other, 6) == ErrorCode::kMessage);
  other = records;
  other[2] = samples::decision_record(1, 99, 2);  // another decision at its place
  CHECK(error_of(other, 5) == ErrorCode::kLogFork);

  // Without places the tree finds it.
  other = records;
  std::swap(other[1], other[2]);
  Segment swapped = good;
  set_records(swapped, other);
  const auto opened = OpenedSegment::open(swapped.head, swapped.body);
  REQUIRE(opened);
  CHECK(extend_tree(tree = {}, swapped, &*opened, log_key().public_key()).error().code ==
        ErrorCode::kLogFork);
  const auto places = check_places(swapped.head, *opened);
  REQUIRE_FALSE(places);
  CHECK(places.error().message.contains("position 1"));
}

TEST_CASE("a segment is refused at another place, of another log and below another key's note") {
  const Segment good = a_segment();
  const auto opened = OpenedSegment::open(good.head, good.body);
  REQUIRE(opened);
  const PublicKey key = log_key().public_key();
  const auto error_of = [&](const Segment& segment, Frontier tree, const PublicKey& by) {
    return extend_tree(tree, segment, &*opened, by).error().code;
  };
  Frontier later;
  later.append(sha256("x"));
  CHECK(error_of(good, later, key) == ErrorCode::kMessage);
  const PrivateKey stranger = PrivateKey::from_seed({9});
  CHECK(error_of(good, {}, stranger.public_key()) == ErrorCode::kMessage);
  Segment other = good;
  other.head.log = LogId::of(stranger.public_key());
  CHECK(error_of(other, {}, key) == ErrorCode::kMessage);
  const Checkpoint said = *verify_checkpoint(good.head.checkpoint, key);
  other = good;
  other.head.checkpoint = sign_checkpoint(said, stranger);
  CHECK(error_of(other, {}, key) == ErrorCode::kSignature);
  other.head.checkpoint =
      sign_checkpoint({"other.log/" + kLog.hex() + "0", 5, said.root}, log_key());
  CHECK(error_of(other, {}, key) == ErrorCode::kMessage);
  other.head.checkpoint = sign_checkpoint({kOrigin, 6, said.root}, log_key());
  CHECK(error_of(other, {}, key) == ErrorCode::kMessage);
  other.head.checkpoint = sign_checkpoint({kOrigin, 5, sha256("x")}, log_key());
  CHECK(error_of(other, {}, key) == ErrorCode::kLogFork);
}

TEST_CASE("one bit that changes anywhere in a segment is found") {
  const Segment good = a_segment();
  const auto records = records_of(0, good.head.count);
  size_t without_effect = 0;
  const auto flip = [&](auto part) {  // of bytes
    Segment segment = good;
    for (size_t bit = 0; bit < part(segment).size() * 8; ++bit) {
      part(segment)[bit / 8] ^= static_cast<char>(1 << bit % 8);
      if (take_error(segment) == ErrorCode{}) {
        // A bit that zstd does not read: the same records came out.
        const auto opened = OpenedSegment::open(segment.head, segment.body);
        CHECK(std::ranges::equal(opened->records(), records));
        ++without_effect;
      }
      part(segment)[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
  };
  flip([](Segment& s) -> auto& { return s.head.checkpoint; });
  flip([](Segment& s) -> auto& { return s.head.secret; });
  flip([](Segment& s) -> auto& { return s.head.log.bytes; });
  CHECK(without_effect == 0);
  flip([](Segment& s) -> auto& { return s.body; });
  CHECK(without_effect * 100 < good.body.size() * 8);
  for (int bit = 0; bit < 64; ++bit) {
    Segment segment = good;
    segment.head.first ^= 1ULL << bit;
    CHECK(take_error(segment) != ErrorCode{});
    segment = good;
    segment.head.content_bytes ^= 1ULL << bit;
    CHECK(take_error(segment) != ErrorCode{});
    segment = good;
    segment.head.count ^= 1U << bit % 32;
    CHECK(take_error(segment) != ErrorCode{});
  }
}

// --- reduced segments

TEST_CASE("a reduced segment shows some records, and proves all") {
  Frontier tree;
  seal(tree, records_of(0, 3));
  const Segment segment = seal(tree, records_of(3, 50));
  const auto opened = OpenedSegment::open(segment.head, segment.body);
  REQUIRE(opened);
  for (const size_t every : {1, 3, 1'000}) {
    const auto may_see = [every](size_t index) { return index % every == every - 1; };
    const auto body = reduce(segment.head, *opened, may_see);
    REQUIRE(body);
    SegmentHead head = segment.head;
    head.secret.clear();
    const auto reduced = open_reduced(head, *body);
    REQUIRE_MESSAGE(reduced, reduced.error().message);
    REQUIRE(reduced->size() == 50);
    Frontier again;
    for (const Hash& leaf : leaf_hashes({.secret = Bytes(32, 's')},
                                        *OpenedSegment::open(a_segment(3).head, a_segment(3).body)))
      again.append(leaf);
    for (size_t i = 0; i < reduced->size(); ++i) {
      const auto& [record, leaf, salt] = (*reduced)[i];
      CHECK(record.has_value() == may_see(i));
      CHECK(salt == (record ? leaf_salt(segment.head.secret, head.first + i) : Bytes()));
      if (record) CHECK(*record == opened->records()[i]);
      again.append(leaf);
    }
    CHECK(again.root() == tree.root());
  }
}

TEST_CASE("a reduced segment is reduced again: what was closed stays so, and the leaves stay") {
  const Segment segment = a_segment();
  const auto opened = OpenedSegment::open(segment.head, segment.body);
  REQUIRE(opened);
  const auto first = open_reduced(
      segment.head, *reduce(segment.head, *opened, [](size_t index) { return index != 1; }));
  REQUIRE(first);
  SegmentHead head = segment.head;
  head.secret.assign(kSegmentSecretBytes, '\0');  // what is open needs it no more
  const auto again =
      open_reduced(head, *reduce(*first, [](size_t index) { return index <= 1 || index == 4; }));
  REQUIRE(again);
  REQUIRE(again->size() == first->size());
  const std::vector<Hash> leaves = leaf_hashes(segment.head, *opened);
  for (size_t i = 0; i < again->size(); ++i) {
    CHECK((*again)[i].leaf == leaves[i]);
    CHECK((*again)[i].record.has_value() == (i == 0 || i == 4));
    if ((*again)[i].record) CHECK(*(*again)[i].record == opened->records()[i]);
  }
  const auto none = open_reduced(head, *reduce(*again, [](size_t) { return false; }));
  REQUIRE(none);
  for (size_t i = 0; i < none->size(); ++i) {
    CHECK_FALSE((*none)[i].record);
    CHECK((*none)[i].leaf == leaves[i]);
  }
}

TEST_CASE("a damaged reduced segment is refused") {
  const Segment segment = a_segment();
  const auto opened = OpenedSegment::open(segment.head, segment.body);
  REQUIRE(opened);
  const Bytes body = *reduce(segment.head, *opened, [](size_t index) { return index % 2 == 0; });
  REQUIRE(open_reduced(segment.head, body));
  for (size_t size = 0; size < body.size(); ++size)
    CHECK_FALSE(open_reduced(segment.head, ByteView(body).substr(0, size)));
  SegmentHead head = segment.head;
  head.count = 4;
  CHECK_FALSE(open_reduced(head, body));
  head.count = 6;
  CHECK_FALSE(open_reduced(head, body));
  head.count = UINT32_MAX;
  CHECK(open_reduced(head, body).error().code == ErrorCode::kLimit);

  head = segment.head;
  head.count = 1;
  head.content_bytes = 100;
  const auto error_of = [&](const Bytes& content) {
    const auto reduced = open_reduced(head, *zstd_compress(content, {}, {}));
    return reduced ? ErrorCode{} : reduced.error().code;
  };
  CHECK(error_of(Bytes(1, '\0') + Bytes(32, 'h')) == ErrorCode{});
  CHECK(error_of(Bytes(1, '\1') + Bytes(16, 's') + "\x01r") == ErrorCode{});
  CHECK(error_of(Bytes(1, '\2') + Bytes(32, 'h')) == ErrorCode::kMessage);
  CHECK(error_of(Bytes(1, '\0') + Bytes(31, 'h')) == ErrorCode::kMessage);
  CHECK(error_of(Bytes(1, '\0') + Bytes(33, 'h')) == ErrorCode::kMessage);
  CHECK(error_of(Bytes(1, '\1') + Bytes(16, 's') + "\x02r") == ErrorCode::kMessage);
  CHECK(error_of(Bytes(1, '\1') + Bytes(16, 's') + Bytes(1, '\0')) == ErrorCode::kMessage);
  CHECK(error_of(Bytes(134, '\1')) == ErrorCode::kArtifact);  // more than the head allows
  CHECK(open_reduced(head, raw_frame(Bytes(33, '\0'), 23)).error().code == ErrorCode::kArtifact);
}
