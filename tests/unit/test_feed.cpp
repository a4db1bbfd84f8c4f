// Token lanes: how they name tokens, what their events and statements may say, and that a reader
// refuses all else.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/zstd.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/trust/envelope.hpp"
#include "tests/support/wire/lane_samples.hpp"

using namespace notp;
using namespace notp::feed;

namespace {

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

template <typename Statement>
using Cases = std::vector<std::pair<std::string, std::function<void(Statement&)>>>;

// Each change makes a statement that is refused; without one it is read as it was.
template <typename Statement>
void refuses(const Statement& good, const Cases<Statement>& cases) {
  const auto read = Statement::decode(good.encode());
  REQUIRE(read);
  CHECK(*read == good);
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    Statement bad = good;
    change(bad);
    CHECK(code_of(Statement::decode(bad.encode())) == ErrorCode::kMessage);
  }
}

Event token_with(const std::function<void(TokenRecord&)>& change) {
  TokenRecord record = samples::token_record();
  change(record);
  return Event::token(token_id("x"), std::move(record));
}

// As seal() makes it of a body that is compressed in another way.
SealedStatement sealed(Bytes body, bool compressed, std::string_view type) {
  SealedStatement out{.type = StatementType::kBatch, .compressed = compressed, .body = body};
  out.signature = samples::lane_key().sign(trust::pre_authentication_encoding(type, body));
  return out;
}

constexpr std::string_view kZstdBatch = "application/vnd.notp.lane-batch.v1+zstd";

}  // namespace

TEST_CASE("a token is known by the front of its hash, in bytes and in digits") {
  const TokenId id = token_id(samples::kToken);
  const Hash hash = sha256(samples::kToken);
  CHECK(id.view() == hash.view().substr(0, 16));
  CHECK(TokenId::from_hex(id.hex()) == id);
  CHECK(TokenId::from_hex(hash.hex()) == id);
  CHECK(TokenId::from_bytes(id.view()) == id);
  CHECK(token_id("2YotnFZFEjr1zCsicMWpAa") != id);
  for (const std::string& text : {std::string(), id.hex().substr(1), id.hex() + "0",
                                  std::string(32, 'g'), std::string(samples::kToken)})
    CHECK(code_of(TokenId::from_hex(text)) == ErrorCode::kMessage);
  CHECK(code_of(TokenId::from_bytes(hash.view())) == ErrorCode::kMessage);
}

TEST_CASE("no subject, session or issuer can pretend to be another one") {
  std::set<TokenId> keys;
  const std::string values[] = {"", "a", "a:b", "b", "sub:a", sha256("a").hex()};
  size_t count = 0;
  for (const MarkKind kind :
       {MarkKind::kSubject, MarkKind::kSession, MarkKind::kTokenNumber, MarkKind::kTransaction})
    for (const std::string& issuer : values)
      for (const std::string& value : values) {
        keys.insert(mark_key(kind, issuer, value));
        ++count;
      }
  CHECK(keys.size() == count);
}

TEST_CASE("events: what is not of their kind, too large or no time is refused") {
  const int64_t beyond = kAnyIssueTime + 1;
  const std::string text(limits::kTokenAttributeBytesMax + 1, 't');
  const Event deleted = samples::deleted_token(), mark = samples::subject_mark();
  const std::pair<std::string, Event> refused[] = {
      {"a token without exp", token_with([](TokenRecord& r) { r.exp_s = 0; })},
      {"exp before 1970", token_with([](TokenRecord& r) { r.exp_s = -1; })},
      {"exp beyond the year 9999", token_with([&](TokenRecord& r) { r.exp_s = beyond; })},
      {"iat before 1970", token_with([](TokenRecord& r) { r.iat_s = -1; })},
      {"auth_time beyond", token_with([&](TokenRecord& r) { r.auth_time_s = beyond; })},
      {"a long subject", token_with([&](TokenRecord& r) { r.sub = text; })},
      {"a subject that is not UTF-8", token_with([](TokenRecord& r) { r.sub = "\xff"; })},
      {"an empty audience", token_with([](TokenRecord& r) { r.aud = {""}; })},
      {"too many methods", token_with([](TokenRecord& r) { r.amr.assign(17, "pwd"); })},
      {"cnf that is no object", token_with([](TokenRecord& r) { r.cnf = "[]"; })},
      {"cnf that is no JSON", token_with([](TokenRecord& r) { r.cnf = "{"; })},
      {"attributes of more than 1 KiB together", token_with([](TokenRecord& r) {
         r.sub = r.sid = std::string(limits::kTokenAttributeBytesMax, 's');
       })},
      {"a deletion without its end", Event::deleted(deleted.id, 0)},
      {"a deletion that ends before 1970", Event::deleted(deleted.id, -1)},
      {"a mark without its end", Event::mark(mark.id, 1, 0)},
      {"a mark about a time before 1970", Event::mark(mark.id, -1, 1)},
      {"a mark beyond every time", Event::mark(mark.id, beyond, 1)},
      {"a list of three bits", Event::status_list(mark.id, 3, "z", 1)},
      {"a list without bits", Event::status_list(mark.id, 0, "z", 1)},
      {"an empty list", Event::status_list(mark.id, 1, "", 1)},
      {"a list too long",
       Event::status_list(mark.id, 1, Bytes(limits::kStatusListBytesMax + 1, 'z'), 1)},
      {"a deletion with attributes",
       {.kind = EventKind::kDeleted, .until_s = 1, .record = samples::token_record()}},
      {"a mark with bits", {.kind = EventKind::kMark, .until_s = 1, .bits = 1}},
      {"a deletion with a list", {.kind = EventKind::kDeleted, .until_s = 1, .list = "z"}},
      {"a deletion with not_before",
       {.kind = EventKind::kDeleted, .not_before_s = 1, .until_s = 1}}};
  for (const auto& [what, event] : refused) {
    CAPTURE(what);
    CHECK(code_of(event.check()) == ErrorCode::kMessage);
    // Attributes are written with tokens alone.
    if (event.kind == EventKind::kDeleted && event.record != TokenRecord{}) continue;
    Batch batch = samples::lane_batch();
    batch.events = {event};
    CHECK(code_of(Batch::decode(batch.encode())) == ErrorCode::kMessage);
  }
  for (const Event& event : {samples::live_token(), deleted, mark, samples::status_list(),
                             Event::mark(mark.id, kAnyIssueTime, 1),
                             token_with([](TokenRecord& r) { r.cnf = R"({"jkt":"x"})"; })})
    CHECK(event.check());
}

