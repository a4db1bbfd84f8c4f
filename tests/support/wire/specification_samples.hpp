// The setting of the examples in protocol/README.md: one ledger with two releases, and its signers.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "protocol/session/freshness_update.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::samples::specification {

inline constexpr std::string_view kDomain = "core-platform.internal";
inline constexpr TimeMs kIssuedMs = 1'782'864'000'000;  // 2026-07-01T00:00:00Z
inline const model::LedgerId kLedger{273165098782, "payments"};
inline constexpr std::string_view kNode = "spiffe://core-platform.internal/node/edge-17";

inline const samples::Texts kTexts1 = {
    {"manifest.json",
     R"({"metadata": {"name": "payments"},
 "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
 "partitions": {"/": {"runtime": "rego"}},
 "roots": ["authz"]}
)"},
    {"authz/allow.rego", "package authz\n\nallow if input.user in data.authz.users\n"},
    {"authz/data.json", "{\"users\": [\"ada\", \"bob\"]}\n"}};

inline samples::Texts texts2() {
  samples::Texts texts = kTexts1;
  texts["authz/data.json"] = "{\"users\": [\"ada\", \"bob\", \"eve\"]}\n";
  texts["authz/admin.rego"] = "package authz\n\nadmin if input.user == \"ada\"\n";
  return texts;
}

inline std::array<uint8_t, 32> seed(uint8_t fill) {
  std::array<uint8_t, 32> out{};
  out.fill(fill);
  return out;
}
inline PrivateKey root_key() { return PrivateKey::from_seed(seed(0x01)); }
inline PrivateKey publisher_key() { return PrivateKey::from_seed(seed(0x02)); }
inline PrivateKey next_root_key() { return PrivateKey::from_seed(seed(0x03)); }
inline PrivateKey freshness_key() { return PrivateKey::from_seed(seed(0x04)); }

inline trust::Root make_root() {
  trust::Root root;
  root.trust_domain = kDomain;
  root.version = 1;
  root.epoch = 1;
  root.issued_ms = kIssuedMs - 86'400'000;
  root.root_keys = {root_key().public_key()};
  root.delegations = {{"273165098782/*", {publisher_key().public_key()}, 1}};
  return root;
}

// Another root key, and a freshness key for the registry.
inline trust::Root make_root2() {
  trust::Root root = make_root();
  root.version = 2;
  root.issued_ms = kIssuedMs + 1'800'000;
  root.root_keys = {next_root_key().public_key()};
  root.freshness_keys = {freshness_key().public_key()};
  return root;
}

inline trust::Release make_release(uint64_t version, const Hash& previous,
                                   const model::Tree& tree) {
  trust::Release out;
  out.trust_domain = kDomain;
  out.ledger = kLedger;
  out.epoch = 1;
  out.version = version;
  out.previous_hash = previous;
  out.content_root = tree.content_root();
  out.total_bytes = tree.total_bytes();
  out.file_count = tree.files().size();
  out.data_roots = {"authz"};
  out.issued_ms = kIssuedMs + static_cast<TimeMs>(version - 1) * 3'600'000;
  out.fresh_s = 300;
  out.hard_s = 86'400;
  return out;
}

// Release 2 is the head, and release 1 is withdrawn.
inline trust::Freshness make_freshness(TimeMs issued_ms, const Hash& head, const Hash& withdrawn) {
  trust::Freshness out;
  out.trust_domain = kDomain;
  out.audience = kNode;
  out.sequence = static_cast<uint64_t>(issued_ms);
  out.root_version = 2;
  out.issued_ms = issued_ms;
  out.expires_ms = issued_ms + 900'000;
  out.heads = {{kLedger, 1, 2, head, {withdrawn}}};
  return out;
}

// The same heads for the class of kNode.
inline trust::Freshness make_class_freshness(trust::Freshness out) {
  out.audience.clear();
  out.class_id.emplace().bytes.fill(0x09);
  return out;
}

