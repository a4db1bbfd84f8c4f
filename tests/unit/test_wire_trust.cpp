// The messages of roots, freshness, pending releases, withdrawal and enrolment: refusals and
// limits.
#include <doctest/doctest.h>

#include <initializer_list>
#include <span>

#include "common/limits.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

using namespace notp;
using namespace notp::wire;
using namespace notp::wire::samples;

namespace {

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

// All fields except heads and removed ledgers.
Bytes freshness(uint64_t base = 0, uint64_t root_version = 1, uint64_t lifetime_ms = 900'000) {
  return varint_field(1, 10) + varint_field(2, base) + varint_field(3, 1'750'000'000'000) +
         varint_field(4, lifetime_ms) + varint_field(5, root_version) + field(8, Bytes(64, 's'));
}

Bytes fresh_head(const Bytes& ledger = ledger_bytes(), const Bytes& more = {}) {
  return field(6, field(1, ledger) + varint_field(3, 2) + field(4, hash_bytes()) + more);
}

Bytes withdrawn(std::string_view fills) {
  Bytes out;
  for (const char fill : fills) out += field(5, hash_bytes(fill));
  return out;
}

Bytes certificate_bytes(size_t certificate = 1, size_t authorities = 1) {
  return field(1, Bytes(certificate, 'c')) + field(2, Bytes(authorities, 'a'));
}

template <typename T>
T decoded(const Message& message) {
  FrameParser parser;
  parser.feed(encode_frame(message));
  auto next = parser.next();
  REQUIRE(next);
  REQUIRE(*next);
  return std::get<T>(**next);
}

template <typename T>
T asked(const T& what) {
  return std::get<T>(decoded<Request>(Request{1, what}).what);
}

template <typename T>
T answered(const T& what) {
  return std::get<T>(decoded<Response>(Response{.what = what}).what);
}

}  // namespace

TEST_CASE("what the hostile rows vary is accepted as it is") {
  for (const auto& [type, payload] : std::initializer_list<std::pair<FrameType, Bytes>>{
           {FrameType::kFreshnessUpdate, freshness()},
           {FrameType::kFreshnessUpdate, freshness(9, 0)},
           {FrameType::kFreshnessUpdate, freshness() + fresh_head()},
           {FrameType::kFreshnessUpdate,
            freshness() + fresh_head(ledger_bytes(), withdrawn("abc"))},
           {FrameType::kFreshnessUpdate, freshness(9) + field(7, ledger_bytes())},
           {FrameType::kFreshnessUpdate,
            freshness(0, 1, static_cast<uint64_t>(limits::kFreshnessLifetimeMsMax))},
           {FrameType::kFreshnessUpdate, freshness() + field(6, field(1, ledger_bytes()))},
           {FrameType::kRootUpdate, field(1, Bytes(limits::kEnvelopeBytesMax, 'e'))},
           {FrameType::kRequest, field(8, {})},
           {FrameType::kRequest,
            field(9, field(1, ledger_bytes()) + field(2, hash_bytes()) + field(3, Bytes(64, 's')))},
           {FrameType::kRequest, field(12, field(1, Bytes(limits::kNameBytesMax, 'n')))},
           {FrameType::kResponse, field(13, certificate_bytes())},
           {FrameType::kJoin, field(1, "t") + field(2, "r")},
           {FrameType::kJoined, field(1, certificate_bytes()) + field(2, "root")}})
    CHECK(decode_text(type, payload) == "accepted");
}

