#include "tests/sim/signature_memo.hpp"

#include <unordered_map>

namespace notp {

// The library's own verify_signature(), which CMakeLists.txt compiles under this name.
bool verify_signature_afresh(const PublicKey& key, ByteView message, ByteView signature);

namespace {

using Answers = std::unordered_map<Hash, bool, HashOfHash>;

Answers& answers() {
  thread_local Answers of_this_thread;
  if (of_this_thread.size() == sim::kRememberedSignaturesMax) of_this_thread.clear();
  return of_this_thread;
}

// Key and signature have one length each, so that no two questions have the same bytes.
Hash question(const PublicKey& key, ByteView message, ByteView signature) {
  return Sha256().update(key.view()).update(signature).update(message).finish();
}

}  // namespace

void sim::forget_signatures() { answers().clear(); }

void sim::remember_signature(const PublicKey& key, ByteView message, ByteView signature) {
  answers().emplace(question(key, message, signature), true);
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
  if (signature.size() != kSignatureBytes) return false;
  const Hash asked = question(key, message, signature);
  Answers& known = answers();
  if (const auto found = known.find(asked); found != known.end()) return found->second;
  return known.emplace(asked, verify_signature_afresh(key, message, signature)).first->second;
}

}  // namespace notp
