#include "tests/hostile/hostile_statements.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "tests/hostile/hostile_forge.hpp"

namespace notp::hostile {
namespace {

using samples::head_of;
using samples::key;
using samples::kIssuedMs;
using samples::kLedger;
using samples::place_of;
using samples::public_keys;
using samples::signed_by;

constexpr TimeMs kTenYears = 315'360'000'000;

// S + L in place of S (RFC 8032 §5.1.7): a verifier without a range check accepts it as the same
// signature.
void make_malleable(Bytes& signature) {
  const auto order = *from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]);
    signature[32 + i] = static_cast<char>(carry);
    carry >>= 8;
  }
}

// All encodings of the eight points of small order, canonical or not.
constexpr std::string_view kSmallOrder[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

// A node whose root, by mistake, names a key of small order; that key alone may sign everything.
trust::Trusted holder_with_key(const PublicKey& weak) {
  trust::Trusted out = holder();
  trust::Root root = *out.root;
  root.root_keys = {weak};
  root.root_threshold = 1;
  root.delegations[0].keys = {weak};
  root.delegations[0].threshold = 1;
  root.freshness_keys = {weak};
  out.root = std::make_shared<const trust::Root>(root);
  return out;
}

void add_small_order_rows(std::vector<Row>& rows, Kind kind) {
  for (const std::string_view hex : kSmallOrder) {
    const PublicKey weak = *PublicKey::from_bytes(*from_hex(hex));
    // With S = 0 the equation holds for one R of small order, whatever the message; an envelope can
    // hold all candidates.
    trust::Envelope forged = unsigned_envelope(kind);
    for (const std::string_view point : kSmallOrder)
      forged.signatures.push_back({*from_hex(point) + Bytes(32, '\0'), weak.keyid()});
    rows.push_back({name_of(kind) + " forged under the key of small order " + std::string(hex),
                    kind, forged.encode(), ErrorCode::kSignature, signature_check(kind),
                    holder_with_key(weak)});
  }
}

// One field in Protobuf's wire format.
Bytes field(uint32_t number, uint32_t wire_type, ByteView content) {
  Bytes out;
  put_varint(out, number << 3 | wire_type);
  if (wire_type == 2) put_varint(out, content.size());
  return out.append(content);
}

// The same message, with the one-byte length of its first field written in two bytes.
Bytes longer_length(Bytes message) {
  message[1] = static_cast<char>(message[1] | 0x80);
  return message.insert(2, 1, '\0');
}

Bytes payload_of(Kind kind) { return good(kind).payload; }

}  // namespace