TEST_CASE("freshness updates that cannot be are refused") {
  Bytes heads, gone, many;
  for (size_t i = 0; i <= limits::kLedgersPerSessionMax; ++i) {
    heads += fresh_head(ledger_bytes(limits::kZoneMin, "l" + std::to_string(i)));
    gone += field(7, ledger_bytes(limits::kZoneMin, "l" + std::to_string(i)));
  }
  for (size_t i = 0; i <= limits::kWithdrawnMax; ++i)
    many += field(5, hash_bytes(static_cast<char>(i + 1)));
  const auto type = FrameType::kFreshnessUpdate;
  const Bytes numbers = varint_field(1, 10) + varint_field(3, 1) + varint_field(4, 1);
  const Bytes signature = field(8, Bytes(64, 's'));
  const Row rows[] = {
      {"nothing", type, {}},
      {"no signature", type, numbers + varint_field(5, 1)},
      {"a signature of 63 bytes", type, numbers + varint_field(5, 1) + field(8, Bytes(63, 's'))},
      {"a signature of 65 bytes", type, numbers + varint_field(5, 1) + field(8, Bytes(65, 's'))},
      {"a base that is not below", type, freshness(10)},
      {"a sequence of 0", type,
       varint_field(3, 1) + varint_field(4, 1) + varint_field(5, 1) + signature},
      {"no root version, and no base to have it from", type, freshness(0, 0)},
      {"heads that are gone, and no base that had them", type,
       freshness() + field(7, ledger_bytes())},
      {"no instant", type,
       varint_field(1, 10) + varint_field(4, 1) + varint_field(5, 1) + signature},
      {"a negative instant", type,
       varint_field(1, 10) + varint_field(3, UINT64_MAX) + varint_field(4, 1) + varint_field(5, 1) +
           signature},
      {"no lifetime", type, freshness(0, 1, 0)},
      {"a lifetime too long", type,
       freshness(0, 1, static_cast<uint64_t>(limits::kFreshnessLifetimeMsMax) + 1)},
      {"a head without ledger", type,
       freshness() + field(6, varint_field(3, 2) + field(4, hash_bytes()))},
      {"a release without hash", type,
       freshness() + field(6, field(1, ledger_bytes()) + varint_field(3, 2))},
      {"a hash without release", type,
       freshness() + field(6, field(1, ledger_bytes()) + field(4, hash_bytes()))},
      {"an epoch without release", type,
       freshness() + field(6, field(1, ledger_bytes()) + varint_field(2, 1))},
      {"withdrawn releases, and no release", type,
       freshness() + field(6, field(1, ledger_bytes()) + withdrawn("a"))},
      {"an epoch out of range", type,
       freshness() + fresh_head(ledger_bytes(), varint_field(2, limits::kVersionMax + 1))},
      {"a sequence out of range", type,
       varint_field(1, limits::kVersionMax + 1) + varint_field(3, 1) + varint_field(4, 1) +
           varint_field(5, 1) + signature},
      {"a root version out of range", type, freshness(0, limits::kVersionMax + 1)},
      {"one ledger twice", type, freshness() + fresh_head() + fresh_head()},
      {"one ledger twice among those that are gone", type,
       freshness(9) + field(7, ledger_bytes()) + field(7, ledger_bytes())},
      {"a ledger that is there and gone", type,
       freshness(9) + fresh_head() + field(7, ledger_bytes())},
      {"a malformed ledger that is gone", type, freshness(9) + field(7, ledger_bytes(1))},
      {"a head too many", type, freshness() + heads},
      {"a ledger too many that is gone", type, freshness(9) + gone},
      {"a withdrawn release too many", type, freshness() + fresh_head(ledger_bytes(), many)},
      {"withdrawn releases out of order", type,
       freshness() + fresh_head(ledger_bytes(), withdrawn("ba"))},
      {"a withdrawn release twice", type,
       freshness() + fresh_head(ledger_bytes(), withdrawn("aa"))},
      {"a withdrawn release without hash", type,
       freshness() + fresh_head(ledger_bytes(), field(5, {}))},
      {"a withdrawn release with a hash of 31 bytes", type,
       freshness() + fresh_head(ledger_bytes(), field(5, hash_bytes('x', 31)))},
  };
  check_refused(rows);
}

