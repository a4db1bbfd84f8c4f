// Ed25519 (RFC 8032 §5.1) keys, signing and verification, through OpenSSL.
#pragma once

#include <array>
#include <compare>
#include <memory>
#include <string>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"

namespace notp {

inline constexpr size_t kPublicKeyBytes = 32;
inline constexpr size_t kSignatureBytes = 64;

struct PublicKey {
  std::array<uint8_t, kPublicKeyBytes> bytes{};

  static Result<PublicKey> from_bytes(ByteView view);
  // SubjectPublicKeyInfo PEM (RFC 8410).
  static Result<PublicKey> from_pem(std::string_view pem);
  std::string to_pem() const;
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // A hint in envelopes and the name in lists: the first 16 hexadecimal digits of SHA-256(key).
  std::string keyid() const { return sha256(view()).hex().substr(0, 16); }
  auto operator<=>(const PublicKey&) const = default;
};

// True only for a valid signature under a usable key: OpenSSL refuses S >= L (malleability); this
// refuses keys of small order, under which one signature fits many messages.
bool verify_signature(const PublicKey& key, ByteView message, ByteView signature);

// A private key. Move-only; the memory is cleansed by OpenSSL. Signing is thread-safe.
class PrivateKey {
 public:
  static PrivateKey generate();
  // Reads PKCS #8 PEM without a passphrase (RFC 8410). kConfig with the fault.
  static Result<PrivateKey> from_pem(std::string_view pem);
  // From the 32-byte seed of RFC 8032; for tests and simulations.
  static PrivateKey from_seed(const std::array<uint8_t, 32>& seed);
  ~PrivateKey();
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;

  std::string to_pem() const;
  PublicKey public_key() const;
  Bytes sign(ByteView message) const;  // 64 bytes, deterministic

 private:
  struct Handle;
  explicit PrivateKey(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace notp
