#include "common/crypto/signature.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstring>

#include "common/assert.hpp"
#include "common/c_ptr.hpp"
#include "common/crypto/small_order.hpp"

namespace notp {
namespace {

using Pkey = CPointer<EVP_PKEY, EVP_PKEY_free>;
using MdContext = CPointer<EVP_MD_CTX, EVP_MD_CTX_free>;
using Bio = CPointer<BIO, BIO_free>;

Bio bio_of(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

PublicKey public_key_of(const EVP_PKEY* key) {
  PublicKey out;
  size_t size = out.bytes.size();
  NOTP_ASSERT(EVP_PKEY_get_raw_public_key(key, out.bytes.data(), &size) == 1 && size == 32,
              "an Ed25519 key without its public half");
  return out;
}

}  // namespace

Result<PublicKey> PublicKey::from_bytes(ByteView view) {
  if (view.size() != kPublicKeyBytes)
    return fail(ErrorCode::kMessage,
                fmt::format("an Ed25519 public key has 32 bytes, this has {}", view.size()));
  PublicKey key;
  std::memcpy(key.bytes.data(), view.data(), kPublicKeyBytes);
  return key;
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  const Bio bio = bio_of(pem);
  const Pkey key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519)
    return fail(ErrorCode::kConfig,
                "not the PEM of an Ed25519 public key; make one with `notp keygen`");
  return public_key_of(key.get());
}

std::string PublicKey::to_pem() const {
  const Pkey key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
  const Bio bio(BIO_new(BIO_s_mem()));
  NOTP_ASSERT(key && PEM_write_bio_PUBKEY(bio.get(), key.get()) == 1, "cannot encode a public key");
  return text_of(bio.get());
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
  if (signature.size() != kSignatureBytes || has_small_order_25519(key.view())) return false;
  const Pkey pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()));
  const MdContext context(EVP_MD_CTX_new());
  if (!pkey || !context) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()),
                          signature.size(), reinterpret_cast<const uint8_t*>(message.data()),
                          message.size()) == 1;
}

struct PrivateKey::Handle {
  Pkey key;
};

PrivateKey::PrivateKey(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
PrivateKey::~PrivateKey() = default;
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;

PrivateKey PrivateKey::generate() {
  Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  NOTP_ASSERT(key, "OpenSSL cannot generate an Ed25519 key");
  return PrivateKey(std::make_unique<Handle>(std::move(key)));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const Bio bio = bio_of(pem);
  // An empty passphrase keeps OpenSSL from prompting on the terminal.
  Pkey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519)
    return fail(ErrorCode::kConfig,
                "not the PEM of an unencrypted Ed25519 private key; make one with `notp keygen`");
  return PrivateKey(std::make_unique<Handle>(std::move(key)));
}

PrivateKey PrivateKey::from_seed(const std::array<uint8_t, 32>& seed) {
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  NOTP_ASSERT(key, "OpenSSL refuses an Ed25519 seed");
  return PrivateKey(std::make_unique<Handle>(std::move(key)));
}

std::string PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  NOTP_ASSERT(PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0,
                                            nullptr, nullptr) == 1,
              "cannot encode a private key");
  return text_of(bio.get());
}

PublicKey PrivateKey::public_key() const { return public_key_of(handle_->key.get()); }

Bytes PrivateKey::sign(ByteView message) const {
  const MdContext context(EVP_MD_CTX_new());
  Bytes signature(kSignatureBytes, '\0');
  size_t size = signature.size();
  NOTP_ASSERT(
      context &&
          EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, handle_->key.get()) == 1 &&
          EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size,
                         reinterpret_cast<const uint8_t*>(message.data()), message.size()) == 1,
      "Ed25519 signing failed");
  return signature;
}

}  // namespace notp