TEST_CASE("a record for a store is read as it was written") {
  const TokenRecord record = samples::token_record();
  CHECK(decode_record(encode_record(record)) == record);
  for (const Bytes& bytes : {Bytes("\xff"), Bytes(), Bytes(limits::kTokenRecordBytesMax + 1, 'r')})
    CHECK(code_of(decode_record(bytes)) == ErrorCode::kMessage);
}

TEST_CASE("keys sort revocations before tokens, and are read as they were written") {
  const std::vector<EventKey> keys = {
      key_of(samples::subject_mark()), key_of(samples::status_list()),
      key_of(samples::deleted_token()), key_of(samples::live_token())};
  CHECK(std::ranges::is_sorted(keys));
  for (const EventKey& key : keys) CHECK(EventKey::from_bytes(key.bytes()) == key);
  Bytes bytes = keys[0].bytes();
  CHECK(code_of(EventKey::from_bytes(ByteView(bytes).substr(1))) == ErrorCode::kMessage);
  for (const char kind : {'\0', '\5'}) {
    bytes[0] = kind;
    CHECK(code_of(EventKey::from_bytes(bytes)) == ErrorCode::kMessage);
  }
}

TEST_CASE("a batch says which revisions it covers") {
  refuses<Batch>(samples::lane_batch(),
                 {{"from above to", [](Batch& b) { b.from = 43; }},
                  {"to above head", [](Batch& b) { b.to = 43; }},
                  {"events and no revision", [](Batch& b) { b.from = b.to; }},
                  {"too many events",
                   [](Batch& b) {
                     b.events.assign(limits::kLaneBatchEventsMax + 1, samples::deleted_token());
                   }},
                  {"no trust domain", [](Batch& b) { b.header.trust_domain.clear(); }},
                  {"no lane", [](Batch& b) { b.header.lane.clear(); }},
                  {"a long name of the lane",
                   [](Batch& b) { b.header.lane.assign(limits::kLaneNameBytesMax + 1, 'l'); }},
                  {"no instance", [](Batch& b) { b.header.instance = {}; }},
                  {"no grant", [](Batch& b) { b.header.grant = 0; }},
                  {"no time", [](Batch& b) { b.header.time_ms = 0; }},
                  {"no hard_s", [](Batch& b) { b.header.terms.hard_s = 0; }},
                  {"a hard_s beyond its limit",
                   [](Batch& b) { b.header.terms.hard_s = limits::kLaneHardSecondsMax + 1; }},
                  {"no life_s", [](Batch& b) { b.header.terms.life_s = 0; }}});
  refuses<Batch>(samples::heartbeat(), {});
}

