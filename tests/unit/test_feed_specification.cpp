// protocol/feed/README.md is the specification of token lanes: its examples are the bytes that this
// build writes and reads, its tables the fields, values and limits of the code.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <map>
#include <sstream>

#include "common/crypto/digest.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/trust/envelope.hpp"
#include "tests/support/wire/lane_samples.hpp"
#include "tests/support/wire/specification_document.hpp"

using namespace notp;
using namespace notp::feed;
namespace specification = notp::samples::specification;

namespace {

const std::vector<std::string>& page() {
  static const auto lines =
      specification::lines_of(specification::source_text("protocol/feed/README.md"));
  return lines;
}

struct Example {
  Bytes encoded;
  std::function<void(ByteView)> check = [](ByteView) {};
};
using Examples = std::map<std::string, Example>;

template <typename Statement>
Example statement(const Statement& written) {
  return {written.encode(), [written](ByteView bytes) {
            const auto read = Statement::decode(bytes);
            REQUIRE(read);
            CHECK(*read == written);
          }};
}

void add_names(Examples& out) {
  out["token"] = {Bytes(samples::kToken) + "\n"};
  out["token-id"] = {Bytes(token_id(samples::kToken).view()), [](ByteView id) {
                       CHECK(sha256(samples::kToken).view().substr(0, 16) == id);
                     }};
  const std::string input = fmt::format("sub:{}:{}", sha256(samples::kTokenIssuer).hex(),
                                        sha256(samples::kSubject).hex());
  out["mark-input"] = {input + "\n"};
  out["mark-key"] = {Bytes(samples::subject_mark().id.view()),
                     [input](ByteView key) { CHECK(sha256(input).view().substr(0, 16) == key); }};
}

// Small statements are not compressed: their bytes do not depend on the version of zstd.
void add_statements(Examples& out) {
  out["lane-key-seed"] = {Bytes(32, '\x05')};
  out["lane-public-key"] = {Bytes(samples::lane_key().public_key().view())};
  out["batch"] = statement(samples::lane_batch());
  out["heartbeat"] = statement(samples::heartbeat());
  out["snapshot"] = statement(samples::lane_snapshot());
  out["answer"] = statement(samples::unknown_token());
  const Bytes body = samples::heartbeat().encode();
  const SealedStatement sealed = seal(StatementType::kBatch, body, samples::lane_key());
  REQUIRE_FALSE(sealed.compressed);
  const Bytes signed_bytes =
      trust::pre_authentication_encoding("application/vnd.notp.lane-batch.v1", body);
  out["heartbeat-signed-bytes"] = {signed_bytes};
  out["heartbeat-signature"] = {
      sealed.signature, [signed_bytes](ByteView signature) {
        CHECK(verify_signature(samples::lane_key().public_key(), signed_bytes, signature));
      }};
}

Examples examples() {
  Examples out;
  add_names(out);
  add_statements(out);
  return out;
}

// Every message and enum of schemas/lane.proto with the numbers and names of its members.
using Fields = std::map<std::string, std::string>;

std::map<std::string, Fields> read_schema() {
  std::map<std::string, Fields> out;
  std::string open;
  for (std::string line :
       specification::lines_of(specification::source_text("schemas/lane.proto"))) {
    line = line.substr(0, line.find("//"));
    std::istringstream words(line);
    std::vector<std::string> word;
    for (std::string one; words >> one;) word.push_back(one);
    if (word.empty()) continue;
    if (word.back() == "{") open = word[1];
    if (word.back() == "}") open.clear();
    if (open.empty() || word.size() < 3 || word[word.size() - 2] != "=") continue;
    std::string number = word.back();
    std::erase(number, ';');
    out[open][number] = word[word.size() - 3];
  }
  return out;
}

}  // namespace

TEST_CASE("every example of the page on lanes is what this build writes and reads") {
  const auto written = specification::written_examples(page());
  const auto known = examples();
  for (const auto& [name, bytes] : written) CHECK_MESSAGE(known.contains(name), name);
  for (const auto& [name, example] : known) {
    CAPTURE(name);
    const auto found = written.find(name);
    CHECK_MESSAGE(found != written.end(), "the page has no example of this name");
    if (found == written.end()) continue;
    CHECK(to_hex(found->second) == to_hex(example.encoded));
    example.check(found->second);
  }
}

TEST_CASE("every message of the lanes' schema is on the page, field by field") {
  const auto schema = read_schema();
  CHECK(schema.size() == 8);
  for (const auto& [message, fields] : schema) {
    CAPTURE(message);
    Fields written;
    for (const auto& row : specification::table_under("### " + message, page()))
      CHECK(written.emplace(row.at(0), row.at(1)).second);
    CHECK(written == fields);
  }
}

TEST_CASE("the payload types of the page are those that are signed") {
  std::map<std::string, std::pair<StatementType, bool>> types;
  for (const auto& row : specification::table_under("### Payload types", page()))
    types[row.at(0)] = {static_cast<StatementType>(specification::number_of(row.at(1))),
                        row.at(2) == "yes"};
  CHECK(types.size() == 6);
  for (const auto& [type, what] : types) {
    CAPTURE(type);
    const Bytes body = what.second ? Bytes(10'000, 'b') : Bytes("b");
    const SealedStatement sealed = seal(what.first, body, samples::lane_key());
    CHECK(sealed.compressed == what.second);
    CHECK(verify_signature(samples::lane_key().public_key(),
                           trust::pre_authentication_encoding(type, sealed.body),
                           sealed.signature));
  }
}

TEST_CASE("the page's limits of lanes are those of the code") {
#define NOTP_LIMIT(name) {#name, static_cast<uint64_t>(limits::name)}
  const std::map<std::string, uint64_t> expected = {
      NOTP_LIMIT(kTokenRecordBytesMax),   NOTP_LIMIT(kTokenAttributeBytesMax),
      NOTP_LIMIT(kTokenListMax),          NOTP_LIMIT(kStatusListBytesMax),
      NOTP_LIMIT(kStatusListInflatedMax), NOTP_LIMIT(kStatusListsMax),
      NOTP_LIMIT(kLaneNameBytesMax),      NOTP_LIMIT(kLaneBatchBytesMax),
      NOTP_LIMIT(kLaneBatchEventsMax),    NOTP_LIMIT(kLaneSnapshotBytesMax),
      NOTP_LIMIT(kLaneInflatedBytesMax),  NOTP_LIMIT(kLaneHardSecondsMax),
      NOTP_LIMIT(kLaneLifeSecondsMax),    NOTP_LIMIT(kLaneUnsentBytesMax),
      NOTP_LIMIT(kLaneHeartbeatMs),       NOTP_LIMIT(kLaneLiveMs),
      NOTP_LIMIT(kLaneAppliedMs),         NOTP_LIMIT(kLaneAskIdsMax),
      NOTP_LIMIT(kLaneAsksOpenMax),       NOTP_LIMIT(kLaneAskMs),
      NOTP_LIMIT(kMarkAheadMsMax)};
#undef NOTP_LIMIT
  // None of the header is left out above.
  const std::string header = specification::source_text("protocol/feed/feed_limits.hpp");
  size_t constants = 0;
  for (size_t at = 0; (at = header.find("inline constexpr", at)) != header.npos; ++at) ++constants;
  CHECK(constants == expected.size());
  std::map<std::string, uint64_t> written;
  for (const auto& row : specification::table_under("## Limits of lanes", page()))
    CHECK(written.emplace(row.at(0), specification::number_of(row.at(1))).second);
  CHECK(written == expected);
}