TEST_CASE("roots, orders and answers that cannot be are refused") {
  const Bytes too_long(limits::kEnvelopeBytesMax + 1, 'e');
  const Bytes ledger = field(1, ledger_bytes()), hash = field(2, hash_bytes());
  const Bytes report = ledger + varint_field(2, 1) + varint_field(3, 2);
  Bytes roots;
  for (size_t i = 0; i <= limits::kRootStepsMax; ++i) roots += field(8, "r");
  const auto query = FrameType::kRequest, answer = FrameType::kResponse;
  const Row rows[] = {
      {"an empty root", FrameType::kRootUpdate, field(1, {})},
      {"a root too long", FrameType::kRootUpdate, field(1, too_long)},
      {"two roots", FrameType::kRootUpdate, field(1, "a") + field(1, "b")},
      {"publishing an empty root", query, field(6, {})},
      {"publishing a root too long", query, field(6, field(1, too_long))},
      {"withdrawing no release", query, field(7, ledger)},
      {"a reason too long", query,
       field(7,
             ledger + varint_field(2, 1) + field(3, Bytes(limits::kErrorTextBytesMax + 1, 'r')))},
      {"pending releases of a malformed ledger", query, field(8, field(1, ledger_bytes(1)))},
      {"a signature for nothing", query, field(9, ledger + field(3, Bytes(64, 's')))},
      {"a short signature", query, field(9, ledger + hash + field(3, Bytes(63, 's')))},
      {"dropping nothing", query, field(10, ledger)},
      {"dropping without ledger", query, field(10, hash)},
      {"a token for nobody", query, field(12, {})},
      {"a token for a name too long", query,
       field(12, field(1, Bytes(limits::kNameBytesMax + 1, 'n')))},
      {"a token past any instant", query,
       field(12, field(1, "edge-17") + varint_field(2, UINT64_MAX))},
      {"renewing without request", query, field(13, {})},
      {"renewing with a request too long", query,
       field(13, field(1, Bytes(limits::kCertificateRequestBytesMax + 1, 'r')))},
      {"two questions", query, field(5, {}) + field(11, {})},
      {"an unknown freshness", FrameType::kCommit, report + varint_field(7, 4)},
      {"a freshness that 32 bits would cut to 1", FrameType::kCommit,
       report + varint_field(7, (1ULL << 32) + 1)},
      {"a pending release without version", FrameType::kWantMore,
       field(1, ledger + field(7, hash_bytes()))},
      {"an empty root in an answer", answer, field(8, {})},
      {"a root too long in an answer", answer, field(8, too_long)},
      {"a root too many", answer, roots},
      {"a pending release without envelope", answer,
       field(9, ledger + varint_field(2, 1) + field(3, hash_bytes()))},
      {"a pending release without hash", answer,
       field(9, ledger + varint_field(2, 1) + field(9, "e"))},
      {"a malformed deny list", answer, field(11, field(2, ledger_bytes(1)))},
      {"a join token too long", answer, field(12, Bytes(limits::kJoinTokenBytesMax + 1, 't'))},
      {"a certificate too long", answer, field(13, certificate_bytes(limits::kPemBytesMax + 1, 1))},
      {"authorities too long", answer, field(13, certificate_bytes(1, limits::kPemBytesMax + 1))},
      {"a certificate without authorities", answer, field(13, field(1, "c"))},
      {"a number of signers over 32 bits", FrameType::kPublishResult, varint_field(11, 1ULL << 32)},
      {"two thresholds", FrameType::kPublishResult, varint_field(12, 1) + varint_field(12, 1)},
      {"two outcomes", answer, field(11, {}) + field(12, "token")},
      {"two lists", answer, field(8, "root") + field(6, field(1, ledger_bytes()))},
      {"no join token", FrameType::kJoin, field(2, "r")},
      {"no request", FrameType::kJoin, field(1, "t")},
      {"a token too long", FrameType::kJoin,
       field(1, Bytes(limits::kJoinTokenBytesMax + 1, 't')) + field(2, "r")},
      {"a request too long", FrameType::kJoin,
       field(1, "t") + field(2, Bytes(limits::kCertificateRequestBytesMax + 1, 'r'))},
      {"joined without certificate", FrameType::kJoined, field(2, "root")},
      {"joined without root", FrameType::kJoined, field(1, certificate_bytes())},
  };
  check_refused(rows);
}