TEST_CASE("a part of a snapshot has its rows in order and within its range") {
  Snapshot whole = samples::lane_snapshot();
  whole.after.reset();
  whole.rows = {samples::subject_mark(), samples::status_list(), samples::deleted_token(),
                samples::live_token()};
  whole.last = key_of(whole.rows.back());
  refuses<Snapshot>(
      whole, {{"as_of above head", [](Snapshot& s) { s.as_of = 43; }},
              {"rows in another order", [](Snapshot& s) { std::swap(s.rows[0], s.rows[1]); }},
              {"a row twice", [](Snapshot& s) { s.rows[1] = s.rows[0]; }},
              {"a row at the end of the part before",
               [](Snapshot& s) { s.after = key_of(s.rows.front()); }},
              {"a row beyond the end", [](Snapshot& s) { s.last = key_of(s.rows[2]); }},
              {"an empty range",
               [](Snapshot& s) {
                 s.rows.clear();
                 s.after = s.last;
               }},
              {"a row that breaks a rule", [](Snapshot& s) { s.rows[3].record.exp_s = 0; }}});
  Snapshot nothing = samples::lane_snapshot();
  nothing.rows.clear();
  refuses<Snapshot>(nothing, {});
}

TEST_CASE("an answer is about the token that was asked for") {
  Answer known = samples::unknown_token();
  known.id = samples::live_token().id;
  known.event = samples::live_token();
  refuses<Answer>(known, {{"a revision above head", [](Answer& a) { a.revision = 43; }},
                          {"another token", [](Answer& a) { a.id = token_id("another"); }},
                          {"a mark", [](Answer& a) {
                             a.event = samples::subject_mark();
                             a.id = a.event->id;
                           }}});
  refuses<Answer>(samples::unknown_token(), {});
}

TEST_CASE("a statement has one encoding, and no field that this program does not know") {
  const Bytes good = samples::heartbeat().encode();
  REQUIRE(Batch::decode(good));
  // Field 5, which is new; from twice; a default that is written; an event of an unknown kind.
  for (const Bytes& more :
       {Bytes("\x28\x01"), Bytes("\x10\x2a"), Bytes("\x22\x02\x08\x05"), Bytes("\x22\x00", 2)})
    CHECK(code_of(Batch::decode(good + more)) == ErrorCode::kMessage);
  // A deletion with attributes.
  const Bytes event =
      Bytes("\x08\x03\x12\x10") + Bytes(16, 'i') + Bytes("\x20\x01\x2a\x02\x30\x01");
  Batch empty = samples::lane_batch();
  empty.events.clear();
  CHECK(Batch::decode(empty.encode()));
  CHECK(code_of(Batch::decode(empty.encode() + '\x22' + static_cast<char>(event.size()) + event)) ==
        ErrorCode::kMessage);
  // The header alone is a heartbeat at revision 0, and the signature is over the whole.
  for (size_t size = 0; size < good.size(); ++size) {
    const auto cut = Batch::decode(good.substr(0, size));
    CHECK((!cut || cut->encode() == good.substr(0, size)));
  }
}

TEST_CASE("what is sealed opens under the lane's key, and nothing else does") {
  Batch batch = samples::lane_batch();
  for (const bool large : {false, true}) {
    CAPTURE(large);
    if (large) batch.events.assign(100, samples::deleted_token());
    const Bytes body = batch.encode();
    const SealedStatement good = seal(StatementType::kBatch, body, samples::lane_key());
    CHECK(good.compressed == large);
    const PublicKey key = samples::lane_key().public_key();
    CHECK(open(good, key) == body);

    const std::pair<std::string, std::function<void(SealedStatement&)>> cases[] = {
        {"another type", [](SealedStatement& s) { s.type = StatementType::kSnapshot; }},
        {"coded in another way", [](SealedStatement& s) { s.compressed = !s.compressed; }},
        {"another body", [](SealedStatement& s) { s.body.back() ^= 1; }},
        {"a longer body", [](SealedStatement& s) { s.body += '\0'; }},
        {"another signature", [](SealedStatement& s) { s.signature.front() ^= 1; }},
        {"no signature", [](SealedStatement& s) { s.signature.clear(); }}};
    for (const auto& [what, change] : cases) {
      CAPTURE(what);
      SealedStatement bad = good;
      change(bad);
      CHECK(code_of(open(bad, key)) == ErrorCode::kSignature);
    }
    const PrivateKey other = PrivateKey::from_seed({7});
    CHECK(code_of(open(good, other.public_key())) == ErrorCode::kSignature);
  }
}

TEST_CASE("even of the lane's key, a body inflates to no more than its limit") {
  const PublicKey key = samples::lane_key().public_key();
  const auto zstd = [](size_t size) { return *zstd_compress(Bytes(size, 'z'), {}, {}); };
  const Bytes most = zstd(limits::kLaneInflatedBytesMax);
  CHECK(open(sealed(most, true, kZstdBatch), key)->size() == limits::kLaneInflatedBytesMax);
  const Bytes bomb = zstd(limits::kLaneInflatedBytesMax + 1);
  CHECK(code_of(open(sealed(bomb, true, kZstdBatch), key)) == ErrorCode::kLimit);
  for (const Bytes& broken :
       {Bytes(), Bytes("not zstd"), most.substr(0, most.size() / 2), most + most})
    CHECK_FALSE(open(sealed(broken, true, kZstdBatch), key));
}
