#include "tests/sim/world_signatures.hpp"

#include <fmt/format.h>

#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/crypto/x509.hpp"
#include "protocol/record/checkpoint.hpp"

namespace notp {

// The library's own functions, compiled under these names by CMakeLists.txt.
bool verify_signature_by_libcrypto(const PublicKey& key, ByteView message, ByteView signature);
namespace x509 {
bool verify_message_by_libcrypto(EVP_PKEY* key, ByteView message, ByteView signature);
}
namespace record {
std::string sign_checkpoint_by_libcrypto(const Checkpoint& checkpoint, const PrivateKey& key);
Result<Bytes> cosign_by_libcrypto(std::string_view note, int64_t time_s, const PrivateKey& key);
}  // namespace record

namespace {

// A signature is as good as random bytes, so any of them tell signatures apart.
struct HashOfSignature {
  using is_transparent = void;
  size_t operator()(ByteView signature) const {
    size_t value;
    std::memcpy(&value, signature.data(), sizeof value);
    return value;
  }
};

struct Signed {
  PublicKey key;
  Bytes message;
};

struct OfThisThread {
  sim::Signatures how = sim::Signatures::kEd25519;
  // What each signature was made for: no two keys or messages have the same one.
  std::unordered_map<Bytes, Signed, HashOfSignature, std::equal_to<>> known;
};

OfThisThread& of_this_thread() {
  thread_local OfThisThread state;
  return state;
}

void remember(const PublicKey& key, Bytes message, ByteView signature) {
  of_this_thread().known.insert_or_assign(Bytes(signature), Signed{key, std::move(message)});
}

// As long as a signature, different for each key and message.
Bytes digest_of(const PublicKey& key, ByteView message) {
  const Hash first = Sha256().update(key.view()).update(message).finish();
  return Bytes(first.view()) + Bytes(sha256(first.view()).view());
}

}  // namespace

void sim::begin_signatures(Signatures how) {
  of_this_thread().how = how;
  of_this_thread().known.clear();
}

void sim::sign(trust::Envelope& envelope, const PrivateKey& key) {
  trust::sign_envelope(envelope, key);
  remember(key.public_key(),
           trust::pre_authentication_encoding(envelope.payload_type, envelope.payload),
           envelope.signatures.back().signature);
}

Bytes sim::sign_statement(const PrivateKey& key, const PublicKey& public_key, Bytes message) {
  if (of_this_thread().how == Signatures::kEd25519) return key.sign(message);
  Bytes signature = digest_of(public_key, message);
  remember(public_key, std::move(message), signature);
  return signature;
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
  const OfThisThread& state = of_this_thread();
  if (state.how == sim::Signatures::kEd25519)
    return verify_signature_by_libcrypto(key, message, signature);
  if (signature.size() != kSignatureBytes) return false;
  const auto made = state.known.find(signature);
  return made != state.known.end() && made->second.key == key && made->second.message == message;
}

// The certificates of nodes have Ed25519 keys (node_keys.hpp).
bool x509::verify_message(EVP_PKEY* key, ByteView message, ByteView signature) {
  if (of_this_thread().how == sim::Signatures::kEd25519)
    return verify_message_by_libcrypto(key, message, signature);
  PublicKey known;
  size_t size = known.bytes.size();
  return EVP_PKEY_is_a(key, "ED25519") == 1 &&
         EVP_PKEY_get_raw_public_key(key, known.bytes.data(), &size) == 1 &&
         verify_signature(known, message, signature);
}

// C2SP signed-note: the text, then the first bytes of the key's id and the signature.
std::string record::sign_checkpoint(const Checkpoint& checkpoint, const PrivateKey& key) {
  if (of_this_thread().how == sim::Signatures::kEd25519)
    return sign_checkpoint_by_libcrypto(checkpoint, key);
  const PublicKey public_key = key.public_key();
  const std::string text = fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size,
                                       to_base64(checkpoint.root.view()));
  const Hash id =
      Sha256().update(checkpoint.origin).update("\n\x01").update(public_key.view()).finish();
  return fmt::format(
      "{}\n— {} {}\n", text, checkpoint.origin,
      to_base64(Bytes(id.view().substr(0, 4)) + sim::sign_statement(key, public_key, text)));
}

// C2SP tlog-cosignature.
Result<Bytes> record::cosign(std::string_view note, int64_t time_s, const PrivateKey& key) {
  if (of_this_thread().how == sim::Signatures::kEd25519)
    return cosign_by_libcrypto(note, time_s, key);
  const std::string_view text = note.substr(0, note.find("\n\n") + 1);
  return sim::sign_statement(key, key.public_key(),
                             fmt::format("cosignature/v1\ntime {}\n{}", time_s, text));
}

}  // namespace notp