std::vector<Row> signature_rows() {
  std::vector<Row> rows;
  for (const Kind kind : kKinds) {
    const auto add = [&](std::string what, const trust::Envelope& envelope) {
      rows.push_back({name_of(kind) + ": " + std::move(what), kind, envelope.encode(),
                      ErrorCode::kSignature, signature_check(kind)});
    };
    const trust::Envelope bare = unsigned_envelope(kind);
    add("no signature", bare);
    for (const uint8_t stranger : {5, 8, 99})
      add("signed by key " + std::to_string(stranger), signed_with(bare, {stranger}));
    for (const Kind other : kKinds)
      if (other != kind)
        add("signed by who signs " + name_of(other), signed_with(bare, signers(other)));
    trust::Envelope zeros = bare;
    zeros.signatures = {{Bytes(64, '\0'), key(signers(kind)[0]).public_key().keyid()}};
    add("a signature of zeros", zeros);
    trust::Envelope lying = signed_with(bare, {98, 99});
    for (size_t i = 0; i < lying.signatures.size(); ++i)
      lying.signatures[i].keyid = key(signers(kind)[i % signers(kind).size()]).public_key().keyid();
    add("strangers under the key ids of signers", lying);
    for (trust::EnvelopeSignature& entry : lying.signatures) entry.keyid.clear();
    add("strangers without key ids", lying);
    trust::Envelope malleable = good(kind);
    make_malleable(malleable.signatures.back().signature);
    add("S + L in place of S", malleable);
    trust::Envelope swapped = good(kind);
    for (trust::EnvelopeSignature& entry : swapped.signatures)
      std::rotate(entry.signature.begin(), entry.signature.begin() + 32, entry.signature.end());
    add("R and S exchanged", swapped);
    trust::Envelope touched = good(kind);
    for (trust::EnvelopeSignature& entry : touched.signatures)
      entry.signature[63] = static_cast<char>(entry.signature[63] ^ 0x20);
    add("a high bit of S changed", touched);
    if (kind != Kind::kFreshness) {
      const uint8_t first = signers(kind)[0], second = signers(kind)[1];
      trust::Envelope one = signed_with(bare, {first});
      add("one signature where two are needed", one);
      one.signatures.push_back(one.signatures[0]);
      add("one signature twice", one);
      one.signatures[1].keyid = key(second).public_key().keyid();
      add("one key under two key ids", one);
      one.signatures[1].keyid.clear();
      add("one key, once without a key id", one);
      one.signatures.resize(limits::kSignaturesMax, one.signatures[1]);
      add("one key sixteen times", one);
      trust::Envelope half = signed_with(bare, {first, 99});
      half.signatures[1].keyid = key(second).public_key().keyid();
      add("one signer, one stranger under another signer's key id", half);
    }
    add_small_order_rows(rows, kind);
  }
  // Roots: both thresholds.
  const auto new_keys = [](trust::Root& r) { r.root_keys = public_keys({21, 22, 23}); };
  const auto add_root = [&](std::string what, const ChangeRoot& change, Keys keys,
                            std::string_view check) {
    rows.push_back({"root: " + std::move(what), Kind::kRoot, changed_root(change, keys),
                    ErrorCode::kSignature, check});
  };
  add_root("new keys alone", new_keys, {21, 22, 23}, "root.threshold_old");
  add_root("old keys alone", new_keys, {1, 11, 12}, "root.threshold_new");
  add_root("one old key, all new ones", new_keys, {1, 21, 22, 23}, "root.threshold_old");
  add_root("all old keys, one new one", new_keys, {1, 11, 12, 21}, "root.threshold_new");
  add_root(
      "lowers its own threshold to the one key it has",
      [](trust::Root& r) {
        r.root_keys = public_keys({1});
        r.root_threshold = 1;
      },
      {1}, "root.threshold_old");
  add_root(
      "raises its threshold and does not reach it", [](trust::Root& r) { r.root_threshold = 3; },
      {1, 11}, "root.threshold_new");
  // Releases: keys that may not sign.
  const auto add_release = [&](std::string what, trust::Trusted trusted) {
    rows.push_back({"release: " + std::move(what), Kind::kRelease, good(Kind::kRelease).encode(),
                    ErrorCode::kSignature, "release.threshold", std::move(trusted)});
  };
  const auto with_root = [](const ChangeRoot& change) {
    trust::Trusted out = holder();
    trust::Root root = *out.root;
    change(root);
    out.root = std::make_shared<const trust::Root>(root);
    return out;
  };
  add_release("nobody may publish the ledger",
              with_root([](trust::Root& r) { r.delegations.erase(r.delegations.begin()); }));
  add_release("an earlier delegation names others", with_root([](trust::Root& r) {
                r.delegations.insert(r.delegations.begin(),
                                     {"273165098782/pay*", public_keys({5}), 1});
              }));
  add_release("the newest root took one of the keys away",
              with_root([](trust::Root& r) { r.delegations[0].keys = public_keys({2, 4, 6}); }));
  add_release("the newest root asks for three",
              with_root([](trust::Root& r) { r.delegations[0].threshold = 3; }));
  // Freshness: keys that may not sign.
  const auto add_freshness = [&](std::string what, trust::Trusted trusted) {
    rows.push_back({"freshness: " + std::move(what), Kind::kFreshness,
                    good(Kind::kFreshness).encode(), ErrorCode::kSignature, "freshness.signature",
                    std::move(trusted)});
  };
  add_freshness("the root names no freshness key",
                with_root([](trust::Root& r) { r.freshness_keys.clear(); }));
  add_freshness("the newest root replaced the freshness key",
                with_root([](trust::Root& r) { r.freshness_keys = {key(8).public_key()}; }));
  return rows;
}

