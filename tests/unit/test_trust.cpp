#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "common/limits.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;
using samples::key;
using samples::signed_by;

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  REQUIRE_FALSE(result.has_value());
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

// One field in Protobuf's wire format.
Bytes field(uint32_t number, uint32_t wire_type, ByteView content) {
  Bytes out;
  put_varint(out, number << 3 | wire_type);
  if (wire_type == 2) put_varint(out, content.size());
  return out.append(content);
}

}  // namespace

TEST_CASE("dsse: encoding and signature of the published example, computed elsewhere") {
  trust::Envelope envelope{"hello world", "http://example.com/HelloWorld", {}};
  CHECK(trust::pre_authentication_encoding(envelope.payload_type, envelope.payload) ==
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  // The key of RFC 8032 §7.1 test 1; the signature is from `openssl pkeyutl` for the line.
  const auto seed = *from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  std::array<uint8_t, 32> bytes{};
  std::ranges::copy(seed, bytes.begin());
  trust::sign_envelope(envelope, PrivateKey::from_seed(bytes));
  REQUIRE(envelope.signatures.size() == 1);
  CHECK(to_hex(envelope.signatures[0].signature) ==
        "e031d7dd99f8aa904abc48fb99a13c3bdbbd6e35c49cf2cb9f25d5509d8f5c94"
        "7c0d22dc2f7403a45bdf24e8f7a41fd23c7b25e898386e8c6c31be8abee60007");
}

TEST_CASE("dsse: lengths keep type and payload apart") {
  CHECK(trust::pre_authentication_encoding("a", "b c") !=
        trust::pre_authentication_encoding("a b", "c"));
  CHECK(trust::pre_authentication_encoding("", "") == "DSSEv1 0  0 ");
}

TEST_CASE("envelope: encoding and decoding keep every byte") {
  const trust::Envelope before = signed_by(samples::release(), {2, 3});
  const Bytes bytes = before.encode();
  const auto after = trust::Envelope::decode(bytes);
  REQUIRE(after);
  CHECK(after->payload == before.payload);
  CHECK(after->payload_type == trust::kReleaseType);
  REQUIRE(after->signatures.size() == 2);
  CHECK(after->signatures[1].keyid == key(3).public_key().keyid());
  CHECK(after->encode() == bytes);
}

TEST_CASE("envelope: signing again with one key leaves one signature") {
  trust::Envelope envelope = signed_by(samples::release(), {2, 3});
  trust::sign_envelope(envelope, key(2));
  CHECK(envelope.signatures.size() == 2);
}

TEST_CASE("envelope: what is refused") {
  const Bytes good = signed_by(samples::release(), {2}).encode();
  const Bytes signature = field(1, 2, Bytes(64, 's'));
  const Bytes body = field(1, 2, "payload") + field(2, 2, "type");
  REQUIRE(trust::Envelope::decode(body + field(3, 2, signature)));
  Bytes too_many = body, nested;
  for (size_t i = 0; i <= limits::kSignaturesMax; ++i) too_many += field(3, 2, signature);
  for (int i = 0; i < 101; ++i) nested += field(9, 3, "");
  for (int i = 0; i < 101; ++i) nested += field(9, 4, "");
  const std::pair<const char*, Bytes> cases[] = {
      {"no bytes", ""},
      {"no payload", field(2, 2, "type")},
      {"no type", field(1, 2, "payload")},
      {"over the limit", Bytes(limits::kEnvelopeBytesMax + 1, '\0')},
      {"cut short", good.substr(0, good.size() - 1)},
      {"bytes after it", good + '\0'},
      {"an end-group tag after it", good + '\x0c'},
      {"a field twice", field(1, 2, "other") + good},
      {"fields out of order", field(2, 2, "type") + field(1, 2, "payload")},
      {"an unknown field", good + field(15, 0, "\x01")},
      {"wrong wire type", field(1, 0, "\x01") + field(2, 2, "type")},
      {"bad UTF-8 in the type", field(1, 2, "payload") + field(2, 2, "\xff\xfe")},
      {"an 11-byte varint", body + "\x18" + Bytes(10, '\xff') + "\x01"},
      {"a length longer than needed", Bytes("\x0a\x87\x00payload", 10) + field(2, 2, "type")},
      {"too many signatures", too_many},
      {"a signature of 63 bytes", body + field(3, 2, field(1, 2, Bytes(63, 's')))},
      {"a key id over the limit", body + field(3, 2, signature + field(2, 2, Bytes(129, 'k')))},
      {"groups 101 deep", body + nested},
  };
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    CHECK(code_of(trust::Envelope::decode(bytes)) == ErrorCode::kEnvelope);
  }
}

