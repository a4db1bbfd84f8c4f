// Verifies the signed statements of protocol/README.md with the stock `openssl` program:
// verification needs nothing of this project.
#include <doctest/doctest.h>

#include <algorithm>

#include "common/storage/files.hpp"
#include "protocol/trust/statements.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/specification_document.hpp"

namespace {

using namespace notp;

Bytes example(const std::string& name) {
  static const auto examples = samples::specification::written_examples();
  const auto found = examples.find(name);
  REQUIRE_MESSAGE(found != examples.end(), name);
  return found->second;
}

// SubjectPublicKeyInfo of Ed25519 (RFC 8410 §4) in DER: a constant head and the key.
Bytes subject_public_key_info(const PublicKey& key) {
  return *from_hex("302a300506032b6570032100") + Bytes(key.view());
}

// DSSE 1.0.2, implemented by hand.
Bytes signed_bytes(std::string_view type, ByteView payload) {
  Bytes out = "DSSEv1 ";
  out += std::to_string(type.size()) + " " + Bytes(type) + " ";
  return out + std::to_string(payload.size()) + " " + Bytes(payload);
}

bool openssl_verifies(const PublicKey& key, ByteView message, ByteView signature) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  REQUIRE(write_file(path("key.der"), subject_public_key_info(key)));
  REQUIRE(write_file(path("message"), message));
  REQUIRE(write_file(path("signature"), signature));
  const CommandResult result =
      run_command({"openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
                   path("key.der"), "-in", path("message"), "-sigfile", path("signature")});
  CAPTURE(result.output);
  const bool verified = result.output.find("Signature Verified Successfully") != Bytes::npos;
  REQUIRE(verified == (result.status == 0));
  REQUIRE((verified || result.output.find("Signature Verification Failure") != Bytes::npos));
  return verified;
}

// Each signature in the example's envelope is by the key at the same index.
void check_example(const std::string& name, std::string_view type,
                   const std::vector<PublicKey>& keys) {
  CAPTURE(name);
  const auto envelope = trust::Envelope::decode(example(name + "-envelope"));
  REQUIRE(envelope);
  const Bytes payload = example(name + "-payload");
  CHECK(envelope->payload == payload);
  CHECK(envelope->payload_type == type);
  REQUIRE(envelope->signatures.size() == keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const Bytes& signature = envelope->signatures[i].signature;
    CHECK(openssl_verifies(keys[i], signed_bytes(type, payload), signature));
    Bytes changed = payload;
    changed.back() = static_cast<char>(changed.back() ^ 1);
    CHECK_FALSE(openssl_verifies(keys[i], signed_bytes(type, changed), signature));
    CHECK_FALSE(openssl_verifies(keys[i], signed_bytes("application/other", payload), signature));
  }
}

}  // namespace

TEST_CASE("stock openssl verifies a root, the next root, a release, freshness and an assignment") {
  const auto root = trust::Root::decode(example("root-payload"));
  const auto next = trust::Root::decode(example("next-root-payload"));
  REQUIRE(root);
  REQUIRE(next);
  REQUIRE(next->freshness_keys.size() == 1);
  check_example("root", "application/vnd.notp.root.v2", root->root_keys);
  // Signed by the previous keys and by its own.
  std::vector<PublicKey> both = root->root_keys;
  for (const PublicKey& key : next->root_keys)
    if (std::ranges::find(both, key) == both.end()) both.push_back(key);
  check_example("next-root", "application/vnd.notp.root.v2", both);
  check_example("release", "application/vnd.notp.release.v2", root->delegations.at(0).keys);
  check_example("freshness", "application/vnd.notp.freshness.v1", next->freshness_keys);
  check_example("class-freshness", "application/vnd.notp.freshness.v2", next->freshness_keys);
  check_example("assignment", "application/vnd.notp.assignment.v1", next->freshness_keys);
}

TEST_CASE("stock openssl verifies what a key of this project signs") {
  const PrivateKey key = PrivateKey::generate();
  trust::Envelope envelope{"a payload", std::string(trust::kReleaseType), {}};
  trust::sign_envelope(envelope, key);
  CHECK(openssl_verifies(key.public_key(), signed_bytes(trust::kReleaseType, "a payload"),
                         envelope.signatures.at(0).signature));
}