std::vector<Row> replay_rows() {
  std::vector<Row> rows;
  for (const Kind place : kKinds)
    for (const Kind of : kKinds) {
      if (of == place) continue;
      const std::string what = "a " + name_of(of) + " in the place of a " + name_of(place) + ", ";
      rows.push_back({what + "as it is", place, good(of).encode(), ErrorCode::kEnvelope,
                      envelope_check(place)});
      trust::Envelope renamed = good(of);
      renamed.payload_type = type_of(place);
      // A root is decoded before its signers are known.
      const bool read_first = place == Kind::kRoot;
      rows.push_back({what + "renamed", place, renamed.encode(),
                      read_first ? ErrorCode::kStatement : ErrorCode::kSignature,
                      read_first ? statement_check(place) : signature_check(place)});
      rows.push_back({what + "renamed and signed", place, signed_payload(place, payload_of(of)),
                      ErrorCode::kStatement, statement_check(place)});
    }
  const auto add = [&](std::string what, Kind kind, Bytes envelope, std::string_view check) {
    rows.push_back({std::move(what), kind, std::move(envelope), ErrorCode::kWrongTarget, check});
  };
  for (const char* domain : {"other.internal", "core-platform.internal.example", "core-platform"}) {
    add(std::string("root of ") + domain, Kind::kRoot,
        changed_root([&](trust::Root& r) { r.trust_domain = domain; }), "root.domain");
    add(std::string("release of ") + domain, Kind::kRelease,
        changed_release([&](trust::Release& r) { r.trust_domain = domain; }), "release.target");
    add(std::string("freshness of ") + domain, Kind::kFreshness,
        changed_freshness([&](trust::Freshness& f) {
          f.trust_domain = domain;
          f.audience = std::string("spiffe://") + domain + "/node/edge-1";
        }),
        "freshness.domain");
  }
  for (const uint64_t zone : {limits::kZoneMin, limits::kZoneMax, kLedger.zone + 1})
    add("release of zone " + std::to_string(zone), Kind::kRelease,
        changed_release([&](trust::Release& r) { r.ledger.zone = zone; }), "release.target");
  for (const char* ledger : {"orders", "payment", "payments2", "payments.old"})
    add(std::string("release of ledger ") + ledger, Kind::kRelease,
        changed_release([&](trust::Release& r) { r.ledger.name = ledger; }), "release.target");
  for (const char* reader : {"node/edge-2", "node/edge-10", "node/Edge-1", "registry/edge-1",
                             "admin/edge-1", "node/edge-1/x"})
    add(std::string("freshness for ") + reader, Kind::kFreshness,
        changed_freshness([&](trust::Freshness& f) {
          f.audience = std::string("spiffe://core-platform.internal/") + reader;
        }),
        "freshness.audience");
  for (const char* no_path : {"node/edge-1/", "node//edge-1", "node/../edge-1"})
    rows.push_back({std::string("freshness for ") + no_path, Kind::kFreshness,
                    changed_freshness([&](trust::Freshness& f) {
                      f.audience = std::string("spiffe://core-platform.internal/") + no_path;
                    }),
                    ErrorCode::kStatement, "freshness.statement", holder()});
  trust::Trusted nobody = holder();
  nobody.audience.clear();
  rows.push_back({"freshness at a holder without an identity", Kind::kFreshness,
                  good(Kind::kFreshness).encode(), ErrorCode::kWrongTarget, "freshness.audience",
                  nobody});
  return rows;
}