TEST_CASE("signers: distinct keys count, key ids do not") {
  const auto keys = samples::public_keys({2, 3, 4});
  trust::Envelope envelope = signed_by(samples::release(), {2});
  CHECK(trust::count_signers(envelope, keys) == 1);

  SUBCASE("one signature twice, under two key ids") {
    envelope.signatures.push_back({envelope.signatures[0].signature, key(3).public_key().keyid()});
    CHECK(trust::count_signers(envelope, keys) == 1);
  }
  SUBCASE("a key listed twice") {
    const std::vector<PublicKey> twice = {keys[0], keys[0], keys[1]};
    CHECK(trust::count_signers(envelope, twice) == 1);
  }
  SUBCASE("no key id, or a foreign one") {
    for (const std::string& keyid : {std::string(), keys[2].keyid()}) {
      envelope.signatures[0].keyid = keyid;
      CHECK(trust::count_signers(envelope, keys) == 1);
    }
  }
  SUBCASE("a second signer") {
    trust::sign_envelope(envelope, key(4));
    CHECK(trust::count_signers(envelope, keys) == 2);
  }
  SUBCASE("no signature") {
    envelope.signatures.clear();
    CHECK(trust::count_signers(envelope, keys) == 0);
  }
  SUBCASE("a signer that is not asked for") {
    CHECK(trust::count_signers(envelope, samples::public_keys({5})) == 0);
  }
  SUBCASE("S + L in place of S (RFC 8032 §5.1.7)") {
    const auto order =
        *from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    unsigned carry = 0;
    Bytes& signature = envelope.signatures[0].signature;
    for (size_t i = 0; i < 32; ++i) {
      carry += static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]);
      signature[32 + i] = static_cast<char>(carry);
      carry >>= 8;
    }
    CHECK(trust::count_signers(envelope, keys) == 0);
  }
  SUBCASE("a key of small order, under which the zero signature would verify") {
    PublicKey weak;
    weak.bytes[0] = 1;
    Bytes forged(64, '\0');
    forged[0] = 1;
    envelope.signatures = {{forged, weak.keyid()}};
    CHECK(trust::count_signers(envelope, std::vector{weak}) == 0);
  }
  SUBCASE("payload or type changed after signing") {
    trust::Envelope other = envelope;
    other.payload.back() = static_cast<char>(other.payload.back() ^ 1);
    CHECK(trust::count_signers(other, keys) == 0);
    other = envelope;
    other.payload_type = trust::kRootType;
    CHECK(trust::count_signers(other, keys) == 0);
  }
}

TEST_CASE("release: every field survives encoding") {
  trust::Release before = samples::release(42);
  before.expires_ms = before.issued_ms + 1;
  before.on_hard = trust::OnHard::kServe;
  const auto after = trust::Release::decode(before.encode());
  REQUIRE(after);
  CHECK(after->trust_domain == before.trust_domain);
  CHECK(after->ledger == before.ledger);
  CHECK(after->epoch == before.epoch);
  CHECK(after->version == before.version);
  CHECK(after->previous_hash == before.previous_hash);
  CHECK(after->content_root == before.content_root);
  CHECK(after->total_bytes == before.total_bytes);
  CHECK(after->file_count == before.file_count);
  CHECK(after->data_roots == before.data_roots);
  CHECK(after->issued_ms == before.issued_ms);
  CHECK(after->expires_ms == before.expires_ms);
  CHECK(after->fresh_s == before.fresh_s);
  CHECK(after->hard_s == before.hard_s);
  CHECK(after->on_hard == before.on_hard);
}

