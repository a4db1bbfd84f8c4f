// protocol/record/README.md is the specification of records: its examples are the bytes that this
// build writes and reads, its tables the fields and values of the code.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <zstd.h>

#include <functional>
#include <map>
#include <sstream>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree_entry.hpp"
#include "schemas/record.pb.h"
#include "tests/support/wire/specification_document.hpp"

using namespace notp;
using namespace notp::record;
namespace specification = notp::samples::specification;

namespace {

const std::vector<std::string>& page() {
  static const auto lines =
      specification::lines_of(specification::source_text("protocol/record/README.md"));
  return lines;
}

constexpr std::string_view kNode = "spiffe://core-platform.internal/node/edge-1";
constexpr std::string_view kRegistry = "spiffe://core-platform.internal/registry/main";
constexpr int64_t kStartNs = 1'782'864'000'000'000'000;
constexpr TimeMs kTakenMs = 1'782'864'010'000;
constexpr int64_t kCosignedS = 1'782'864'025;
const Bytes kSecret(kSegmentSecretBytes, '\x09');

PrivateKey key_of(uint8_t number) {
  std::array<uint8_t, 32> seed{};
  seed.fill(number);
  return PrivateKey::from_seed(seed);
}
const PrivateKey kLogKey = key_of(3), kCertificateKey = key_of(4), kTreeKey = key_of(5);
const LogId kLog = LogId::of(kLogKey.public_key());

// The first records of a log: the start, what is active, a decision.
std::vector<Record> records() {
  Hash release, content_root;
  release.bytes.fill(0x11);
  content_root.bytes.fill(0x22);
  const ActiveSet active{{{{{273165098782, "payments"}, 1, 2, release, content_root}, "fresh"}},
                         "embedded",
                         "1.22.2",
                         "",
                         "{}"};
  DecisionContent decision;
  decision.eval_time_ns = kStartNs + 2'000'000'000;
  decision.path = "payments/allow";
  decision.ledger = "273165098782/payments";
  decision.input = R"({"amount":12.50})";
  decision.result = "true";
  decision.outcome = outcome_of(decision.result);
  decision.masked = {"/input/iban"};
  decision.pep.uid = 1'000;
  decision.times = {90, 120, ""};
  return {{{0, 1, 0},
           kStartNs,
           RunStart{"notp-client 0.1.0", 42, "3f1c6f1e-8f0b-4d0a-9d53-0c7f6a1f2b3c"}},
          {{1, 1, 0}, kStartNs + 1'000'000'000, active},
          {{2, 1, 1}, kStartNs + 2'000'090'000, decision}};
}

struct Sealed {
  Segment segment;
  Frontier tree;
  std::vector<Hash> leaves;
  Bytes content;
};

Sealed sealed() {
  Sealed out;
  SegmentBuilder builder(0, kSecret);
  for (const Record& record : records()) {
    const Bytes bytes = encode(record);
    builder.add(bytes, out.tree);
    put_varint(out.content, bytes.size());
    out.content += bytes;
  }
  out.leaves = builder.leaves();
  auto segment = std::move(builder).seal(kLog, out.tree, log_origin(kNode, kLog), kLogKey);
  REQUIRE(segment);
  out.segment = *std::move(segment);
  return out;
}

struct Example {
  Bytes encoded;
  std::function<void(ByteView)> check = [](ByteView) {};
  bool by_zstd = false;  // bytes differ between versions of zstd; all of them decode
};
using Examples = std::map<std::string, Example>;

// The version whose output the document shows.
constexpr unsigned kZstdVersion = 10504;

Bytes bytes_of(const Hash& hash) { return Bytes(hash.view()); }

void add_records(Examples& out) {
  const std::string_view names[] = {"record-run-start", "record-active", "record-decision"};
  const auto all = records();
  for (size_t i = 0; i < all.size(); ++i)
    out[std::string(names[i])] = {encode(all[i]), [record = all[i]](ByteView bytes) {
                                    const auto decoded = decode(bytes);
                                    REQUIRE(decoded);
                                    CHECK(*decoded == record);
                                  }};
}

void add_names(Examples& out) {
  const DecisionAddress address = DecisionAddress::of(kLog, 1, 2);
  std::string digits = address.text();
  std::erase(digits, '-');
  out["log-key-seed"] = {Bytes(32, '\x03')};
  out["log-key"] = {Bytes(kLogKey.public_key().view())};
  out["log-id"] = {Bytes(kLog.view())};
  out["decision-address"] = {*from_hex(digits)};
  out["decision-address-text"] = {address.text() + "\n", [address](ByteView text) {
                                    CHECK(DecisionAddress::parse(text.substr(0, 36)) == address);
                                  }};
}

void add_tree(Examples& out) {
  const Sealed s = sealed();
  const Bytes position("\0\0\0\0\0\0\0\2", 8);
  out["salt-input"] = {kSecret + position};
  out["salt"] = {leaf_salt(kSecret, 2), [position](ByteView salt) {
                   CHECK(sha256(kSecret + position).view().substr(0, kSaltBytes) == salt);
                 }};
  out["leaf-0"] = {bytes_of(s.leaves[0])};
  out["leaf-1"] = {bytes_of(s.leaves[1])};
  out["leaf-2"] = {
      bytes_of(s.leaves[2]), [](ByteView leaf) {
        CHECK(sha256(Bytes(1, '\0') + leaf_salt(kSecret, 2) + encode(records()[2])).view() == leaf);
      }};
  out["root"] = {
      bytes_of(s.tree.root()), [s](ByteView root) {
        CHECK(node_hash(node_hash(s.leaves[0], s.leaves[1]), s.leaves[2]).view() == root);
      }};
  out["frontier"] = {s.tree.encode(),
                     [s](ByteView bytes) { CHECK(Frontier::decode(bytes) == s.tree); }};
}

void add_segment(Examples& out) {
  const Sealed s = sealed();
  out["checkpoint"] = {s.segment.head.checkpoint, [s](ByteView note) {
                         const auto read = verify_checkpoint(note, kLogKey.public_key());
                         REQUIRE(read);
                         CHECK(read->root == s.tree.root());
                       }};
  out["segment-body"] = {s.segment.body,
                         [s](ByteView body) {
                           Segment segment = s.segment;
                           segment.body = body;
                           const auto opened = OpenedSegment::open(segment.head, segment.body);
                           REQUIRE(opened);
                           CHECK(check_places(segment.head, *opened));
                           Frontier tree;
                           CHECK(extend_tree(tree, segment, &*opened, kLogKey.public_key()));
                           CHECK(tree == s.tree);
                         },
                         true};
  const auto opened = OpenedSegment::open(s.segment.head, s.segment.body);
  REQUIRE(opened);
  const auto reduced = reduce(s.segment.head, *opened, [](size_t index) { return index == 0; });
  REQUIRE(reduced);
  const auto size = zstd_content_bytes(*reduced);
  REQUIRE(size);
  out["reduced-content"] = {*zstd_decompress(*reduced, {}, *size), [s](ByteView content) {
                              SegmentHead head = s.segment.head;
                              head.secret.clear();
                              const auto read = open_reduced(head, *zstd_compress(content, {}, {}));
                              REQUIRE(read);
                              for (size_t i = 0; i < read->size(); ++i) {
                                CHECK((*read)[i].leaf == s.leaves[i]);
                                CHECK((*read)[i].record.has_value() == (i == 0));
                              }
                            }};
}

void add_announcement(Examples& out) {
  const Announcement announcement{
      "core-platform.internal", std::string(kNode), kLogKey.public_key(),
      1'782'864'000'000,        std::nullopt,       "the first log of this node"};
  Bytes message, signature;
  const AnnouncementSigner signer{{}, [&](ByteView bytes) -> Result<Bytes> {
                                    message = bytes;
                                    return signature = kCertificateKey.sign(bytes);
                                  }};
  const auto bytes = sign_announcement(announcement, signer);
  REQUIRE(bytes);
  v1::SignedAnnouncement m;
  REQUIRE(m.ParseFromString(*bytes));
  CHECK(message == Bytes("notp.decisions.announcement.v1\0", 31) + m.payload());
  out["announcement-payload"] = {m.payload()};
  out["announcement-key"] = {Bytes(kCertificateKey.public_key().view())};
  out["announcement-signature"] = {
      signature, [message](ByteView read) {
        CHECK(verify_signature(kCertificateKey.public_key(), message, read));
      }};
}

// The registry's tree when it has taken that log's checkpoint and nothing else.
void add_registry_tree(Examples& out) {
  const Sealed s = sealed();
  TreeEntry entry;
  entry.time_ms = kTakenMs;
  entry.log = kLog;
  entry.size = s.tree.size();
  entry.root = s.tree.root();
  const Bytes bytes = encode(entry);
  out["tree-entry"] = {bytes, [entry](ByteView read) { CHECK(decode_tree_entry(read) == entry); }};
  out["tree-leaf"] = {bytes_of(tree_leaf(bytes)), [bytes](ByteView leaf) {
                        CHECK(sha256(Bytes(1, '\0') + bytes).view() == leaf);
                      }};
  const std::string origin = log_origin(kRegistry, LogId::of(kTreeKey.public_key()));
  const std::string name = log_origin(kNode, kLog);
  const std::string note = sign_checkpoint({origin, 1, tree_leaf(bytes)}, kTreeKey);
  const Bytes signed_text =
      fmt::format("cosignature/v1\ntime {}\n{}", kCosignedS, note.substr(0, note.find("\n\n") + 1));
  const auto cosigned =
      add_cosignature(note, {name, kCosignedS, kLogKey.sign(signed_text)}, kLogKey.public_key());
  REQUIRE(cosigned);
  out["tree-checkpoint"] = {*cosigned, [=](ByteView read) {
                              CHECK(verify_checkpoint(read, kTreeKey.public_key())->size == 1);
                              CHECK(cosigned_at(read, name, kLogKey.public_key()) == kCosignedS);
                            }};
  out["tree-key"] = {named_key_text({origin, kTreeKey.public_key()}) + "\n",
                     [origin](ByteView text) {
                       const auto key = parse_named_key(text.substr(0, text.size() - 1));
                       REQUIRE(key);
                       CHECK(key->name == origin);
                       CHECK(key->key == kTreeKey.public_key());
                     }};
  const TlogProof proof{2, inclusion_proof(2, s.leaves), s.segment.head.checkpoint};
  out["tlog-proof"] = {
      to_text(proof), [s](ByteView text) {
        const auto read = parse_tlog_proof(text);
        REQUIRE(read);
        CHECK(verify_inclusion(s.leaves[2], read->index, 3, read->inclusion, s.tree.root()));
      }};
}

Examples examples() {
  Examples out;
  add_records(out);
  add_names(out);
  add_tree(out);
  add_segment(out);
  add_announcement(out);
  add_registry_tree(out);
  return out;
}

// Every message of schemas/record.proto with the numbers and names of its fields; and its enums, as
// "Gap.Reason".
using Fields = std::map<std::string, std::string>;
struct Schema {
  std::map<std::string, Fields> messages, enums;
};

Schema read_schema() {
  Schema out;
  std::vector<std::pair<bool, std::string>> open;  // whether a message; its name
  for (std::string line :
       specification::lines_of(specification::source_text("schemas/record.proto"))) {
    line = line.substr(0, line.find("//"));
    if (const size_t options = line.find(" ["); options != line.npos) line.resize(options);
    std::istringstream words(line);
    std::vector<std::string> word;
    for (std::string one; words >> one;) word.push_back(one);
    if (word.empty()) continue;
    if (word[0] == "}") {
      open.pop_back();
    } else if (word.back() == "{") {
      open.emplace_back(word[0] == "message",
                        open.empty() ? word[1] : open.back().second + "." + word[1]);
    } else if (!open.empty()) {
      std::string number = word.back();
      std::erase(number, ';');
      auto& [is_message, name] = open.back();
      (is_message ? out.messages : out.enums)[name][number] = word[word.size() - 3];
    }
  }
  return out;
}

}  // namespace

TEST_CASE("every example of the page is what this build writes and reads") {
  const auto written = specification::written_examples(page());
  const auto known = examples();
  for (const auto& [name, bytes] : written) CHECK_MESSAGE(known.contains(name), name);
  for (const auto& [name, example] : known) {
    CAPTURE(name);
    const auto found = written.find(name);
    CHECK_MESSAGE(found != written.end(), "the page has no example of this name");
    if (found == written.end()) continue;
    if (!example.by_zstd || ZSTD_versionNumber() == kZstdVersion)
      CHECK(to_hex(found->second) == to_hex(example.encoded));
    example.check(found->second);
  }
}

TEST_CASE("every message and every enum of the schema is on the page") {
  const Schema schema = read_schema();
  CHECK(schema.messages.size() == 18);
  CHECK(schema.enums.size() == 6);
  for (const auto& [message, fields] : schema.messages) {
    CAPTURE(message);
    Fields written;
    for (const auto& row : specification::table_under("### " + message, page()))
      CHECK(written.emplace(row.at(0), row.at(1)).second);
    CHECK(written == fields);
  }
  std::map<std::string, Fields> written;
  for (const auto& row : specification::table_under("### Enums", page()))
    CHECK(written[row.at(0)].emplace(row.at(1), row.at(2)).second);
  CHECK(written == schema.enums);
}

TEST_CASE("the page's table of limits is that of the code") {
#define NOTP_LIMIT(name) {#name, static_cast<uint64_t>(limits::name)}
  const std::map<std::string, uint64_t> expected = {NOTP_LIMIT(kRecordBytesMax),
                                                    NOTP_LIMIT(kMaskedPathsMax),
                                                    NOTP_LIMIT(kSegmentRecordsMax),
                                                    NOTP_LIMIT(kSegmentContentBytesMax),
                                                    NOTP_LIMIT(kSegmentWindowLogMax),
                                                    NOTP_LIMIT(kPositionMax),
                                                    NOTP_LIMIT(kRunMax),
                                                    NOTP_LIMIT(kTreeLevelsMax),
                                                    NOTP_LIMIT(kProofHashesMax),
                                                    NOTP_LIMIT(kTreeEntryBytesMax),
                                                    NOTP_LIMIT(kTreeSealMs),
                                                    NOTP_LIMIT(kCosignaturesMax),
                                                    NOTP_LIMIT(kCheckpointBytesMax),
                                                    NOTP_LIMIT(kAnnouncementBytesMax)};
#undef NOTP_LIMIT
  std::map<std::string, uint64_t> written;
  for (const auto& row : specification::table_under("## Limits of records", page()))
    CHECK(written.emplace(row.at(0), specification::number_of(row.at(1))).second);
  CHECK(written == expected);
}