std::vector<Row> order_rows() {
  std::vector<Row> rows;
  const auto root = [&](std::string what, const ChangeRoot& change, ErrorCode code,
                        std::string_view check) {
    rows.push_back({"root: " + std::move(what), Kind::kRoot, changed_root(change), code, check});
  };
  for (const uint64_t version : {1, 2, 3})
    root(
        "version " + std::to_string(version), [&](trust::Root& r) { r.version = version; },
        ErrorCode::kRollback, "root.version");
  for (const uint64_t version : {uint64_t{5}, uint64_t{6}, limits::kVersionMax})
    root(
        "version " + std::to_string(version), [&](trust::Root& r) { r.version = version; },
        ErrorCode::kRootInvalid, "root.version");
  root("epoch 1 after 2", [](trust::Root& r) { r.epoch = 1; }, ErrorCode::kRollback, "root.epoch");
  root("epoch 0 after 2", [](trust::Root& r) { r.epoch = 0; }, ErrorCode::kRollback, "root.epoch");

  const auto freshness = [&](std::string what, const ChangeFreshness& change, ErrorCode code,
                             std::string_view check) {
    rows.push_back({"freshness: " + std::move(what), Kind::kFreshness, changed_freshness(change),
                    code, check});
  };
  for (const uint64_t sequence : {1, 99, 100})
    freshness(
        "sequence " + std::to_string(sequence), [&](trust::Freshness& f) { f.sequence = sequence; },
        ErrorCode::kReplay, "freshness.sequence");
  for (const uint64_t version : {uint64_t{4}, limits::kVersionMax})
    freshness(
        "root version " + std::to_string(version),
        [&](trust::Freshness& f) { f.root_version = version; }, ErrorCode::kRootInvalid,
        "freshness.root");
  freshness(
      "no head", [](trust::Freshness& f) { f.heads.clear(); }, ErrorCode::kVanished,
      "freshness.complete");
  freshness(
      "the head of another ledger only",
      [](trust::Freshness& f) { f.heads[0].ledger.name = "orders"; }, ErrorCode::kVanished,
      "freshness.complete");
  const auto head = [&](std::string what, const std::function<void(trust::FreshHead&)>& change,
                        ErrorCode code, std::string_view check) {
    freshness(std::move(what), [&](trust::Freshness& f) { change(f.heads[0]); }, code, check);
  };
  head(
      "a head below the floor", [](trust::FreshHead& h) { h.version = 4; }, ErrorCode::kRollback,
      "freshness.floor");
  head(
      "a head of an older epoch",
      [](trust::FreshHead& h) {
        h.epoch = 1;
        h.version = limits::kVersionMax;
      },
      ErrorCode::kRollback, "freshness.floor");
  head(
      "a ledger that has no release any more",
      [](trust::FreshHead& h) { h = {kLedger, 0, 0, {}, {}}; }, ErrorCode::kRollback,
      "freshness.floor");
  head(
      "a twin of the floor",
      [](trust::FreshHead& h) {
        h.version = 5;
        h.release_hash = sha256("twin");
      },
      ErrorCode::kEquivocation, "freshness.floor");
  head(
      "the floor, below what was listed", [](trust::FreshHead& h) { h = head_of(held_release()); },
      ErrorCode::kRollback, "freshness.listed");
  head(
      "a twin of the listed head", [](trust::FreshHead& h) { h.release_hash = sha256("twin"); },
      ErrorCode::kEquivocation, "freshness.listed");

  const auto release = [&](std::string what, const ChangeRelease& change, ErrorCode code,
                           std::string_view check) {
    rows.push_back(
        {"release: " + std::move(what), Kind::kRelease, changed_release(change), code, check});
  };
  for (const uint64_t version : {1, 2, 4})
    release(
        "version " + std::to_string(version) + ", below the floor",
        [&](trust::Release& r) {
          r.version = version;
          if (version == 1) r.previous_hash = {};
        },
        ErrorCode::kRollback, "release.floor");
  release(
      "the highest version of an older epoch",
      [](trust::Release& r) {
        r.epoch = 1;
        r.version = limits::kVersionMax;
      },
      ErrorCode::kRollback, "release.floor");
  release(
      "an epoch that the root has not reached", [](trust::Release& r) { r.epoch = 3; },
      ErrorCode::kWrongTarget, "release.epoch");
  release(
      "the highest epoch", [](trust::Release& r) { r.epoch = limits::kVersionMax; },
      ErrorCode::kWrongTarget, "release.epoch");
  release(
      "a twin of the floor", [](trust::Release& r) { r.version = 5; }, ErrorCode::kEquivocation,
      "release.floor");
  release(
      "a twin of the listed head", [](trust::Release& r) { r.content_root = sha256("other"); },
      ErrorCode::kEquivocation, "release.listed");
  release(
      "the listed one, with other terms", [](trust::Release& r) { r.hard_s *= 2; },
      ErrorCode::kEquivocation, "release.listed");
  release(
      "the listed one, of another time", [](trust::Release& r) { r.issued_ms += 1; },
      ErrorCode::kEquivocation, "release.listed");
  trust::Trusted unlisted = holder();
  unlisted.ledgers[kLedger].listed = {};
  rows.push_back({"release: follows another release 5", Kind::kRelease,
                  changed_release([](trust::Release& r) { r.previous_hash = sha256("fork"); }),
                  ErrorCode::kEquivocation, "release.previous", unlisted});
  return rows;
}