TEST_CASE("release: fields out of range or not in canonical form are refused") {
  const std::pair<const char*, std::function<void(trust::Release&)>> cases[] = {
      {"no domain", [](trust::Release& r) { r.trust_domain.clear(); }},
      {"a domain in upper case", [](trust::Release& r) { r.trust_domain = "Core"; }},
      {"zone too low", [](trust::Release& r) { r.ledger.zone = limits::kZoneMin - 1; }},
      {"zone too high", [](trust::Release& r) { r.ledger.zone = limits::kZoneMax + 1; }},
      {"no ledger name", [](trust::Release& r) { r.ledger.name.clear(); }},
      {"a ledger name that climbs", [](trust::Release& r) { r.ledger.name = "../payments"; }},
      {"epoch out of range", [](trust::Release& r) { r.epoch = limits::kVersionMax + 1; }},
      {"version 0", [](trust::Release& r) { r.version = 0; }},
      {"version over the limit", [](trust::Release& r) { r.version = limits::kVersionMax + 1; }},
      {"version 2^64-1", [](trust::Release& r) { r.version = UINT64_MAX; }},
      {"version 1 with a previous", [](trust::Release& r) { r.version = 1; }},
      {"version 2 without a previous", [](trust::Release& r) { r.previous_hash = {}; }},
      {"no content root", [](trust::Release& r) { r.content_root = {}; }},
      {"too many bytes", [](trust::Release& r) { r.total_bytes = limits::kModelBytesMax + 1; }},
      {"no files", [](trust::Release& r) { r.file_count = 0; }},
      {"too many files", [](trust::Release& r) { r.file_count = limits::kModelFilesMax + 1; }},
      {"roots not sorted", [](trust::Release& r) { r.data_roots = {"b", "a"}; }},
      {"a root twice", [](trust::Release& r) { r.data_roots = {"a", "a"}; }},
      {"a root too long",
       [](trust::Release& r) { r.data_roots = {Bytes(limits::kPathBytesMax + 1, 'r')}; }},
      {"no issue time", [](trust::Release& r) { r.issued_ms = 0; }},
      {"issued before 1970", [](trust::Release& r) { r.issued_ms = -1; }},
      {"issued after 9999", [](trust::Release& r) { r.issued_ms = limits::kTimestampMsMax + 1; }},
      {"expires when issued", [](trust::Release& r) { r.expires_ms = r.issued_ms; }},
      {"expires after 9999", [](trust::Release& r) { r.expires_ms = INT64_MAX; }},
      {"no fresh_s", [](trust::Release& r) { r.fresh_s = 0; }},
      {"hard_s below fresh_s", [](trust::Release& r) { r.hard_s = r.fresh_s - 1; }},
      {"hard_s that overflows milliseconds", [](trust::Release& r) { r.hard_s = UINT64_MAX; }},
      {"on_hard unset", [](trust::Release& r) { r.on_hard = trust::OnHard{0}; }},
      {"on_hard unknown", [](trust::Release& r) { r.on_hard = trust::OnHard{3}; }},
  };
  REQUIRE(trust::Release::decode(samples::release(2).encode()));
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    trust::Release release = samples::release(2);
    change(release);
    CHECK(code_of(trust::Release::decode(release.encode())) == ErrorCode::kStatement);
  }
  trust::Release crowded = samples::release();
  crowded.data_roots.clear();
  for (size_t i = 0; i <= limits::kRootsMax; ++i) crowded.data_roots.push_back(Bytes(i + 1, 'a'));
  CHECK(code_of(trust::Release::decode(crowded.encode())) == ErrorCode::kStatement);
}

TEST_CASE("release: two encodings of one statement would be two releases, so one is refused") {
  const Bytes good = samples::release(2).encode();
  const std::pair<const char*, Bytes> cases[] = {
      {"no bytes", ""},
      {"cut short", good.substr(0, good.size() - 1)},
      {"an unknown field", good + field(99, 0, "\x01")},
      {"a source without a commit", good + field(16, 2, "")},
      {"a field twice, the same", good + field(15, 0, "\x01")},
      {"a field twice, another", field(5, 0, "\x07") + good},
      {"a default spelled out", good + field(12, 0, Bytes(1, '\0'))},
      {"a number longer than needed", good.substr(0, good.size() - 1) + Bytes("\x81\x00", 2)},
      {"an enum beyond one byte", good.substr(0, good.size() - 1) + "\x81\x02"},
      {"previous of 31 bytes", field(6, 2, Bytes(31, 'p')) + good},
      {"bad UTF-8", field(1, 2, "\xc0\x80") + good},
  };
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    CHECK(code_of(trust::Release::decode(bytes)) == ErrorCode::kStatement);
  }
}

