#include "notp-client/lane/store/record_seal.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/c_ptr.hpp"
#include "common/storage/private_files.hpp"

namespace notp::lane {
namespace {

// Random nonces of 96 bits: 2^32 records by one key (SP 800-38D §8.3), which is more than a lane
// writes in a hundred years.
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kFileBytesMax = 256;

using Context = CPointer<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

const unsigned char* bytes_of(ByteView view) {
  return reinterpret_cast<const unsigned char*>(view.data());
}
unsigned char* bytes_of(Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

Result<RecordSeal> RecordSeal::read(const std::filesystem::path& file) {
  NOTP_ASSIGN(Bytes text, read_private_file(file, kFileBytesMax));
  if (text.size() != limits::kLaneKeyBytes) {
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    auto raw = from_hex(text);
    OPENSSL_cleanse(text.data(), text.size());
    if (!raw || raw->size() != limits::kLaneKeyBytes)
      return fail(ErrorCode::kConfig,
                  fmt::format("{} is not a key: it has to be 32 random bytes, or 64 hexadecimal "
                              "digits as of `openssl rand -hex 32`",
                              file.string()));
    text = *std::move(raw);
  }
  std::array<uint8_t, limits::kLaneKeyBytes> key;
  std::ranges::copy(text, key.begin());
  OPENSSL_cleanse(text.data(), text.size());
  RecordSeal out(key);
  OPENSSL_cleanse(key.data(), key.size());
  return out;
}

RecordSeal::~RecordSeal() { OPENSSL_cleanse(key_.data(), key_.size()); }

Bytes RecordSeal::seal(ByteView plain, ByteView context) const {
  Bytes out(kNonceBytes + plain.size() + kTagBytes, '\0');
  NOTP_ASSERT(RAND_bytes(bytes_of(out), kNonceBytes) == 1, "no random numbers");
  const Context cipher(EVP_CIPHER_CTX_new());
  unsigned char* const text = bytes_of(out) + kNonceBytes;
  int written = 0, rest = 0, ignored = 0;
  const bool is_sealed =
      cipher &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes_of(out)) ==
          1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &ignored, bytes_of(context),
                        static_cast<int>(context.size())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), text, &written, bytes_of(plain),
                        static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), text + written, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, text + plain.size()) == 1;
  NOTP_ASSERT(is_sealed, "AES-256-GCM failed");
  return out;
}

Result<Bytes> RecordSeal::open(ByteView sealed, ByteView context) const {
  const auto refuse = [] {
    return fail(ErrorCode::kSignature, "a sealed record does not open with this key");
  };
  if (sealed.size() < kNonceBytes + kTagBytes) return refuse();
  const ByteView text = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  Bytes tag(sealed.substr(sealed.size() - kTagBytes));
  Bytes out(text.size(), '\0');
  const Context cipher(EVP_CIPHER_CTX_new());
  int written = 0, rest = 0, ignored = 0;
  const bool is_open =
      cipher &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes_of(sealed)) ==
          1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &ignored, bytes_of(context),
                        static_cast<int>(context.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes_of(out), &written, bytes_of(text),
                        static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), bytes_of(out) + written, &rest) == 1;
  if (!is_open) return refuse();
  return out;
}

}  // namespace notp::lane