std::vector<Row> time_rows() {
  std::vector<Row> rows;
  const auto add = [&](std::string what, Kind kind, Bytes envelope, TimeMs now_ms, ErrorCode code,
                       std::string_view check, trust::Trusted trusted = holder()) {
    rows.push_back(
        {std::move(what), kind, std::move(envelope), code, check, std::move(trusted), now_ms});
  };
  const Bytes release = changed_release([](trust::Release& r) { r.expires_ms = kNow; });
  const Bytes freshness = changed_freshness([](trust::Freshness& f) { f.expires_ms = kNow; });
  trust::Trusted old_root = holder();
  trust::Root expired = *old_root.root;
  expired.expires_ms = kNow;
  old_root.root = std::make_shared<const trust::Root>(expired);
  for (const auto& [late_ms, how] : {std::pair<TimeMs, const char*>{0, "at its expiry"},
                                     {1, "a millisecond late"},
                                     {1000, "a second late"},
                                     {kTenYears, "ten years late"}}) {
    // The listed head differs; the expiry is checked before.
    add(std::string("release: ") + how, Kind::kRelease, release, kNow + late_ms,
        ErrorCode::kExpired, "release.expiry");
    add(std::string("freshness: ") + how, Kind::kFreshness, freshness, kNow + late_ms,
        ErrorCode::kExpired, "freshness.expiry");
    add(std::string("release under a root ") + how, Kind::kRelease, good(Kind::kRelease).encode(),
        kNow + late_ms, ErrorCode::kExpired, "root.expiry", old_root);
    add(std::string("freshness under a root ") + how, Kind::kFreshness,
        good(Kind::kFreshness).encode(), kNow + late_ms, ErrorCode::kExpired, "root.expiry",
        old_root);
  }
  const TimeMs issued_ms = good_freshness().issued_ms;
  for (const auto& [now_ms, how] :
       {std::pair<TimeMs, const char*>{issued_ms - limits::kClockSkewMs - 1, "a millisecond"},
        {issued_ms - limits::kClockSkewMs - 1000, "a second"},
        {kNow - kTenYears, "ten years"},
        {0, "since 1970"}})
    add(std::string("freshness: from the future by the skew and ") + how, Kind::kFreshness,
        good(Kind::kFreshness).encode(), now_ms, ErrorCode::kClock, "freshness.issued");
  add("freshness: good for years, by a thief", Kind::kFreshness,
      changed_freshness([](trust::Freshness& f) { f.expires_ms = f.issued_ms + kTenYears; }), kNow,
      ErrorCode::kStatement, "freshness.statement");
  add("freshness: issued in ten years, by a thief", Kind::kFreshness,
      changed_freshness([](trust::Freshness& f) {
        f.issued_ms += kTenYears;
        f.expires_ms += kTenYears;
      }),
      kNow, ErrorCode::kClock, "freshness.issued");
  return rows;
}