TEST_CASE("root: every field survives encoding") {
  trust::Root before = samples::root();
  before.expires_ms = before.issued_ms + 1;
  before.root_keys = samples::public_keys({1, 9});
  before.root_threshold = 2;
  before.delegations.push_back({"273165098782/pay*", samples::public_keys({4, 5, 6}), 2});
  before.freshness_keys = {key(7).public_key()};
  const auto after = trust::Root::decode(before.encode());
  REQUIRE(after);
  CHECK(after->encode() == before.encode());
  CHECK(after->root_keys == before.root_keys);
  REQUIRE(after->delegations.size() == 2);
  CHECK(after->delegations[1].pattern == "273165098782/pay*");
  CHECK(after->delegations[1].threshold == 2);
  CHECK(after->freshness_keys == std::vector{key(7).public_key()});
  CHECK(trust::Root::decode(samples::root().encode())->freshness_keys.empty());
}

TEST_CASE("root: what is refused") {
  const auto many_keys = [] {
    std::vector<PublicKey> keys(limits::kRootKeysMax + 1);
    for (size_t i = 0; i < keys.size(); ++i) keys[i].bytes[5] = static_cast<uint8_t>(i + 1);
    return keys;
  };
  const auto pattern = [](std::string text) {
    return [text](trust::Root& r) { r.delegations[0].pattern = text; };
  };
  const std::pair<const char*, std::function<void(trust::Root&)>> cases[] = {
      {"no domain", [](trust::Root& r) { r.trust_domain.clear(); }},
      {"version 0", [](trust::Root& r) { r.version = 0; }},
      {"epoch out of range", [](trust::Root& r) { r.epoch = UINT64_MAX; }},
      {"no issue time", [](trust::Root& r) { r.issued_ms = 0; }},
      {"expires before issued", [](trust::Root& r) { r.expires_ms = 1; }},
      {"no keys", [](trust::Root& r) { r.root_keys.clear(); }},
      {"one key twice", [](trust::Root& r) { r.root_keys = samples::public_keys({1, 2, 1}); }},
      {"too many keys", [&](trust::Root& r) { r.root_keys = many_keys(); }},
      {"threshold 0", [](trust::Root& r) { r.root_threshold = 0; }},
      {"threshold over the keys", [](trust::Root& r) { r.root_threshold = 2; }},
      {"a delegation without keys", [](trust::Root& r) { r.delegations[0].keys.clear(); }},
      {"a delegation with a key twice",
       [](trust::Root& r) { r.delegations[0].keys = samples::public_keys({2, 2}); }},
      {"a delegation with threshold 0", [](trust::Root& r) { r.delegations[0].threshold = 0; }},
      {"a delegation with a threshold over its keys",
       [](trust::Root& r) { r.delegations[0].threshold = 3; }},
      {"too many delegations",
       [](trust::Root& r) { r.delegations.resize(limits::kDelegationsMax + 1, r.delegations[0]); }},
      {"a freshness key that is a root key",
       [](trust::Root& r) { r.freshness_keys = {key(1).public_key()}; }},
      {"a freshness key that may publish",
       [](trust::Root& r) { r.freshness_keys = {key(3).public_key()}; }},
      {"a freshness key twice",
       [](trust::Root& r) { r.freshness_keys = samples::public_keys({7, 7}); }},
      {"too many freshness keys", [&](trust::Root& r) { r.freshness_keys = many_keys(); }},
      {"a lane key that is a root key", [](trust::Root& r) { r.lane_key = key(1).public_key(); }},
      {"a lane key that may publish", [](trust::Root& r) { r.lane_key = key(3).public_key(); }},
      {"a lane key that is the freshness key",
       [](trust::Root& r) {
         r.freshness_keys = samples::public_keys({7});
         r.lane_key = key(7).public_key();
       }},
      {"an audit key that is the freshness key",
       [](trust::Root& r) {
         r.freshness_keys = samples::public_keys({7});
         r.audit_key = key(7).public_key();
       }},
      {"data roots that are not sorted",
       [](trust::Root& r) { r.delegations[0].data_roots = {"b", "a"}; }},
      {"a data root that is no path",
       [](trust::Root& r) { r.delegations[0].data_roots = {"a//b"}; }},
      {"a data root with a star in it",
       [](trust::Root& r) { r.delegations[0].data_roots = {"a*/b"}; }},
      {"no pattern", pattern("")},
      {"a pattern without a zone", pattern("payments")},
      {"an empty half", pattern("/payments")},
      {"another empty half", pattern("*/")},
      {"a star in the middle", pattern("*/pay*ments")},
      {"two stars", pattern("**/payments")},
      {"letters in the zone", pattern("2731x/payments")},
      {"a third half", pattern("*/payments/x")},
  };
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    trust::Root root = samples::root();
    change(root);
    CHECK(code_of(trust::Root::decode(root.encode())) == ErrorCode::kStatement);
  }
  const Bytes good = samples::root().encode();
  REQUIRE(trust::Root::decode(good));
  CHECK(code_of(trust::Root::decode(good + field(9, 2, Bytes(31, 'f')))) == ErrorCode::kStatement);
  CHECK(code_of(trust::Root::decode(good + field(9, 2, ""))) == ErrorCode::kStatement);
  CHECK(code_of(trust::Root::decode(good + field(10, 0, "\x01"))) == ErrorCode::kStatement);
  CHECK(code_of(trust::Root::decode(field(6, 2, Bytes(31, 'k')) + good)) == ErrorCode::kStatement);
}