inline trust::Assignment make_assignment(const trust::Freshness& of_class) {
  return {std::string(kDomain),
          std::string(kNode),
          *of_class.class_id,
          of_class.sequence,
          of_class.root_version,
          of_class.issued_ms,
          of_class.issued_ms + limits::kAssignmentLifetimeMs};
}

template <typename Statement>
Bytes signed_envelope(const Statement& statement, const PrivateKey& key) {
  trust::Envelope envelope = trust::envelope_of(statement);
  trust::sign_envelope(envelope, key);
  return envelope.encode();
}

inline Bytes make_root2_envelope(const trust::Root& root) {
  trust::Envelope envelope = trust::envelope_of(root);
  trust::sign_envelope(envelope, root_key());
  trust::sign_envelope(envelope, next_root_key());
  return envelope.encode();
}

// The wire format has no keyid: the root names one key.
inline Bytes signature_of(const trust::Freshness& statement) {
  return freshness_key().sign(
      trust::pre_authentication_encoding(statement.payload_type(), statement.encode()));
}
inline Bytes freshness_envelope_of(const trust::Freshness& statement) {
  trust::Envelope envelope = trust::envelope_of(statement);
  envelope.signatures = {{signature_of(statement), {}}};
  return envelope.encode();
}

struct World {
  model::ModelContent model1 = samples::model_of(kTexts1), model2 = samples::model_of(texts2());
  trust::Root root = make_root();
  trust::Release release1 = make_release(1, {}, *model1.tree);
  Hash hash1 = trust::release_hash(release1.encode());
  trust::Release release2 = make_release(2, hash1, *model2.tree);
  Hash hash2 = trust::release_hash(release2.encode());
  Bytes root_envelope = signed_envelope(root, root_key());
  Bytes envelope1 = signed_envelope(release1, publisher_key());
  Bytes envelope2 = signed_envelope(release2, publisher_key());
  delta::ReleaseContent side1 = samples::side_of(model1, envelope1);
  delta::ReleaseContent side2 = samples::side_of(model2, envelope2);
  Bytes artifact_full = *delta::encode_artifact(nullptr, side1);
  Bytes artifact_delta = *delta::encode_artifact(&side1, side2);
  wire::Base base1{1, release1.content_root};
  trust::Root root2 = make_root2();
  Bytes root2_envelope = make_root2_envelope(root2);
  trust::Freshness freshness1 = make_freshness(kIssuedMs + 3'660'000, hash2, hash1);
  trust::Freshness freshness2 = make_freshness(kIssuedMs + 3'690'000, hash2, hash1);
  Bytes freshness1_envelope = freshness_envelope_of(freshness1);
  Bytes freshness2_envelope = freshness_envelope_of(freshness2);
  trust::Freshness class_freshness1 = make_class_freshness(freshness1);
  trust::Freshness class_freshness2 = make_class_freshness(freshness2);
  Bytes class_freshness1_envelope = freshness_envelope_of(class_freshness1);
  trust::Assignment assignment = make_assignment(class_freshness1);
  Bytes assignment_envelope = signed_envelope(assignment, freshness_key());
};

inline const World& world() {
  static const World made;
  return made;
}

// An example without a sample of its own: "request-history-frame" holds a Request, and this build
// writes what it reads of it.
inline void check_frame(std::string name, ByteView bytes) {
  wire::FrameParser parser;
  parser.feed(bytes);
  const auto decoded = parser.next();
  REQUIRE_MESSAGE((decoded && *decoded), "the frame does not decode");
  CHECK_FALSE(parser.in_frame());
  CHECK(to_hex(wire::encode_frame(**decoded)) == to_hex(bytes));
  std::string type =
      std::visit([](const auto& each) { return std::string(each.kName); }, **decoded);
  std::erase(name, '-');
  std::ranges::transform(type, type.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  CHECK(name.starts_with(type));
}

}  // namespace notp::samples::specification