std::vector<Row> form_rows() {
  std::vector<Row> rows;
  for (const Kind kind : kKinds) {
    const Bytes bytes = good(kind).encode();
    const auto envelope = [&](std::string what, Bytes changed) {
      rows.push_back({name_of(kind) + " envelope: " + std::move(what), kind, std::move(changed),
                      ErrorCode::kEnvelope, envelope_check(kind)});
    };
    const auto with = [&](auto change) {
      trust::Envelope changed = good(kind);
      change(changed);
      return changed.encode();
    };
    envelope("no bytes", "");
    envelope("one zero byte", Bytes(1, '\0'));
    envelope("bytes behind it", bytes + '\0');
    envelope("itself behind it", bytes + bytes);
    envelope("an end of a group behind it", bytes + '\x0c');
    envelope("an unknown field", bytes + field(15, 0, "\x01"));
    envelope("an unknown field of the next version", bytes + field(4, 2, "x"));
    envelope("another payload in front", field(1, 2, "x") + bytes);
    envelope("another type behind", bytes + field(2, 2, "x"));
    envelope("a length in more bytes than needed",
             field(1, 2, "x").insert(1, "\x81").replace(2, 1, 1, '\0') + bytes);
    envelope("11 bytes of a varint", bytes + "\x20" + Bytes(10, '\xff') + "\x01");
    envelope("2,000 groups deep", bytes + Bytes(2000, '\x4b') + Bytes(2000, '\x4c'));
    envelope("over the limit", bytes + field(15, 2, Bytes(limits::kEnvelopeBytesMax, 'x')));
    envelope("no payload", with([](trust::Envelope& e) { e.payload.clear(); }));
    envelope("no type", with([](trust::Envelope& e) { e.payload_type.clear(); }));
    envelope("a type in upper case", with([](trust::Envelope& e) { e.payload_type[0] = 'A'; }));
    envelope("a type with a NUL", with([](trust::Envelope& e) { e.payload_type += '\0'; }));
    envelope("a type with a parameter", with([](trust::Envelope& e) { e.payload_type += ";v=2"; }));
    envelope("a type of the next version",
             with([](trust::Envelope& e) { e.payload_type.back() = '3'; }));
    envelope("a type of an earlier version", with([](trust::Envelope& e) {
               e.payload_type.back() = e.payload_type.back() == '2' ? '1' : '0';
             }));
    envelope("17 signatures", with([](trust::Envelope& e) {
               e.signatures.resize(limits::kSignaturesMax + 1, e.signatures[0]);
             }));
    for (const size_t length : {size_t{0}, size_t{1}, size_t{63}, size_t{65}, size_t{128}})
      envelope("a signature of " + std::to_string(length) + " bytes",
               with([&](trust::Envelope& e) { e.signatures[0].signature.resize(length); }));
    envelope("a key id over the limit",
             with([](trust::Envelope& e) { e.signatures[0].keyid = Bytes(129, 'k'); }));
    envelope("a key id that is not UTF-8",
             with([](trust::Envelope& e) { e.signatures[0].keyid = "\xff\xfe"; }));

    const Bytes payload = payload_of(kind);
    const auto statement = [&](std::string what, Bytes changed) {
      rows.push_back({name_of(kind) + " statement: " + std::move(what), kind,
                      signed_payload(kind, std::move(changed)), ErrorCode::kStatement,
                      statement_check(kind)});
    };
    statement("one zero byte", Bytes(1, '\0'));
    statement("no message", "hello");
    statement("cut by a byte", payload.substr(0, payload.size() - 1));
    statement("bytes behind it", payload + '\0');
    statement("an unknown field", payload + field(99, 0, "\x01"));
    statement("itself twice", payload + payload);
    statement("its first field twice", payload.substr(0, 2 + samples::kDomain.size()) + payload);
    statement("a field out of order", payload + field(1, 2, samples::kDomain));
    statement("a length in more bytes than needed", longer_length(payload));
    statement("a domain that is not UTF-8", field(1, 2, "\xc0\x80") + payload);
    statement("a domain of the wrong wire type", field(1, 0, "\x01") + payload);
    statement("an envelope in it", good(kind).encode());
  }
  const auto root = [&](std::string what, const ChangeRoot& change) {
    rows.push_back({"root statement: " + std::move(what), Kind::kRoot, changed_root(change),
                    ErrorCode::kStatement, "root.statement"});
  };
  root("version 0", [](trust::Root& r) { r.version = 0; });
  root("version 2^64-1", [](trust::Root& r) { r.version = UINT64_MAX; });
  root("epoch 2^64-1", [](trust::Root& r) { r.epoch = UINT64_MAX; });
  root("no domain", [](trust::Root& r) { r.trust_domain.clear(); });
  root("no keys", [](trust::Root& r) { r.root_keys.clear(); });
  root("threshold 0", [](trust::Root& r) { r.root_threshold = 0; });
  root("threshold 2^32-1", [](trust::Root& r) { r.root_threshold = UINT32_MAX; });
  root("a key twice", [](trust::Root& r) { r.root_keys = public_keys({1, 11, 1}); });
  root("a delegation without a threshold", [](trust::Root& r) { r.delegations[0].threshold = 0; });
  root("a delegation with a key twice",
       [](trust::Root& r) { r.delegations[0].keys = public_keys({2, 3, 2}); });
  root("a freshness key that is a root key",
       [](trust::Root& r) { r.freshness_keys = {key(11).public_key()}; });
  root("a freshness key that may publish",
       [](trust::Root& r) { r.freshness_keys = {key(5).public_key()}; });
  root("expired before it was issued", [](trust::Root& r) { r.expires_ms = r.issued_ms - 1; });
  rows.push_back({"root statement: a pattern twice", Kind::kRoot,
                  changed_root([](trust::Root& r) { r.delegations.push_back(r.delegations[0]); }),
                  ErrorCode::kRootInvalid, "root.patterns"});

  const auto freshness = [&](std::string what, const ChangeFreshness& change) {
    rows.push_back({"freshness statement: " + std::move(what), Kind::kFreshness,
                    changed_freshness(change), ErrorCode::kStatement, "freshness.statement"});
  };
  freshness("sequence 0", [](trust::Freshness& f) { f.sequence = 0; });
  freshness("sequence 2^64-1", [](trust::Freshness& f) { f.sequence = UINT64_MAX; });
  freshness("root version 2^64-1", [](trust::Freshness& f) { f.root_version = UINT64_MAX; });
  freshness("no audience", [](trust::Freshness& f) { f.audience.clear(); });
  freshness("no expiry", [](trust::Freshness& f) { f.expires_ms = 0; });
  freshness("issued in 1969", [](trust::Freshness& f) { f.issued_ms = -1; });
  freshness("expires at the end of time", [](trust::Freshness& f) { f.expires_ms = INT64_MAX; });
  freshness("a ledger twice", [](trust::Freshness& f) { f.heads.push_back(f.heads[0]); });
  freshness("a version without a release",
            [](trust::Freshness& f) { f.heads[0].release_hash = {}; });
  freshness("version 2^64-1", [](trust::Freshness& f) { f.heads[0].version = UINT64_MAX; });
  freshness("epoch 2^64-1", [](trust::Freshness& f) { f.heads[0].epoch = UINT64_MAX; });
  freshness("withdrawn twice",
            [](trust::Freshness& f) { f.heads[0].withdrawn = {sha256("a"), sha256("a")}; });

  const auto release = [&](std::string what, const ChangeRelease& change) {
    rows.push_back({"release statement: " + std::move(what), Kind::kRelease,
                    changed_release(change), ErrorCode::kStatement, "release.statement"});
  };
  release("version 0", [](trust::Release& r) { r.version = 0; });
  release("version 2^64-1", [](trust::Release& r) { r.version = UINT64_MAX; });
  release("epoch 2^64-1", [](trust::Release& r) { r.epoch = UINT64_MAX; });
  release("no previous", [](trust::Release& r) { r.previous_hash = {}; });
  release("no content root", [](trust::Release& r) { r.content_root = {}; });
  release("2^64-1 bytes", [](trust::Release& r) { r.total_bytes = UINT64_MAX; });
  release("2^64-1 files", [](trust::Release& r) { r.file_count = UINT64_MAX; });
  release("a zone of eleven digits",
          [](trust::Release& r) { r.ledger.zone = limits::kZoneMin - 1; });
  release("a ledger that climbs", [](trust::Release& r) { r.ledger.name = "../payments"; });
  release("a ledger in upper case", [](trust::Release& r) { r.ledger.name = "Payments"; });
  release("hard_s 2^64-1", [](trust::Release& r) { r.hard_s = UINT64_MAX; });
  release("hard_s below fresh_s", [](trust::Release& r) { r.hard_s = r.fresh_s - 1; });
  release("on_hard of the next version", [](trust::Release& r) { r.on_hard = trust::OnHard{3}; });
  return rows;
}

}  // namespace notp::hostile