// A restriction must not be ignored by a program that does not support it.
TEST_CASE("what is of good form and not supported is refused by its name") {
  const auto refuses = [](const Error& error, std::string_view field) {
    return error.code == ErrorCode::kStatement && error.message.contains(field) &&
           error.message.contains("not support");
  };
  trust::Root root = samples::root();
  root.audit_key = key(8).public_key();
  const auto decoded = trust::Root::decode(root.encode());
  REQUIRE_FALSE(decoded);
  CHECK(refuses(decoded.error(), "audit_key"));
  trust::Release release = samples::release();
  release.accept_by_ms = release.issued_ms + 1;
  CHECK(refuses(trust::Release::decode(release.encode()).error(), "accept_by_ms"));
}

TEST_CASE("root: the key of the token lanes is one of 32 bytes") {
  trust::Root root = samples::root();
  root.lane_key = key(8).public_key();
  const auto after = trust::Root::decode(root.encode());
  REQUIRE(after);
  CHECK(after->lane_key == key(8).public_key());
  CHECK(after->encode() == root.encode());
  const Bytes none = samples::root().encode();
  CHECK_FALSE(trust::Root::decode(none)->lane_key);
  for (const size_t size : {1, 31, 33})
    CHECK(code_of(trust::Root::decode(none + field(10, 2, Bytes(size, 'k')))) ==
          ErrorCode::kStatement);
}

TEST_CASE("root: a delegation says what its releases may hold") {
  trust::Root root = samples::root();
  root.delegations[0].content = trust::ContentRule::kKeys;
  root.delegations[0].data_roots = {"keys/*"};
  const auto after = trust::Root::decode(root.encode());
  REQUIRE(after);
  CHECK(after->delegations[0].content == trust::ContentRule::kKeys);
  CHECK(after->encode() == root.encode());
  root.delegations[0].content = static_cast<trust::ContentRule>(2);
  CHECK(code_of(trust::Root::decode(root.encode())) == ErrorCode::kStatement);
}

TEST_CASE("root: which data roots a pattern covers") {
  const std::tuple<const char*, const char*, bool> rows[] = {
      {"a", "a", true},       {"a", "a/b", true},  {"a", "ab", false},   {"a/b", "a", false},
      {"a/b", "a/b/c", true}, {"a/*", "a", false}, {"a/*", "a/b", true}, {"a/*", "a/b/c", true},
      {"a/*", "ab/c", false}, {"*", "a", true},    {"*", "a/b", true},
  };
  for (const auto& [pattern, root, covers] : rows)
    CHECK_MESSAGE(trust::data_root_covers(pattern, root) == covers, pattern << " " << root);
}