TEST_CASE("the fields of a freshness update are the ones that were encoded") {
  const auto update = decoded<FreshnessUpdate>(freshness_update());
  CHECK(update.sequence == 100);
  CHECK(update.base_sequence == 99);
  CHECK(update.lifetime_ms == 900'000);
  CHECK(update.root_version == 8);
  REQUIRE(update.heads.size() == 1);
  CHECK(update.heads[0].ledger == kLedger);
  CHECK(update.heads[0].epoch == 3);
  CHECK(update.heads[0].withdrawn == std::vector{hash_of(0x41), hash_of(0x42)});
  CHECK(update.gone == std::vector{model::LedgerId{kLedger.zone, "refunds"}});
  CHECK(update.signature == Bytes(64, 's'));
}

TEST_CASE("a renewal without news is short") {
  FreshnessUpdate update;
  update.sequence = 1'782'864'030'000;
  update.base_sequence = 1'782'864'000'000;
  update.issued_ms = 1'782'864'030'000;
  update.lifetime_ms = static_cast<uint64_t>(limits::kFreshnessLifetimeMs);
  update.signature = Bytes(64, 's');
  CHECK(encode_frame(update).size() <= 100);
}

TEST_CASE("every question and every outcome comes back as it was") {
  CHECK(asked(RootsRequest{7}).after_version == 7);
  CHECK_FALSE(asked(PendingRequest{}).ledger);
  CHECK(asked(PendingRequest{kLedger}).ledger == kLedger);
  const auto withdraw = asked(Withdraw{kLedger, 4, "why"});
  CHECK(withdraw.version == 4);
  CHECK(withdraw.reason == "why");
  CHECK(answered(publish_result()).threshold == 2);
  CHECK(answered(trust_row()).deny_list == kLedger);
  CHECK(answered(IssuedToken{"token"}).token == "token");
  CHECK(answered(certificate()).authorities == "authorities");
  answered(Done{});
  const NodeLedger held = answered(NodesPage{{node_row()}}).rows.at(0).ledgers.at(0);
  CHECK(held.freshness == trust::FreshnessState::kStale);
  CHECK(held.vouched_ms == 1'750'000'000'004);
  const auto ledgers =
      answered(LedgersPage{{head()}, {Refusal{kLedger, ErrorCode::kCorrupt, "lost"}}});
  CHECK(ledgers.heads.at(0).version == 42);
  CHECK(ledgers.damaged.at(0).code == ErrorCode::kCorrupt);
}

TEST_CASE("the content of a response is that of its request, an empty page, or refused") {
  const auto taken = []<typename T>(const T&, Response response) {
    return take_response<T>(std::move(response));
  };
  CHECK(taken(NodesRequest{}, Response{.what = NodesPage{{node_row()}}})->rows.size() == 1);
  CHECK(taken(NodesRequest{}, Response{})->rows.empty());
  CHECK(taken(PublishRoot{}, Response{}));
  CHECK(taken(TrustRequest{}, Response{.what = trust_row()})->root_version == 8);
  CHECK(taken(NodesRequest{}, failed(Done{})).error().code == ErrorCode::kNotFound);
  CHECK(taken(TrustRequest{}, Response{}).error().code == ErrorCode::kMessage);
  CHECK(taken(NodesRequest{}, Response{.what = HistoryPage{}}).error().code == ErrorCode::kMessage);
}

TEST_CASE("roots that do not fit into a frame are left out, the oldest stay") {
  std::vector<Bytes> roots;
  for (char name = 'a'; name <= 'z'; ++name)
    roots.push_back(Bytes(limits::kEnvelopeBytesMax, name));
  const auto back = answered(RootsPage{roots});
  CHECK(back.more);
  REQUIRE(back.root_chain.size() == 15);
  CHECK(back.root_chain.front() == roots.front());
  CHECK(back.root_chain.back() == roots[14]);

  const Bytes pem(limits::kPemBytesMax, 'p');
  const auto joined = decoded<Joined>(Joined{{pem, pem}, roots});
  REQUIRE(joined.root_chain.size() == 7);
  CHECK(joined.root_chain.front() == roots.front());

  PendingPage pending;
  PendingRow row = pending_row();
  row.envelope = Bytes(limits::kEnvelopeBytesMax, 'e');
  pending.rows.assign(40, row);
  CHECK(answered(pending).rows.size() == 15);
  CHECK(answered(pending).more);
}

TEST_CASE("the largest messages about trust fit into a frame") {
  FreshnessUpdate update = freshness_update();
  FreshnessHead head = update.heads.at(0);
  head.withdrawn.clear();
  for (size_t i = 0; i < limits::kWithdrawnMax; ++i)
    head.withdrawn.push_back(hash_of(static_cast<uint8_t>(i + 1)));
  update.heads.clear();
  update.gone.clear();
  for (size_t i = 0; i < limits::kLedgersPerSessionMax; ++i) {
    const std::string number = std::to_string(100 + i);
    head.ledger.name = number + Bytes(limits::kNameBytesMax - 3, 'n');
    update.heads.push_back(head);
    update.gone.push_back({kLedger.zone, number + Bytes(limits::kNameBytesMax - 3, 'g')});
  }
  CHECK(decoded<FreshnessUpdate>(update).heads.size() == limits::kLedgersPerSessionMax);

  PublishResult published = publish_result();
  published.findings.assign(limits::kFindingsMax, {Bytes(9000, 'p'), 1, "rule", Bytes(9000, 'm')});
  const auto response = decoded<Response>(Response{2, 0, Bytes(9000, 'm'), published});
  CHECK(std::get<PublishResult>(response.what).findings.size() == limits::kFindingsMax);

  const Bytes pem(limits::kPemBytesMax, 'p');
  CHECK(answered(Certificate{pem, pem}).certificate == pem);
}
