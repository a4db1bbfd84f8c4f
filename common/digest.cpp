#include "common/digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "common/assert.hpp"

namespace notp {

Result<Hash> Hash::from_bytes(ByteView view) {
  if (view.size() != kSize)
    return fail(ErrorCode::kMessage, fmt::format("a hash has 32 bytes, this has {}", view.size()));
  Hash hash;
  std::memcpy(hash.bytes.data(), view.data(), kSize);
  return hash;
}

Result<Hash> Hash::from_hex(std::string_view text) {
  NOTP_ASSIGN(const Bytes bytes, notp::from_hex(text));
  return from_bytes(bytes);
}

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }

  // Making a context costs more than hashing a small file: each thread keeps the last one.
  static std::unique_ptr<Context>& spare() {
    thread_local std::unique_ptr<Context> kept;
    return kept;
  }
};

Sha256::Sha256() : context_(std::move(Context::spare())) {
  if (!context_) context_ = std::make_unique<Context>();
  // Fetching the algorithm by name on every use costs more than hashing a small file.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  NOTP_ASSERT(
      context_->evp && algorithm && EVP_DigestInit_ex(context_->evp, algorithm, nullptr) == 1,
      "OpenSSL offers no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView bytes) {
  NOTP_ASSERT(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1, "SHA-256 failed");
  return *this;
}

Hash Sha256::finish() {
  Hash hash;
  NOTP_ASSERT(EVP_DigestFinal_ex(context_->evp, hash.bytes.data(), nullptr) == 1, "SHA-256 failed");
  Context::spare() = std::move(context_);
  return hash;
}

Hash sha256(ByteView bytes) { return Sha256().update(bytes).finish(); }

}  // namespace notp
