#include "tests/sim/world_signatures.hpp"

#include <unordered_set>

namespace notp {

// The library's own verify_signature(), compiled under this name by CMakeLists.txt.
bool verify_signature_by_libcrypto(const PublicKey& key, ByteView message, ByteView signature);

namespace {

struct OfThisThread {
  sim::Signatures how = sim::Signatures::kEd25519;
  std::unordered_set<Hash, HashOfHash> known;
};

OfThisThread& of_this_thread() {
  thread_local OfThisThread state;
  return state;
}

// Key and signature have fixed lengths, so that two signatures never have the same bytes.
Hash identity(const PublicKey& key, ByteView message, ByteView signature) {
  return Sha256().update(key.view()).update(signature).update(message).finish();
}

void remember(const PublicKey& key, ByteView message, ByteView signature) {
  of_this_thread().known.insert(identity(key, message, signature));
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

void sim::sign(Envelope& envelope, const PrivateKey& key) {
  sign_envelope(envelope, key);
  remember(key.public_key(), pre_authentication_encoding(envelope.payload_type, envelope.payload),
           envelope.signatures.back().signature);
}

Bytes sim::sign_statement(const PrivateKey& key, ByteView message) {
  if (of_this_thread().how == Signatures::kEd25519) return key.sign(message);
  const PublicKey public_key = key.public_key();
  Bytes signature = digest_of(public_key, message);
  remember(public_key, message, signature);
  return signature;
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
  if (of_this_thread().how == sim::Signatures::kEd25519)
    return verify_signature_by_libcrypto(key, message, signature);
  return signature.size() == kSignatureBytes &&
         of_this_thread().known.contains(identity(key, message, signature));
}

}  // namespace notp