TEST_CASE("release: where it comes from") {
  trust::Release before = samples::release();
  before.source =
      trust::Source{"https://git.example/policies.git", "refs/heads/main", Bytes(40, 'a'), ""};
  const auto after = trust::Release::decode(before.encode());
  REQUIRE(after);
  CHECK(after->source == before.source);
  CHECK_FALSE(trust::Release::decode(samples::release().encode())->source);
  const std::pair<const char*, std::function<void(trust::Source&)>> cases[] = {
      {"no commit", [](trust::Source& s) { s.commit.clear(); }},
      {"a short commit", [](trust::Source& s) { s.commit.pop_back(); }},
      {"a commit in capitals", [](trust::Source& s) { s.commit[0] = 'A'; }},
      {"a text of two lines", [](trust::Source& s) { s.ref = "a\nb"; }},
      {"a text that is too long",
       [](trust::Source& s) { s.repository = Bytes(limits::kSourceTextBytesMax + 1, 'x'); }}};
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    trust::Release release = before;
    change(*release.source);
    CHECK(code_of(trust::Release::decode(release.encode())) == ErrorCode::kStatement);
  }
}

TEST_CASE("root: the first delegation that matches decides, not the most specific") {
  trust::Root root = samples::root();
  root.delegations = {{"273165098782/pay*", samples::public_keys({2}), 1},
                      {"273165098782/payments", samples::public_keys({3}), 1},
                      {"*/*", samples::public_keys({4}), 1}};
  CHECK(root.delegation_for({273165098782, "payments"}) == &root.delegations[0]);
  CHECK(root.delegation_for({273165098782, "orders"}) == &root.delegations[2]);
  root.delegations.pop_back();
  CHECK(root.delegation_for({273165098782, "orders"}) == nullptr);
}

TEST_CASE("release hash: of the payload, whoever signed it") {
  const Bytes payload = samples::release().encode();
  CHECK(trust::release_hash(payload) == sha256(Bytes("notp.release.v2\0", 16) + payload));
  CHECK(trust::release_hash(payload) != trust::release_hash(samples::release(2).encode()));
}

TEST_CASE("freshness: every field survives encoding") {
  trust::FreshHead head = samples::head_of(samples::release(9));
  head.withdrawn = {sha256("a"), sha256("b")};
  std::ranges::sort(head.withdrawn);
  trust::FreshHead nothing_yet;
  nothing_yet.ledger = {273165098782, "zebra"};
  const trust::Freshness before = samples::freshness(77, {head, nothing_yet});
  const auto after = trust::Freshness::decode(before.encode());
  REQUIRE(after);
  CHECK(after->encode() == before.encode());
  CHECK(after->audience == samples::kNode);
  CHECK(after->sequence == 77);
  CHECK(after->root_version == 1);
  CHECK(after->issued_ms == before.issued_ms);
  CHECK(after->expires_ms == before.expires_ms);
  CHECK(after->heads == before.heads);
}

TEST_CASE("freshness: fields out of range or not in canonical form are refused") {
  const auto head = [](auto change) {
    return [change](trust::Freshness& f) { change(f.heads[0]); };
  };
  const std::pair<const char*, std::function<void(trust::Freshness&)>> cases[] = {
      {"no domain", [](trust::Freshness& f) { f.trust_domain.clear(); }},
      {"no audience", [](trust::Freshness& f) { f.audience.clear(); }},
      {"an audience of another domain",
       [](trust::Freshness& f) {
         f.audience = "spiffe://core-platform.internal.example/node/edge-1";
       }},
      {"an audience that is no URI", [](trust::Freshness& f) { f.audience = "edge-1"; }},
      {"an audience without a path",
       [](trust::Freshness& f) { f.audience = "spiffe://core-platform.internal/"; }},
      {"an audience with a space", [](trust::Freshness& f) { f.audience += " x"; }},
      {"an audience too long",
       [](trust::Freshness& f) { f.audience += Bytes(limits::kIdentityBytesMax, 'x'); }},
      {"no sequence", [](trust::Freshness& f) { f.sequence = 0; }},
      {"sequence 2^64-1", [](trust::Freshness& f) { f.sequence = UINT64_MAX; }},
      {"no root version", [](trust::Freshness& f) { f.root_version = 0; }},
      {"root version 2^64-1", [](trust::Freshness& f) { f.root_version = UINT64_MAX; }},
      {"no issue time", [](trust::Freshness& f) { f.issued_ms = 0; }},
      {"no expiry", [](trust::Freshness& f) { f.expires_ms = 0; }},
      {"expires when issued", [](trust::Freshness& f) { f.expires_ms = f.issued_ms; }},
      {"lives too long",
       [](trust::Freshness& f) {
         f.expires_ms = f.issued_ms + limits::kFreshnessLifetimeMsMax + 1;
       }},
      {"a ledger twice", [](trust::Freshness& f) { f.heads.push_back(f.heads[0]); }},
      {"ledgers not sorted",
       [](trust::Freshness& f) {
         f.heads.push_back(f.heads[0]);
         f.heads[1].ledger.name = "orders";
       }},
      {"too many ledgers",
       [](trust::Freshness& f) {
         for (size_t i = 0; i < limits::kLedgersPerSessionMax; ++i) {
           f.heads.push_back(f.heads.back());
           f.heads.back().ledger.name += 'x';
         }
       }},
      {"a zone too low", head([](trust::FreshHead& h) { h.ledger.zone = 1; })},
      {"a ledger name that climbs",
       head([](trust::FreshHead& h) { h.ledger.name = "../payments"; })},
      {"an epoch out of range", head([](trust::FreshHead& h) { h.epoch = UINT64_MAX; })},
      {"a version out of range", head([](trust::FreshHead& h) { h.version = UINT64_MAX; })},
      {"a version without a release", head([](trust::FreshHead& h) { h.release_hash = {}; })},
      {"a release without a version", head([](trust::FreshHead& h) { h.version = 0; })},
      {"withdrawn not sorted", head([](trust::FreshHead& h) {
         h.withdrawn = {sha256("a"), sha256("b")};
         std::ranges::sort(h.withdrawn, std::greater{});
       })},
      {"withdrawn twice",
       head([](trust::FreshHead& h) { h.withdrawn = {sha256("a"), sha256("a")}; })},
      {"withdrawn none", head([](trust::FreshHead& h) { h.withdrawn = {Hash{}}; })},
      {"too many withdrawn", head([](trust::FreshHead& h) {
         for (size_t i = 0; i <= limits::kWithdrawnMax; ++i)
           h.withdrawn.push_back(sha256(std::to_string(i)));
         std::ranges::sort(h.withdrawn);
       })},
  };
  const trust::Freshness good = samples::freshness(1, {samples::head_of(samples::release(2))});
  REQUIRE(trust::Freshness::decode(good.encode()));
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    trust::Freshness statement = good;
    change(statement);
    CHECK(code_of(trust::Freshness::decode(statement.encode())) == ErrorCode::kStatement);
  }
  const Bytes bytes = good.encode();
  CHECK(code_of(trust::Freshness::decode("")) == ErrorCode::kStatement);
  CHECK(code_of(trust::Freshness::decode(bytes.substr(0, bytes.size() - 1))) ==
        ErrorCode::kStatement);
  CHECK(code_of(trust::Freshness::decode(bytes + field(99, 0, "\x01"))) == ErrorCode::kStatement);
  CHECK(code_of(trust::Freshness::decode(field(3, 0, "\x05") + bytes)) == ErrorCode::kStatement);
}

TEST_CASE("freshness: the largest statement that is allowed fits an envelope") {
  trust::Freshness statement = samples::freshness(limits::kVersionMax, {});
  statement.audience += Bytes(limits::kIdentityBytesMax - statement.audience.size(), 'x');
  for (size_t i = 0; i < limits::kLedgersPerSessionMax; ++i) {
    trust::FreshHead head{{limits::kZoneMax, Bytes(limits::kNameBytesMax - 2, 'a')},
                          limits::kVersionMax,
                          limits::kVersionMax,
                          sha256("r"),
                          {}};
    head.ledger.name += static_cast<char>('a' + i / 8);
    head.ledger.name += static_cast<char>('a' + i % 8);
    for (size_t w = 0; w < limits::kWithdrawnMax; ++w)
      head.withdrawn.push_back(sha256(std::to_string(w)));
    std::ranges::sort(head.withdrawn);
    statement.heads.push_back(std::move(head));
  }
  REQUIRE(trust::Freshness::decode(statement.encode()));
  CHECK(trust::Envelope::decode(signed_by(statement, {7}).encode()));
}
